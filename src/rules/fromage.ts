import { nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/fromage.wgsl";

/** Fromage: each tensor moves by a share of its own norm. */
export const fromage = /* @__PURE__ */ ruleFactory(() => ({
  name: "fromage",
  shader,
  options: {
    lr: nonNegative(1e-2),
    /** The least that either norm counts: 1e-6 in optax. */
    minNorm: nonNegative(0),
  },
  formula: "θ ← (θ − η·g‖θ‖/‖g‖)/√(1 + η²) by tensor, ‖θ‖/‖g‖ taken as 1 where a norm is 0",
  source: "Bernstein et al. 2020, algorithm 1",
  scalars: (_options, _t, lr) => {
    const root = Math.hypot(1, lr);
    // 1 − 1/√(1 + η²) without its cancellation.
    return { rate: lr / root, shrink: (lr / root) * (lr / (1 + root)) };
  },
}));
