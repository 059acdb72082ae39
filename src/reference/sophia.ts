import type { ReferenceRule } from "./reference-rule.js";
import { averaged, largest, rounding, type Summands, sum, times } from "./summands.js";

type SophiaOptions = {
  beta1: number;
  beta2: number;
  gamma: number;
  eps: number;
  clipThreshold: number;
  biasCorrection: boolean;
};

/**
 * Sophia: θ ← θ − η·clip(m/max(γh, ε), ρ); h ← β2h + (1−β2)ĥ where an estimate comes (Liu et al. 2023, algorithm 3, where ρ
 * is 1). Of optax: m̂ for m.
 */
export const sophia: ReferenceRule<SophiaOptions, "exp_avg" | "hessian"> = {
  initial: () => ({ exp_avg: 0, hessian: 0 }),
  curvature: ({ beta2 }, estimate, state) => ({
    exp_avg: [state.exp_avg],
    hessian: averaged(beta2, state.hessian, [estimate]),
  }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, gamma, eps, clipThreshold: most, biasCorrection } = options;
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const corrected = biasCorrection ? times(1 / (1 - beta1 ** t), exp_avg) : exp_avg;
    const ratio = times(1 / Math.max(gamma * state.hessian, eps), corrected);
    const step = sum(ratio);
    // Out of reach of rounding, what is clipped has no error.
    const clipped = Math.abs(step) > most + 4 * rounding * largest(ratio);
    const inside: Summands = Math.abs(step) > most ? [...ratio, Math.sign(step) * most - step] : ratio;
    return {
      update: times(lr, clipped ? [Math.sign(step) * most] : inside),
      state: { exp_avg, hessian: [state.hessian] },
    };
  },
};
