import { decoupledFirst, flag, fraction, nonNegative, positive, ruleFactory } from "../rule.js";
import shader from "../shaders/sophia.wgsl";

/**
 * Sophia: momentum divided by an average of diagonals of the Hessian, clipped at the rate. The caller hands an estimate in
 * by `optimizer.curvature()` every few steps; before the first one, Sophia steps by signs.
 */
export const sophia = /* @__PURE__ */ ruleFactory(() => ({
  name: "sophia",
  shader,
  options: {
    lr: nonNegative(1e-4),
    beta1: fraction(0.96),
    beta2: fraction(0.99),
    /** Of h: 0.01 with Hutchinson's estimate, 0.05 with Gauss-Newton's. */
    gamma: positive(0.01),
    eps: positive(1e-12),
    /** ρ: the largest step of an element, in proportion to the rate. */
    clipThreshold: positive(1),
    /** Whether m̂ = m/(1 − β1ᵗ) stands for m (optax). */
    biasCorrection: flag(false),
    decay: decoupledFirst(),
  },
  formula:
    "estimate ĥ: h ← β2h + (1−β2)ĥ; step: m ← β1m + (1−β1)g, θ ← θ − η·clip(m/max(γh, ε), ±ρ); biasCorrection: m̂ of adam",
  source: "Liu et al. 2023, algorithm 3",
  scalars: ({ beta1, gamma, eps, clipThreshold, biasCorrection }, t, lr) => {
    const scale = clipThreshold * (biasCorrection ? 1 - beta1 ** t : 1);
    return { rate: lr * clipThreshold, gamma: gamma * scale, eps: eps * scale };
  },
}));
