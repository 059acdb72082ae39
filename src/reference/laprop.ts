import type { ReferenceRule } from "./reference-rule.js";
import { averaged, square, sum, times } from "./summands.js";

type LapropOptions = { beta1: number; beta2: number; eps: number; rateInside: boolean; epsHat: boolean };

/**
 * LaProp (Ziyin et al. 2020, algorithm 1): θ ← θ − η·m/(1 − β1ᵗ), where m averages g/(√v̂ + ε). With the rate inside, the
 * average of ηg/(√v̂ + ε) over that of the rates.
 */
export const laprop: ReferenceRule<LapropOptions, "exp_avg" | "exp_avg_sq", "rates"> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  settled: () => ({ rates: 0 }),
  settle: ({ options: { beta1 }, lr, settled }) => ({ rates: averaged(beta1, settled.rates, [lr]) }),
  step({ options, t, lr, gradient, state, settled: { rates } }) {
    const { beta1, beta2, eps, rateInside, epsHat } = options;
    const exp_avg_sq = averaged(beta2, state.exp_avg_sq, square(gradient));
    const root = Math.sqrt(1 - beta2 ** t);
    const v = Math.sqrt(sum(exp_avg_sq));
    const divisor = epsHat ? (v + eps) / root : v / root + eps;
    const exp_avg = averaged(beta1, state.exp_avg, times((rateInside ? lr : 1) / divisor, gradient));
    const whole = rateInside ? rates : 1 - beta1 ** t;
    return { update: times(whole === 0 ? 0 : lr / whole, exp_avg), state: { exp_avg, exp_avg_sq } };
  },
};
