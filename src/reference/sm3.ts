import type { ReferenceRule, WholeInput } from "./reference-rule.js";
import { averaged, bounded, largest, over, type Summands, square, sum, times } from "./summands.js";

type Sm3Options = { momentum: number; eps: number };

/** Of each element, the places of its accumulators: those of a dimension lie behind those of the one before. */
function coversOf(shape: readonly number[]): number[][] {
  let covers: number[][] = [[]];
  let first = 0;
  for (const extent of shape.filter((extent) => extent !== 1)) {
    const begin = first;
    covers = covers.flatMap((places) => Array.from({ length: extent }, (_, i) => [...places, begin + i]));
    first += extent;
  }
  return covers.length === 1 ? [[0]] : covers;
}

/** SM3-II: ν ← min over covers of μ + g², then μ of each cover the largest ν of its elements (Anil et al. 2019). */
export const sm3: ReferenceRule<Sm3Options, "exp_avg"> = {
  initial: () => ({ exp_avg: 0 }),
  arrays: (_, shape) => ({ accumulator: new Float64Array(Math.max(...coversOf(shape).flat()) + 1) }),
  direct({ options: { eps }, shape, gradients, arrays }: WholeInput<Sm3Options>) {
    const before = arrays.accumulator!;
    const covers = coversOf(shape);
    const after: Summands[] = Array.from(before, () => [0]);
    const directions = gradients.map((gradient, element): Summands => {
      const places = covers[element]!;
      const nu = [Math.min(...places.map((place) => before[place]!)), ...square(gradient)];
      for (const place of places) {
        const most = Math.max(largest(nu), largest(after[place]!));
        after[place] = bounded(Math.max(sum(nu), sum(after[place]!)), most);
      }
      return sum(nu) > 0 ? over(gradient, nu, (value) => Math.sqrt(value + eps)) : [0];
    });
    return { directions, arrays: { accumulator: after } };
  },
  step: ({ options: { momentum }, lr, gradient, state }) => {
    const exp_avg = averaged(momentum, state.exp_avg, gradient);
    return { update: times(lr, exp_avg), state: { exp_avg } };
  },
};
