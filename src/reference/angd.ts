import type { ReferenceRule, WholeInput } from "./reference-rule.js";
import { bounded, largest, type Summands, sum, times } from "./summands.js";

type AngdOptions = {
  delta: number;
  adaptation: string;
  form: string;
  block: number;
  outputs: number;
  damping: number;
  start: number;
};

/** A value of f32 arithmetic and what bounds its error: the sum of the magnitudes that it was made of. */
interface Value {
  readonly value: number;
  readonly most: number;
}

const NAME = "inverse_fisher";

/** H of a tile, row by row; before the first step it is a multiple of the identity. */
const inverseOf = (kept: Float64Array, begins: number | undefined, size: number): Value[][] =>
  Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_, column) => {
      const value = begins === undefined ? kept[row * size + column]! : row === column ? begins : 0;
      return { value, most: Math.abs(value) };
    }),
  );

/** Σab. Where many are added up in a row, as many of them round. */
function product(a: readonly Value[], b: readonly Value[]): Value {
  const value = a.reduce((total, one, k) => total + one.value * b[k]!.value, 0);
  const most = a.reduce((total, one, k) => total + Math.max(Math.abs(one.value), one.most) * b[k]!.most, 0);
  return { value, most: most * Math.max(1, Math.sqrt(a.length) / 2) };
}

/**
 * The inverse of keeps·F + weight·hhᵀ, where H is that of F: (H − weight·Hh(Hh)ᵀ/(keeps + weight·hᵀHh))/keeps (Sherman &
 * Morrison 1950), or of first order in the weight (Amari et al. 2000).
 */
function adapted(
  matrix: Value[][],
  vector: readonly Value[],
  keeps: number,
  weight: number,
  first: boolean,
): Value[][] {
  const image = matrix.map((row) => product(row, vector));
  const squared = product(vector, image);
  const divisor = keeps + weight * squared.value;
  const doubt = 1 + (weight * squared.most) / divisor;
  return matrix.map((row, i) =>
    row.map(({ value, most }, k) => {
      const outer = image[i]!.value * image[k]!.value;
      // Image, product and quotient are rounded a dozen times in a row.
      const doubtful = 4 * image[i]!.most * image[k]!.most * weight;
      // 1/(1 − δ) is 1 + δ to first order; an estimate that keeps all is not divided.
      if (first) return { value: (2 - keeps) * value - weight * outer, most: Math.max(most, doubtful) };
      return {
        value: (value - (weight * outer) / divisor) / keeps,
        most: Math.max(most, (doubtful * doubt) / divisor / keeps),
      };
    }),
  );
}

/** Tiles of a tensor: their elements, and where their matrices lie. */
function tilesOf({ options, t, gradients, arrays }: WholeInput<AngdOptions>) {
  const size = Math.min(options.block, gradients.length);
  return Array.from({ length: Math.ceil(gradients.length / size) }, (_, tile) => {
    const own = gradients.slice(tile * size, (tile + 1) * size);
    const at = (row: number, column: number) => (tile * size + row) * size + column;
    const kept = Float64Array.from(
      { length: own.length ** 2 },
      (_, i) => arrays[NAME]![at(Math.floor(i / own.length), i % own.length)]!,
    );
    const vector = own.map((summands): Value => ({ value: sum(summands), most: largest(summands) }));
    return { at, vector, matrix: inverseOf(kept, t === 1 ? options.start : undefined, own.length) };
  });
}

/** δ of a step. Gradients of outputs come after the step that they belong to. */
function deltaOf({ delta, adaptation, outputs }: AngdOptions, t: number) {
  const step = outputs > 0 ? Math.max(1, t - 1) : t;
  return { step, delta: adaptation === "inverse" ? delta / step : delta };
}

/** Whose turn damping is: the fraction of a multiple of the golden ratio, as 16 bits have it. */
export const dampedElement = (step: number, length: number): number =>
  Math.floor(((Math.imul(step - 1, 2654435769) >>> 16) * length) / 65536);

/** The arrays after tiles were adapted to their gradients. */
function adaptedArrays(input: WholeInput<AngdOptions>, output: number) {
  const { options, t, arrays } = input;
  const { step, delta } = deltaOf(options, t);
  const first = options.form === "firstOrder";
  const last = options.outputs === 0 || output === options.outputs - 1;
  const after: Summands[] = Array.from(arrays[NAME]!, () => [0]);
  for (const { at, vector, matrix } of tilesOf(input)) {
    const { length } = vector;
    let next = adapted(matrix, vector, output === 0 ? 1 - delta : 1, delta, first);
    if (last && options.damping > 0) {
      const turn = dampedElement(step, length);
      const unit = vector.map((_, k): Value => ({ value: Number(k === turn), most: Number(k === turn) }));
      next = adapted(next, unit, 1, delta * options.damping * length, false);
    }
    next.forEach((row, i) => {
      row.forEach(({ value, most }, k) => {
        after[at(i, k)] = bounded(value, most);
      });
    });
  }
  return { [NAME]: after };
}

/**
 * The adaptive natural gradient: θ ← θ − ηHg, where H is the inverse of F ← (1 − δ)F + δ·Σhhᵀ of the steps before (Amari,
 * Park & Fukumizu 2000; Park, Amari & Fukumizu 2000), block by block.
 */
export const angd: ReferenceRule<AngdOptions> = {
  initial: () => ({}),
  arrays: ({ block }, shape) => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const size = Math.min(block, count);
    return { [NAME]: new Float64Array(Math.ceil(count / size) * size * size) };
  },
  direct(input) {
    const directions = tilesOf(input).flatMap(({ vector, matrix }) =>
      matrix.map((row) => {
        const { value, most } = product(row, vector);
        return bounded(value, most);
      }),
    );
    return { directions, arrays: input.options.outputs > 0 ? unadapted(input) : adaptedArrays(input, 0) };
  },
  output: adaptedArrays,
  step: ({ lr, gradient }) => ({ update: times(lr, gradient), state: {} }),
};

/** The arrays after a step that gradients of outputs follow. */
function unadapted(input: WholeInput<AngdOptions>) {
  const after: Summands[] = Array.from(input.arrays[NAME]!, () => [0]);
  for (const { at, matrix } of tilesOf(input))
    matrix.forEach((row, i) => {
      row.forEach(({ value }, k) => {
        after[at(i, k)] = [value];
      });
    });
  return { [NAME]: after };
}
