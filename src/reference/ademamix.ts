import type { ReferenceRule } from "./reference-rule.js";
import { averaged, square, sum, times } from "./summands.js";

type AdemamixOptions = {
  beta1: number;
  beta2: number;
  beta3: number;
  alpha: number;
  eps: number;
  alphaWarmup: number;
  beta3Warmup: number;
};

/** Steps in which a weight of 1 falls to ½ under the decay rate β. */
const halfLife = (beta: number) => Math.LN2 / -Math.log(beta);

/** β3(t): its half-life grows in a line from that of β1 to that of β3. */
function slowBeta({ beta1, beta3, beta3Warmup }: AdemamixOptions, t: number): number {
  if (t >= beta3Warmup) return beta3;
  const part = t / beta3Warmup;
  return Math.min(0.5 ** (1 / ((1 - part) * halfLife(beta1) + part * halfLife(beta3))), beta3);
}

/** AdEMAMix: θ ← θ − η(m̂₁ + α(t)m₂)/(√v̂ + ε) (Pagliardini, Ablin & Grangier 2024, algorithm 1). */
export const ademamix: ReferenceRule<AdemamixOptions, "exp_avg" | "exp_avg_slow" | "exp_avg_sq"> = {
  initial: () => ({ exp_avg: 0, exp_avg_slow: 0, exp_avg_sq: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, beta2, alpha, eps, alphaWarmup } = options;
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const exp_avg_slow = averaged(slowBeta(options, t), state.exp_avg_slow, gradient);
    const exp_avg_sq = averaged(beta2, state.exp_avg_sq, square(gradient));
    const weight = alphaWarmup === 0 ? alpha : Math.min((t * alpha) / alphaWarmup, alpha);
    const mixed = [...times(1 / (1 - beta1 ** t), exp_avg), ...times(weight, exp_avg_slow)];
    const root = Math.sqrt(sum(exp_avg_sq) / (1 - beta2 ** t));
    return { update: times(lr / (root + eps), mixed), state: { exp_avg, exp_avg_slow, exp_avg_sq } };
  },
};
