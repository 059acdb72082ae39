import type { ReferenceRule } from "./reference-rule.js";
import { ofNorms, over, square, sum, times } from "./summands.js";

/** Fromage: θ ← (θ − η·g‖θ‖/‖g‖)/√(1 + η²) of each tensor (Bernstein et al. 2020, algorithm 1). */
export const fromage: ReferenceRule<{ minNorm: number }, never, "trust"> = {
  initial: () => ({}),
  settled: () => ({ trust: 0 }),
  measure: ({ parameter, gradient }) => ({ parameters: [parameter ** 2], gradients: square(gradient) }),
  settle({ options: { minNorm }, sums }) {
    const norm = Math.max(Math.sqrt(sum(sums.parameters!)), minNorm);
    if (norm === 0 || Math.max(sum(sums.gradients!), minNorm) === 0) return { trust: [1] };
    const divisor = (total: number) => Math.max(Math.sqrt(total), minNorm);
    return { trust: ofNorms(over([norm], sums.gradients!, divisor)) };
  },
  step({ lr, parameter, gradient, settled: { trust } }) {
    const shrunk = 1 / Math.sqrt(1 + lr ** 2);
    // 1 − shrunk, as a quotient.
    const shrink = lr ** 2 / (1 + lr ** 2 + Math.sqrt(1 + lr ** 2));
    return { update: [...times(lr * trust * shrunk, gradient), shrink * parameter], state: {} };
  },
};
