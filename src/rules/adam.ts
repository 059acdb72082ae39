import {
  choice,
  decoupledFirst,
  epsilon,
  flag,
  fraction,
  nonNegative,
  type OptionValues,
  ruleFactory,
} from "../rule.js";
import shader from "../shaders/adam.wgsl";
import adamaxShader from "../shaders/adam-adamax.wgsl";
import amsgradShader from "../shaders/adam-amsgrad.wgsl";
import nadamShader from "../shaders/adam-nadam.wgsl";

const adamOptions = () => ({
  beta1: fraction(0.9),
  beta2: fraction(0.999),
  eps: epsilon(1e-8),
  /** Joins v̂ inside the root, beside the ε outside (optax). */
  epsRoot: nonNegative(0),
  /** Whether ε stands beside √v instead of √v̂: "epsilon hat" (Keras, TensorFlow 1; the paper's end of section 2). */
  epsHat: flag(false),
});
type AdamOptions = OptionValues<ReturnType<typeof adamOptions>>;
const constants = ({ epsRoot }: AdamOptions) => ({ eps_root: epsRoot });
/** The rate that √(1 − β2ᵗ) joins where ε stands beside √v. */
const rateOf = ({ beta2, epsHat }: AdamOptions, t: number, lr: number) =>
  epsHat ? lr * Math.sqrt(1 - beta2 ** t) : lr;
const scalars = (options: AdamOptions, t: number, lr: number) => ({
  step_size: rateOf(options, t, lr) / (1 - options.beta1 ** t),
  inverse_bias_correction2: options.epsHat ? 1 : 1 / (1 - options.beta2 ** t),
});

/** Adam. */
export const adam = /* @__PURE__ */ ruleFactory(() => ({
  name: "adam",
  shader,
  options: adamOptions(),
  formula:
    "m ← β1m + (1−β1)g, v ← β2v + (1−β2)g², θ ← θ − η·m̂/(√v̂ + ε), m̂ = m/(1−β1ᵗ), v̂ = v/(1−β2ᵗ); epsHat: η√(1−β2ᵗ)·m̂/(√v + ε)",
  source: "Kingma & Ba 2015, algorithm 1; PyTorch Adam",
  constants,
  scalars,
}));

/** Adam with the largest second moment so far. */
export const amsgrad = /* @__PURE__ */ ruleFactory(() => ({
  name: "amsgrad",
  shader: amsgradShader,
  options: {
    ...adamOptions(),
    /** Of v, corrected by the step at hand (PyTorch, Keras), or of v̂ (optax). */
    maximum: choice("raw", "corrected"),
  },
  formula: "as adam, with v̂ = max(v₁ … v_t)/(1−β2ᵗ); corrected: max(v̂₁ … v̂_t)",
  source: "Reddi, Kale & Kumar 2018, algorithm 2; PyTorch Adam(amsgrad=True)",
  constants,
  scalars: (options, t, lr) => {
    const correction2 = 1 - options.beta2 ** t;
    const corrected = options.maximum === "corrected";
    return {
      step_size: rateOf(options, t, lr) / (1 - options.beta1 ** t),
      correction_in: corrected ? 1 / correction2 : 1,
      correction_out: (corrected ? 1 : 1 / correction2) * (options.epsHat ? correction2 : 1),
    };
  },
}));

/** Adam with decoupled weight decay. */
export const adamw = /* @__PURE__ */ ruleFactory(() => ({
  name: "adamw",
  shader,
  options: { ...adamOptions(), weightDecay: nonNegative(1e-2), decay: decoupledFirst() },
  formula: "as adam, with θ ← θ − ηλθ first",
  source: "Loshchilov & Hutter 2019, algorithm 2; PyTorch AdamW",
  constants,
  scalars,
}));

/** AdaMax: Adam under the infinity norm. With `eps: 0`, the paper's form. */
export const adamax = /* @__PURE__ */ ruleFactory(() => ({
  name: "adamax",
  shader: adamaxShader,
  options: {
    lr: nonNegative(2e-3),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: nonNegative(1e-8),
    /** Whether ε joins the denominator (Keras, TensorFlow 1) instead of the norm (PyTorch, optax). */
    epsOutside: flag(false),
  },
  formula: "m ← β1m + (1−β1)g, u ← max(β2u, |g| + ε), θ ← θ − η/(1−β1ᵗ)·m/u, or u ← max(β2u, |g|), m/(u + ε)",
  source: "Kingma & Ba 2015, algorithm 2; PyTorch Adamax",
  scalars: ({ beta1, eps, epsOutside }, t, lr) => ({
    step_size: lr / (1 - beta1 ** t),
    eps_in: epsOutside ? 0 : eps,
    eps_out: epsOutside ? eps : 0,
  }),
}));

const nadamOptions = () => ({
  ...adamOptions(),
  lr: nonNegative(2e-3),
  /** ψ of the schedule of μ: 0.004 in PyTorch, 1 in Keras. */
  momentumDecay: nonNegative(4e-3),
  /**
   * `scheduled`: μ_t by the paper's schedule in the update and β1 in m (PyTorch, Keras); `paper`: μ_t in m as well (Dozat's
   * algorithm 2); `constant`: β1 throughout (optax); `shared`: that with one correction 1 − β1ᵗ for both (TensorFlow 1).
   */
  form: choice("scheduled", "paper", "constant", "shared"),
});
/** μ_t of Nadam's momentum schedule. */
const muOf = ({ beta1, momentumDecay, form }: OptionValues<ReturnType<typeof nadamOptions>>, t: number) =>
  form === "constant" || form === "shared" ? beta1 : beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay));

/** Nadam: Adam with Nesterov momentum and the paper's momentum schedule. Its memory is the product of μ up to step t. */
export const nadam = /* @__PURE__ */ ruleFactory(() => ({
  name: "nadam",
  shader: nadamShader,
  options: nadamOptions(),
  formula:
    "m, v of adam; μ_t = β1(1 − ½·0.96^(tψ)), θ ← θ − η[(1−μ_t)g/(1−Πμ) + μ_{t+1}m/(1−Πμ·μ_{t+1})]/(√v̂ + ε); paper: μ_t in m; constant: β1 for μ_t; shared: [(1−β1)g + β1m]/(1−β1ᵗ)",
  source: "Dozat 2016, algorithm 2; PyTorch NAdam",
  memory: [1],
  constants,
  advance: (options, t, _lr, [product = 1]) => [product * muOf(options, t)],
  scalars: (options, t, lr, [product = 1]) => {
    const [mu, next] = [muOf(options, t), muOf(options, t + 1)];
    const rate = rateOf(options, t, lr);
    return {
      beta1: options.form === "paper" ? mu : options.beta1,
      gradient_rate: (rate * (1 - mu)) / (1 - product),
      momentum_rate: (rate * next) / (1 - (options.form === "shared" ? product : product * next)),
      inverse_bias_correction2: options.epsHat ? 1 : 1 / (1 - options.beta2 ** t),
    };
  },
}));
