import { accumulated, type Estimate, exact, flat, matrixOf, productOf, turned } from "./blocks.js";
import { frobenius, type Matrix, mapped, squareOf } from "./matrix.js";
import type { ReferenceRule } from "./reference-rule.js";
import { averaged, largest, over, type Summands, square, sum, times } from "./summands.js";

type SoapOptions = {
  beta1: number;
  beta2: number;
  shampooBeta: number;
  eps: number;
  biasCorrection: boolean;
  every: number;
  maxDimension: number;
  decay: string;
  weightDecay: number;
};

const sides = ["left", "right"] as const;

/** Rows of the matrix of a side, 0 where it keeps its axes. */
const basedOf = (shape: readonly number[], { maxDimension }: SoapOptions): readonly number[] =>
  matrixOf(shape).map((size) => (shape.length > 1 && size > 1 && size <= maxDimension ? size : 0));

/** What f32 may make of a direction that nothing tells: any. */
const OPEN = 2 ** 22;

/** How many roundings of the largest column an element of a product and of its factor takes. */
const ROUNDINGS = 8;

/** Orthogonal iterations that the first basis takes. */
const FIRST_TURNS = 8;

/**
 * Q of LQ = QR with a diagonal of R above 0, by Gram–Schmidt. A column that is zero becomes the axis that those before have
 * least of; one that only rounding tells from zero, and all behind it, may be any.
 */
function turnedBasis(matrix: Matrix, basis: Matrix): Estimate {
  const n = matrix.length;
  const power = productOf(exact(matrix), exact(basis)).value;
  const columns: Float64Array[] = [];
  let doubt = 1;
  const doubts: number[] = [];
  const size = frobenius(power);
  const without = (vector: Float64Array) =>
    columns.reduce((rest, one) => {
      const along = one.reduce((all, value, i) => all + value * rest[i]!, 0);
      return rest.map((value, i) => value - along * one[i]!);
    }, vector);
  const lengthOf = (vector: Float64Array) => Math.sqrt(vector.reduce((all, value) => all + value ** 2, 0));
  for (let k = 0; k < n; k += 1) {
    const own = Float64Array.from(power, (row) => row[k]!);
    let rest = without(without(own));
    if (lengthOf(own) === 0) {
      const shares = own.map((_, i) => columns.reduce((all, one) => all + one[i]! ** 2, 0));
      const axis = shares.reduce((best, share, i) => (share < shares[best]! - 1e-12 ? i : best), 0);
      rest = without(without(own.map((_, i) => Number(i === axis))));
    } else {
      const told = lengthOf(rest) / size;
      doubt = Math.max(doubt, told < 2 ** -16 ? OPEN : (ROUNDINGS * Math.sqrt(n)) / told);
      if (lengthOf(rest) < 1e-12 * lengthOf(own)) rest = without(without(own.map((_, i) => Number(i === k))));
    }
    const length = lengthOf(rest) || 1;
    columns.push(rest.map((value) => value / length));
    doubts.push(doubt);
  }
  const value = Array.from({ length: n }, (_, row) => Float64Array.from(columns, (one) => one[row]!));
  return { value, most: mapped(value, (_, __, k) => doubts[k]!) };
}

/** SOAP: Adam between the eigenvectors of L and R (Vyas et al. 2024, algorithms 3 and 4), from the second step on. */
export const soap: ReferenceRule<SoapOptions> = {
  initial: () => ({}),
  arrays(options, shape) {
    const [rows, columns] = matrixOf(shape);
    const matrices = basedOf(shape, options).flatMap((size, side) =>
      size > 0
        ? [sides[side]!, `${sides[side]!}_basis`].map((name) => [name, new Float64Array(size * size)])
        : [],
    );
    return {
      exp_avg: new Float64Array(rows * columns),
      exp_avg_sq: new Float64Array(rows * columns),
      ...(Object.fromEntries(matrices) as Record<string, Float64Array>),
    };
  },
  direct({ options, t, shape, gradients, arrays }) {
    const { beta1, beta2, shampooBeta, eps, every } = options;
    const [rows, columns] = matrixOf(shape);
    const [left = 0, right = 0] = basedOf(shape, options);
    const kept = (name: string, size: number) => squareOf(arrays[name]!, 0, size);
    const estimate = (all: readonly Summands[]): Estimate => ({
      value: rowsOf(all.map(sum), rows, columns),
      most: rowsOf(all.map(largest), rows, columns),
    });
    /** Between the bases, or out of them. */
    const between = (cells: Estimate, out: boolean): Estimate => {
      let result = cells;
      if (left > 0) {
        const basis = exact(kept("left_basis", left));
        result = productOf(out ? basis : turned(basis), result);
      }
      if (right > 0) {
        const basis = exact(kept("right_basis", right));
        result = productOf(result, out ? turned(basis) : basis);
      }
      return result;
    };
    const entering = estimate(gradients);
    const after: Record<string, readonly Summands[]> = {};
    let directions: readonly Summands[] = gradients.map(() => [0]);
    if (t === 1)
      for (const name of ["exp_avg", "exp_avg_sq"])
        after[name] = Array.from(arrays[name]!, (value) => [value]);
    else {
      const moments = gradients.map((g, i) => averaged(beta1, arrays.exp_avg![i]!, g));
      const turnedGradients = flat(between(entering, false));
      const turnedMoments = flat(between(estimate(moments), false));
      const squares = turnedGradients.map((g, i) => averaged(beta2, arrays.exp_avg_sq![i]!, square(g)));
      const adapted = turnedMoments.map((m, i) => over(m, squares[i]!, (v) => Math.sqrt(v) + eps));
      directions = flat(between(estimate(adapted), true));
      after.exp_avg = moments;
      after.exp_avg_sq = squares;
    }
    [left, right].forEach((size, side) => {
      if (size === 0) return;
      const name = sides[side]!;
      const matrix = accumulated(
        kept(name, size),
        side === 0 ? entering : turned(entering),
        1 - shampooBeta,
        true,
      );
      let basis: Estimate = exact(kept(`${name}_basis`, size));
      if (t === 1) basis = exact(mapped(basis.value, (_, i, k) => Number(i === k)));
      const turns = (t - 1) % every > 0 ? 0 : t === 1 ? FIRST_TURNS : 1;
      for (let turn = 0; turn < turns; turn += 1) {
        const next = turnedBasis(matrix.value, basis.value);
        basis = {
          ...next,
          most: mapped(next.most, (most, i, k) => Math.max(most, turn > 0 ? basis.most[i]![k]! : 0)),
        };
      }
      after[name] = flat(matrix);
      after[`${name}_basis`] = flat(basis);
    });
    return { directions, arrays: after };
  },
  step({ options: { beta1, beta2, biasCorrection, decay, weightDecay }, t, lr, parameter, gradient }) {
    const steps = t - 1;
    if (steps === 0) return { update: [0], state: {} };
    const rate = biasCorrection ? (lr * Math.sqrt(1 - beta2 ** steps)) / (1 - beta1 ** steps) : lr;
    const decayed = decay === "decoupled" ? lr * weightDecay * parameter : 0;
    return { update: [...times(rate, gradient), decayed], state: {} };
  },
  ownDecay: true,
};

/** Values one behind the other as rows. */
const rowsOf = (values: readonly number[], rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, (_, row) =>
    Float64Array.from(values.slice(row * columns, (row + 1) * columns)),
  );
