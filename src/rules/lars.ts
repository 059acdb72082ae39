import { choice, decoupledRate, flag, fraction, nonNegative, positive, ruleFactory } from "../rule.js";
import shader from "../shaders/lars.wgsl";

/** LARS: momentum at a rate of each tensor's own, by how large its parameters are beside its gradient. */
export const lars = /* @__PURE__ */ ruleFactory(() => ({
  name: "lars",
  shader,
  options: {
    lr: nonNegative(1),
    momentum: fraction(0.9),
    /** c. */
    trustCoefficient: positive(1e-3),
    eps: nonNegative(0),
    /** The rate within the momentum (paper, optax), so that a change of it acts late, or outside (PyTorch's SGD, timm). */
    form: choice("velocity", "buffer"),
    nesterov: flag(false),
    /** Whether a tensor has a rate of its own; biases and norms often go without. */
    adapt: flag(true),
    /** `decoupled` from the norm of g, beside which ‖λθ‖ stands (paper, timm), or `coupled`: ‖g + λθ‖ (optax). */
    decay: choice("decoupled", "coupled"),
  },
  formula:
    "u = g + λθ, trust = c‖θ‖/(‖g‖ + λ‖θ‖ + ε) of the tensor, 1 where a norm is 0; b ← μb + η·trust·u, θ ← θ − b, nesterov: θ ← θ − (μb + η·trust·u); buffer: b ← μb + trust·u, θ ← θ − ηb",
  source: "You, Gitman & Ginsburg 2017, algorithm 1",
  ownDecay: true,
  scalars: (options, _t, lr) => {
    const { momentum, form, nesterov, adapt } = options;
    const [gradientIn, out] = form === "velocity" ? [lr, 1] : [1, lr];
    return {
      gradient_in: gradientIn,
      buffer_out: nesterov ? out * momentum : out,
      gradient_out: nesterov ? lr : 0,
      decay: decoupledRate(options, 1),
      adapt: Number(adapt),
    };
  },
}));
