import { choice, nonNegative, positive, ruleFactory } from "../rule.js";
import shader from "../shaders/polyak-sgd.wgsl";

/**
 * SGD at Polyak's step size, from how far the loss is above its minimum. Each step is handed the loss where its gradients
 * were taken, `optimizer.step({ loss })`: one f32 on the GPU, without a loss scale. One that is not finite takes no step.
 */
export const polyakSgd = /* @__PURE__ */ ruleFactory(() => ({
  name: "polyak-sgd",
  shader,
  options: {
    /** A factor on Polyak's step size. */
    lr: nonNegative(1),
    /** γmax. */
    maxRate: positive(1),
    /** c: Loizou et al. divide by it. */
    scale: positive(1),
    /** f*: the loss's least value, or a guess below it. */
    minimum: { kind: "number", default: 0, min: -Infinity, max: Infinity },
    eps: nonNegative(0),
    /** No step is taken where ‖g‖² + ε is up to this: 2⁻⁵² in optax. */
    leastSquare: nonNegative(0),
    /** Whether a loss below f* takes a step back (`sps`), or none (`sps+`, Garrigos et al. 2023). */
    variant: choice("sps", "sps+"),
  },
  formula: "θ ← θ − η·min(γmax, c·(f − f*)/(‖g‖² + ε))·g, ‖·‖ over all tensors, f the loss handed in",
  source: "Loizou et al. 2021, eq. 4; optax's polyak_sgd",
  scope: "all",
  scalars: ({ variant }) => ({ least_gap: variant === "sps+" ? 0 : -1e38 }),
}));
