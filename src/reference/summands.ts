/**
 * A value as the list of its summands; the value is their sum. The largest one bounds the rounding error that a
 * correct f32 kernel may make: cancellation among them costs digits there. A pair `[b, −b, …]` adds nothing to the
 * value and states a bound that the other summands do not show.
 */
export type Summands = readonly number[];

/** The value. Large summands go first, so that pairs cancel before they can swallow the rest. */
export function sum(summands: Summands): number {
  if (summands.length === 1) return summands[0]!;
  const ordered = [...summands].sort((a, b) => Math.abs(b) - Math.abs(a));
  return ordered.reduce((total, summand) => total + summand, 0);
}

/** The largest magnitude among the summands. */
export function largest(summands: Summands): number {
  return summands.reduce((most, summand) => Math.max(most, Math.abs(summand)), 0);
}

/** Every summand times a factor. */
export function times(factor: number, summands: Summands): Summands {
  return summands.map((summand) => factor * summand);
}

/** A value whose rounding error in f32 is that of a summand as large as `bound`. */
export function bounded(value: number, bound: number): Summands {
  return bound > Math.abs(value) ? [bound, -bound, value] : [value];
}

/** Half the relative spacing of f32 numbers: the error of one rounding. */
export const rounding = 2 ** -24;

/**
 * x² of x = Σ summands. An error δ of x, in proportion to its largest summand, enters as 2xδ + δ². A single summand has none:
 * it is what was given.
 */
export function square(summands: Summands): Summands {
  const value = sum(summands);
  if (summands.length === 1) return [value ** 2];
  const most = largest(summands);
  return bounded(value ** 2, most * Math.max(2 * Math.abs(value), rounding * most));
}

/** The exponential average β·average + (1 − β)·value. */
export function averaged(beta: number, average: number, value: Summands): Summands {
  return [beta * average, ...times(1 - beta, value)];
}

/**
 * x / denominator(v) of a v at least zero. Where the summands of v cancel, f32 is off by more than roundings of v; how far
 * that takes the quotient either way is stated as a bound.
 */
export function over(x: Summands, v: Summands, denominator: (v: number) => number): Summands {
  const value = sum(v);
  const slack = 2 * rounding * largest(v);
  const magnitude = (at: number) => Math.abs(sum(x)) / denominator(at);
  const above = magnitude(Math.max(value - slack, 0)) - magnitude(value);
  const below = magnitude(value) - magnitude(value + slack);
  const bound = Math.max(above, below) / rounding;
  return [bound, -bound, ...times(1 / denominator(value), x)];
}

/** A quotient of two norms: both are off by as much as one value may be. */
export function ofNorms(quotient: Summands): Summands {
  const both = 2 * Math.abs(sum(quotient));
  return [both, -both, ...quotient];
}

/** The sign, 0 of 0. Where what cancels is all but everything, f32 may see any sign, and the bound says so. */
export function sign(summands: Summands): Summands {
  const value = sum(summands);
  const open = Math.abs(value) < 4 * rounding * largest(summands);
  return bounded(Math.sign(value), open ? 2 ** 22 : 1);
}
