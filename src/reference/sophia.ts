import type { ReferenceRule } from "./rule.js";
import { averaged, largest, rounding, type Summands, sum, times } from "./summands.js";

type SophiaOptions = { beta1: number; beta2: number; gamma: number; eps: number };

/** Sophia: θ ← θ − η·clip(m/max(γh, ε), 1); h ← β2h + (1−β2)ĥ where an estimate comes (Liu et al. 2023, algorithm 3). */
export const sophia: ReferenceRule<SophiaOptions, "exp_avg" | "hessian"> = {
  initial: () => ({ exp_avg: 0, hessian: 0 }),
  curvature: ({ beta2 }, estimate, state) => ({
    exp_avg: [state.exp_avg],
    hessian: averaged(beta2, state.hessian, [estimate]),
  }),
  step({ options: { beta1, gamma, eps }, lr, gradient, state }) {
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const m = sum(exp_avg);
    const divisor = Math.max(gamma * state.hessian, eps);
    // Out of reach of rounding, what is clipped has no error.
    const clipped = Math.abs(m) > divisor + 4 * rounding * largest(exp_avg);
    const ratio = times(1 / divisor, exp_avg);
    const inside: Summands = Math.abs(m) > divisor ? [...ratio, Math.sign(m) - m / divisor] : ratio;
    return {
      update: times(lr, clipped ? [Math.sign(m)] : inside),
      state: { exp_avg, hessian: [state.hessian] },
    };
  },
};
