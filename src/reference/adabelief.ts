import { rectification } from "./radam.js";
import type { ReferenceRule } from "./rule.js";
import { averaged, over, square, sum, times } from "./summands.js";

type AdabeliefOptions = { beta1: number; beta2: number; eps: number; epsRoot: number; rectify: boolean };

/**
 * AdaBelief: Adam with s ← β2s + (1−β2)(g − m)² + ε in the place of v (Zhuang et al. 2020, algorithm 2). The rectified
 * form takes RAdam's rates.
 */
export const adabelief: ReferenceRule<AdabeliefOptions, "exp_avg" | "exp_avg_var"> = {
  initial: () => ({ exp_avg: 0, exp_avg_var: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, beta2, eps, epsRoot, rectify } = options;
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const deviation = sum([...gradient, ...times(-1, exp_avg)]);
    // The new m has a part of g in it: g − m = β1(g − m₋₁), whose summands bound its error.
    const squared = square(times(beta1, [...gradient, -state.exp_avg]));
    const exp_avg_var = [
      ...averaged(beta2, state.exp_avg_var, [deviation ** 2, ...squared, -sum(squared)]),
      epsRoot,
    ];
    const corrected = times(lr / (1 - beta1 ** t), exp_avg);
    const after = { exp_avg, exp_avg_var };
    const r = rectify ? rectification(beta2, 5, t) : 1;
    if (r === undefined) return { update: corrected, state: after };
    const denominator = (s: number) => Math.sqrt(s / (1 - beta2 ** t)) + eps;
    return { update: over(times(r, corrected), exp_avg_var, denominator), state: after };
  },
};
