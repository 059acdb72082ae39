import { choice, decoupledRate, epsilon, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/adopt.wgsl";

/** No quotient comes near it: gradients stop at 2⁶², and an ε is at least 2⁻⁵⁰. */
const UNCLIPPED = 1e38;

/** ADOPT: Adam that divides by the second moment of the steps before, and so converges with any β2. */
export const adopt = /* @__PURE__ */ ruleFactory(() => ({
  name: "adopt",
  shader,
  options: {
    beta1: fraction(0.9),
    beta2: fraction(0.9999),
    eps: epsilon(1e-6),
    /**
     * `clipped` at (t−1)^clipPower, m from zero (the authors' code); `unclipped`: that code with no clip; `paper`: no clip,
     * and m begins as the first quotient (the paper as first published, and its code then).
     */
    form: choice("clipped", "unclipped", "paper"),
    /** ¼ in the authors' code, 0.333 in timm's. */
    clipPower: nonNegative(0.25),
  },
  formula:
    "v₁ = g₁², θ stays; then m ← β1m + (1−β1)·clip(g/max(√v, ε), ±c_t) with c_t = (t−1)^clipPower, θ ← θ − ηm, v ← β2v + (1−β2)g²; unclipped: no clip; paper: that and m₂ = g₂/max(√v₁, ε)",
  source: "Taniguchi et al. 2024; authors' code, whose first step decays nothing either",
  ownDecay: true,
  scalars: (options, t, lr) => {
    const { beta1, beta2, form, clipPower } = options;
    return {
      decay: t === 1 ? 0 : decoupledRate(options, lr),
      beta1: form === "paper" && t === 2 ? 0 : beta1,
      beta2: t === 1 ? 0 : beta2,
      clip: t === 1 ? 0 : form === "clipped" ? Math.min((t - 1) ** clipPower, UNCLIPPED) : UNCLIPPED,
    };
  },
}));
