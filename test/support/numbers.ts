export { gradients, normals, ulp } from "../../src/conformance/numbers.js";

/** How far values are off, in proportion to the length of all that was expected. */
export function relative(values: ArrayLike<number>, expected: Float64Array): number {
  const length = (all: Float64Array) => Math.sqrt(all.reduce((sum, value) => sum + value ** 2, 0));
  return length(expected.map((value, i) => value - values[i]!)) / length(expected);
}
