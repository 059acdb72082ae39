import { choice, decoupledRate, epsilon, flag, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/novograd.wgsl";

/** NovoGrad: momentum over gradients divided by an average of their tensor's norm. */
export const novograd = /* @__PURE__ */ ruleFactory(() => ({
  name: "novograd",
  shader,
  options: {
    lr: nonNegative(1e-2),
    beta1: fraction(0.95),
    beta2: fraction(0.98),
    eps: epsilon(1e-8),
    /** Whether what enters m is scaled by 1 − β1 from the second step on (TensorFlow Addons' grad_averaging). */
    gradientAveraging: flag(false),
    /** `decoupled` from the norm: λθ enters m. */
    decay: choice("decoupled", "coupled"),
  },
  formula: "v ← β2v + (1−β2)‖g‖² of the tensor, v₁ = ‖g‖²; m ← β1m + (g/(√v + ε) + λθ), θ ← θ − ηm",
  source: "Ginsburg et al. 2019, algorithm 1",
  ownDecay: true,
  scalars: (options, t) => ({
    gradient_in: options.gradientAveraging && t > 1 ? 1 - options.beta1 : 1,
    norm_kept: t === 1 ? 0 : options.beta2,
    norm_in: t === 1 ? 1 : 1 - options.beta2,
    decay: decoupledRate(options, 1),
  }),
}));
