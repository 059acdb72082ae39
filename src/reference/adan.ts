import type { ReferenceRule } from "./reference-rule.js";
import { averaged, over, type Summands, square, times } from "./summands.js";

type AdanOptions = {
  beta1: number;
  beta2: number;
  beta3: number;
  eps: number;
  epsRoot: number;
  differenceWeight: "beta2" | "one-minus-beta2";
};

/**
 * Adan (Xie et al. 2022, algorithm 1, with 1 − β for its β). Averages begin at zero and are corrected; proximal decay is a
 * stage around the rule.
 */
export const adan: ReferenceRule<
  AdanOptions,
  "exp_avg" | "exp_avg_diff" | "exp_avg_sq" | "previous_gradient"
> = {
  initial: () => ({ exp_avg: 0, exp_avg_diff: 0, exp_avg_sq: 0, previous_gradient: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, beta2, beta3, eps, epsRoot, differenceWeight } = options;
    const weight = differenceWeight === "beta2" ? beta2 : 1 - beta2;
    const difference: Summands = t === 1 ? [0] : [...gradient, -state.previous_gradient];
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const exp_avg_diff = averaged(beta2, state.exp_avg_diff, difference);
    const ahead = [...gradient, ...times(weight, difference)];
    const exp_avg_sq = averaged(beta3, state.exp_avg_sq, square(ahead));
    const direction = [
      ...times(1 / (1 - beta1 ** t), exp_avg),
      ...times(weight / (1 - beta2 ** t), exp_avg_diff),
    ];
    const denominator = (n: number) => Math.sqrt(n / (1 - beta3 ** t) + epsRoot) + eps;
    return {
      update: over(times(lr, direction), exp_avg_sq, denominator),
      state: { exp_avg, exp_avg_diff, exp_avg_sq, previous_gradient: gradient },
    };
  },
};
