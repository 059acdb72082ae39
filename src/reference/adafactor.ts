import type { ReferenceRule, WholeInput } from "./reference-rule.js";
import { averaged, bounded, largest, over, type Summands, square, sum, times } from "./summands.js";

type AdafactorOptions = {
  relativeStep: boolean;
  decayRate: number;
  eps1: number;
  eps1Form: string;
  eps2: number;
  clipThreshold: number;
  scaleParameter: boolean;
  factored: string;
  minDimension: number;
};

/** Whether the second moment is a product of two factors, over the last two dimensions. */
function isProduct(shape: readonly number[], { factored, minDimension }: AdafactorOptions): boolean {
  const [one = 0, other = 0] =
    factored === "largest" ? [...shape].sort((a, b) => b - a) : [...shape].reverse();
  return factored !== "none" && shape.length > 1 && one >= minDimension && other >= minDimension;
}

const mean = (values: readonly number[]) => values.reduce((total, value) => total + value, 0) / values.length;
const rms = (values: readonly number[]) => Math.sqrt(mean(values.map((value) => value ** 2)));

/** The average of each place's values, `placeOf` an element. */
function means(
  values: readonly Summands[],
  before: Float64Array,
  beta2: number,
  placeOf: (element: number) => number,
): Summands[] {
  const totals = Array.from(before, () => ({ value: 0, most: 0, count: 0 }));
  values.forEach((summands, element) => {
    const total = totals[placeOf(element)]!;
    total.value += sum(summands);
    total.most += Math.max(...summands.map(Math.abs));
    total.count += 1;
  });
  return totals.map(({ value, most, count }, place) =>
    averaged(beta2, before[place]!, bounded(value / count, most / count)),
  );
}

/** What the second moment of each element comes to, and the arrays after the step. */
function secondMoments({ options, t, shape, gradients, arrays }: WholeInput<AdafactorOptions>) {
  const { eps1, eps1Form, decayRate } = options;
  const beta2 = 1 - t ** -decayRate;
  const added = eps1Form === "added";
  const squares = gradients.map((gradient): Summands => [...square(gradient), added ? eps1 : 0]);
  if (!isProduct(shape, options)) {
    const variance = means(squares, arrays.variance!, beta2, (element) => element);
    return { moments: variance, after: { variance } };
  }
  const [rows, columns] = [shape.at(-2)!, shape.at(-1)!];
  const rowOf = (element: number) => Math.floor(element / columns);
  const matrixOf = (element: number) => Math.floor(element / (rows * columns));
  const columnOf = (element: number) => matrixOf(element) * columns + (element % columns);
  const row_var = means(squares, arrays.row_var!, beta2, rowOf);
  const col_var = means(squares, arrays.col_var!, beta2, columnOf);
  const moments = gradients.map((_, element): Summands => {
    const first = matrixOf(element) * rows;
    const all = mean(row_var.slice(first, first + rows).map(sum));
    const divisor = added ? all : Math.max(all, eps1);
    const product =
      divisor === 0 ? 0 : (sum(row_var[rowOf(element)]!) * sum(col_var[columnOf(element)]!)) / divisor;
    // Both factors, their mean, product and quotient are rounded.
    return bounded(product, 4 * product);
  });
  return { moments, after: { row_var, col_var } };
}

/** Û·max(ε2, RMS(θ)). */
function direct(input: WholeInput<AdafactorOptions>) {
  const { options, parameters, gradients } = input;
  const { eps1, eps1Form, eps2, clipThreshold, scaleParameter } = options;
  const { moments, after } = secondMoments(input);
  const least = eps1Form === "added" ? 0 : eps1 ** 2;
  const root = (moment: number) => Math.sqrt(Math.max(moment, least));
  const normalized = gradients.map((gradient, i) =>
    root(sum(moments[i]!)) === 0 ? [0] : over(gradient, moments[i]!, root),
  );
  const clip = clipThreshold > 0 ? Math.max(1, rms(normalized.map(sum)) / clipThreshold) : 1;
  const scale = scaleParameter ? Math.max(eps2, rms([...parameters])) : 1;
  // Two means, their roots and quotients are rounded in each.
  const directions = normalized.map((u) => {
    const value = (scale / clip) * sum(u);
    return bounded(value, Math.max(4 * Math.abs(value), largest(times(scale / clip, u))));
  });
  return { directions, arrays: after };
}

function arrays(options: AdafactorOptions, shape: readonly number[]): Record<string, Float64Array> {
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (!isProduct(shape, options)) return { variance: new Float64Array(count) };
  return {
    row_var: new Float64Array(count / shape.at(-1)!),
    col_var: new Float64Array(count / shape.at(-2)!),
  };
}

/** ρ of a step. */
const rateOf = ({ relativeStep }: AdafactorOptions, t: number, lr: number) =>
  relativeStep ? Math.min(lr, 1 / Math.sqrt(t)) : lr;

/** Adafactor (Shazeer & Stern 2018, algorithms 4 to 6); ε1 as a floor is PyTorch's. */
export const adafactor: ReferenceRule<AdafactorOptions> = {
  initial: () => ({}),
  arrays,
  direct,
  step: ({ options, t, lr, gradient }) => ({ update: times(rateOf(options, t, lr), gradient), state: {} }),
};

/** The same with an average of its updates (optax). */
export const adafactorMomentum: ReferenceRule<AdafactorOptions & { momentum: number }, "exp_avg"> = {
  initial: () => ({ exp_avg: 0 }),
  arrays,
  direct,
  step({ options, t, lr, gradient, state }) {
    const exp_avg = averaged(options.momentum, state.exp_avg, times(rateOf(options, t, lr), gradient));
    return { update: exp_avg, state: { exp_avg } };
  },
};
