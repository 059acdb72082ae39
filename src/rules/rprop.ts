import { flag, nonNegative, positive, ruleFactory } from "../rule.js";
import shader from "../shaders/rprop.wgsl";

/**
 * Rprop, for full batches: only the signs of the gradients count. The rate is the step size that every element begins
 * with, and no more: as in PyTorch, later rates change nothing, and a rate of 0 still moves by the smallest step size.
 */
export const rprop = /* @__PURE__ */ ruleFactory(() => ({
  name: "rprop",
  shader,
  options: {
    lr: nonNegative(1e-2),
    /** Factor on the step size where the gradient has turned. */
    etaMinus: { kind: "number", default: 0.5, min: 0, exclusiveMin: true, max: 1, exclusiveMax: true },
    /** Factor where it has not. */
    etaPlus: { kind: "number", default: 1.2, min: 1, exclusiveMin: true, max: Infinity },
    /** The least step size. */
    stepSizeMin: positive(1e-6),
    /** The largest. */
    stepSizeMax: positive(50),
    /** Whether each step is taken one step late, and not at all where the gradient has turned (optax). */
    delayed: flag(false),
  },
  formula:
    "g·g₋₁ > 0: Δ ← min(η⁺Δ, Δmax); g·g₋₁ < 0: Δ ← max(η⁻Δ, Δmin), g ← 0; θ ← θ − Δ·sign(g); Δ₀ = η; delayed: θ ← θ − Δ₋₁·sign(g₋₁) unless g·g₋₁ < 0",
  source: "Riedmiller & Braun 1993, without backtracking as Igel & Hüsken 2000 (iRprop⁻); PyTorch Rprop",
  constants: ({ delayed }) => ({ delayed: delayed ? 1 : 0 }),
  scalars: ({ stepSizeMin, stepSizeMax }, _t, lr) => ({
    first_step_size: lr,
    // As in PyTorch, the upper bound counts where the two are the wrong way round.
    step_size_min: Math.min(stepSizeMin, stepSizeMax),
  }),
}));
