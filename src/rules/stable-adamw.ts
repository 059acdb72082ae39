import { choice, decoupledRate, epsilon, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/stable-adamw.wgsl";

/** StableAdamW: AdamW that slows down by tensor where the gradient outgrows the second moment. */
export const stableAdamw = /* @__PURE__ */ ruleFactory(() => ({
  name: "stable-adamw",
  shader,
  options: {
    beta1: fraction(0.9),
    beta2: fraction(0.99),
    eps: epsilon(1e-8),
    weightDecay: nonNegative(1e-2),
    /** `decoupled` is slowed down, too. */
    decay: choice("decoupled", "coupled"),
  },
  formula:
    "as adamw at the rate η/max(1, RMS), RMS² the mean of g²/max(v̂, ε²) over the tensor: θ ← θ − ηλθ/max(1, RMS) − η/max(1, RMS)·m̂/(√v̂ + ε)",
  source: "Wortsman et al. 2023, algorithm 2",
  ownDecay: true,
  scalars: (options, t, lr) => ({
    step_size: lr / (1 - options.beta1 ** t),
    decay: decoupledRate(options, lr),
    inverse_bias_correction2: 1 / (1 - options.beta2 ** t),
    eps_squared: options.eps ** 2,
  }),
}));
