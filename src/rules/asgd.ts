import { choice, neverCautious, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/asgd.wgsl";

/**
 * Averaged SGD: state `ax` is the average of the parameters from step t0 on, and where to evaluate. Its memory is
 * PyTorch's `eta` and `mu` for the step after, since the rate of a step comes from that of the step before, and `eta` of
 * the step itself.
 */
export const asgd = /* @__PURE__ */ ruleFactory(() => ({
  name: "asgd",
  shader,
  options: {
    cautious: neverCautious(),
    lr: nonNegative(1e-2),
    /** Decay λ of the rule itself, which also slows the rate. */
    lambd: nonNegative(1e-4),
    /** Power by which the rate falls. */
    alpha: nonNegative(0.75),
    /** Step after which the average begins. */
    t0: nonNegative(1e6),
    // Its own decay is decoupled already.
    decay: choice("coupled"),
  },
  formula:
    "η_t = η/(1 + ληt′)^α with t′ = t − 1; θ ← (1 − λη_t)θ − η_t·g, ax ← ax + μ_t(θ − ax), μ_t = 1/max(1, t′ − t₀)",
  source: "Polyak & Juditsky 1992; Bottou 2012; PyTorch ASGD",
  startsAtParameter: ["ax"],
  evaluate: "ax",
  memory: [0, 1, 0],
  advance: ({ lambd, alpha, t0 }, t, lr, [eta = 0]) => [
    lr / (1 + lambd * lr * t) ** alpha,
    1 / Math.max(1, t - t0),
    t === 1 ? lr : eta,
  ],
  scalars: ({ lambd, t0 }, t, _lr, [, , eta = 0]) => ({
    rate: eta,
    decay: lambd * eta,
    mu: 1 / Math.max(1, t - 1 - t0),
  }),
}));
