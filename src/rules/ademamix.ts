import { decoupledFirst, epsilon, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/ademamix.wgsl";

/** AdEMAMix: Adam with a slow average of the gradient beside the fast one; both warm-ups are off at 0 steps. */
export const ademamix = /* @__PURE__ */ ruleFactory(() => ({
  name: "ademamix",
  shader,
  options: {
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    /** Of the slow average. */
    beta3: fraction(0.9999),
    /** Weight of the slow average. */
    alpha: nonNegative(5),
    eps: epsilon(1e-8),
    /** Steps over which alpha grows from 0, in a line. */
    alphaWarmup: nonNegative(0),
    /** Steps over which the half-life of the slow average grows from that of β1 to its own, in a line. */
    beta3Warmup: nonNegative(0),
    decay: decoupledFirst(),
  },
  formula:
    "m₁ ← β1m₁ + (1−β1)g, m₂ ← β3m₂ + (1−β3)g, v of adam, θ ← θ − η(m̂₁ + αm₂)/(√v̂ + ε); α(t) = min(t/T, 1)·α, 1/ln β3(t) from 1/ln β1 to 1/ln β3",
  source: "Pagliardini, Ablin & Grangier 2024, algorithm 1; defaults of optax",
  scalars: ({ beta1, beta2, beta3, alpha, alphaWarmup, beta3Warmup }, t, lr) => {
    const part = (warmup: number) => (t < warmup ? t / warmup : 1);
    const share = part(beta3Warmup);
    const slow =
      share < 1
        ? Math.min(Math.exp(1 / ((1 - share) / Math.log(beta1) + share / Math.log(beta3))), beta3)
        : beta3;
    return {
      fast_rate: lr / (1 - beta1 ** t),
      slow_rate: lr * alpha * part(alphaWarmup),
      beta3: slow,
      inverse_bias_correction2: 1 / (1 - beta2 ** t),
    };
  },
}));
