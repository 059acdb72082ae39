import { choice, epsilon, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/adan.wgsl";

/** Adan: Nesterov momentum by the change of the gradient. Its β are one minus the paper's, as in the authors' code. */
export const adan = /* @__PURE__ */ ruleFactory(() => ({
  name: "adan",
  shader,
  options: {
    beta1: fraction(0.98),
    beta2: fraction(0.92),
    /** β3 of the formula, a decay rate. */
    beta3: fraction(0.99),
    eps: epsilon(1e-8),
    /** Inside the root: 1e-8 in optax. */
    epsRoot: nonNegative(0),
    /** Weight of the change d: β2 in the paper (there 1 − β2), 1 − β2 in optax. */
    differenceWeight: choice("beta2", "one-minus-beta2"),
    decay: choice("proximal", "decoupled", "coupled", "independent", "cautious"),
  },
  formula:
    "d = g − g₋₁ (d₁ = 0), m ← β1m + (1−β1)g, v ← β2v + (1−β2)d, n ← β3n + (1−β3)(g + β2d)², θ ← (θ − η(m̂ + β2v̂)/(√(n̂ + ε_root) + ε))/(1 + ηλ)",
  source: "Xie et al. 2022, algorithm 1, averages from zero and corrected as in the authors' code",
  scalars: ({ beta1, beta2, beta3, differenceWeight }, t, lr) => {
    const weight = differenceWeight === "beta2" ? beta2 : 1 - beta2;
    return {
      momentum_rate: lr / (1 - beta1 ** t),
      difference_rate: (lr * weight) / (1 - beta2 ** t),
      difference_in: t === 1 ? 0 : 1,
      difference_weight: weight,
      inverse_bias_correction3: 1 / (1 - beta3 ** t),
    };
  },
}));
