// One row per rule, in order of increasing complexity. To add a rule: its WGSL file in shaders/, a row here,
// its float64 function in reference/. Tests, the table of the docs and the conformance run follow the row.
import {
  choice,
  flag,
  fraction,
  nonNegative,
  type OptionValues,
  positive,
  type RuleFactory,
  ruleFactory,
} from "./rule.js";
import adabeliefShader from "./shaders/adabelief.wgsl";
import adabeliefAmsgradShader from "./shaders/adabelief-amsgrad.wgsl";
import adadeltaShader from "./shaders/adadelta.wgsl";
import adagradShader from "./shaders/adagrad.wgsl";
import adamShader from "./shaders/adam.wgsl";
import adamaxShader from "./shaders/adamax.wgsl";
import adanShader from "./shaders/adan.wgsl";
import ademamixShader from "./shaders/ademamix.wgsl";
import amsgradShader from "./shaders/amsgrad.wgsl";
import asgdShader from "./shaders/asgd.wgsl";
import ftrlShader from "./shaders/ftrl.wgsl";
import lionShader from "./shaders/lion.wgsl";
import momentumShader from "./shaders/momentum.wgsl";
import nadamShader from "./shaders/nadam.wgsl";
import nesterovLookaheadShader from "./shaders/nesterov-lookahead.wgsl";
import novogradShader from "./shaders/novograd.wgsl";
import prodigyShader from "./shaders/prodigy.wgsl";
import radamShader from "./shaders/radam.wgsl";
import radamAmsgradShader from "./shaders/radam-amsgrad.wgsl";
import rmspropShader from "./shaders/rmsprop.wgsl";
import rmspropCenteredShader from "./shaders/rmsprop-centered.wgsl";
import rmspropCenteredMomentumShader from "./shaders/rmsprop-centered-momentum.wgsl";
import rmspropMomentumShader from "./shaders/rmsprop-momentum.wgsl";
import rmspropNesterovShader from "./shaders/rmsprop-nesterov.wgsl";
import rpropShader from "./shaders/rprop.wgsl";
import scheduleFreeAdamwShader from "./shaders/schedule-free-adamw.wgsl";
import scheduleFreeSgdShader from "./shaders/schedule-free-sgd.wgsl";
import sgdShader from "./shaders/sgd.wgsl";
import signSgdShader from "./shaders/sign-sgd.wgsl";
import sophiaShader from "./shaders/sophia.wgsl";
import yogiShader from "./shaders/yogi.wgsl";

/** Gradient descent. Full batch, mini-batch and single sample differ only in what the gradient averages over. */
export const sgd = /* @__PURE__ */ ruleFactory({
  name: "sgd",
  shader: sgdShader,
  options: {},
  formula: "θ ← θ − ηg",
  source: "Robbins & Monro 1951; PyTorch SGD",
  scalars: (_options, _t, lr) => ({ rate: lr }),
});

/**
 * Momentum in its four forms: `buffer` with the rate outside (PyTorch; with dampening 0 also TensorFlow 1 and
 * optax), `velocity` with the rate inside (Polyak 1964, Keras), so that a change of rate acts late, and `average`.
 */
export const momentum = /* @__PURE__ */ ruleFactory({
  name: "momentum",
  shader: momentumShader,
  options: {
    momentum: fraction(0.9),
    /** Of form `buffer`: b ← μb + (1 − dampening)g from the second step on. */
    dampening: { kind: "number", default: 0, min: 0, max: 1 },
    form: choice("buffer", "velocity", "average"),
  },
  formula:
    "buffer: b ← μb + (1−d)g, b₁ = g, θ ← θ − ηb; velocity: b ← μb + ηg, θ ← θ − b; average: b ← μb + (1−μ)g, θ ← θ − ηb",
  source: "Polyak 1964; Sutskever et al. 2013; PyTorch SGD",
  scalars: ({ momentum, dampening, form }, t, lr) => {
    if (form === "velocity") return { decay: momentum, gradient_in: lr, buffer_out: 1, gradient_out: 0 };
    if (form === "average")
      return { decay: momentum, gradient_in: 1 - momentum, buffer_out: lr, gradient_out: 0 };
    return { decay: momentum, gradient_in: t === 1 ? 1 : 1 - dampening, buffer_out: lr, gradient_out: 0 };
  },
});

/** Nesterov momentum in the shifted form, which needs no second point: `buffer` (PyTorch, optax) or `velocity` (Keras). */
export const nesterov = /* @__PURE__ */ ruleFactory({
  name: "nesterov",
  shader: momentumShader,
  options: { momentum: fraction(0.9), form: choice("buffer", "velocity") },
  formula: "buffer: b ← μb + g, θ ← θ − η(g + μb); velocity: b ← μb + ηg, θ ← θ − (μb + ηg)",
  source: "Sutskever et al. 2013, eq. 6–7 shifted; PyTorch SGD, Keras SGD",
  scalars: ({ momentum, form }, _t, lr) =>
    form === "velocity"
      ? { decay: momentum, gradient_in: lr, buffer_out: momentum, gradient_out: lr }
      : { decay: momentum, gradient_in: 1, buffer_out: lr * momentum, gradient_out: lr },
});

/** Nesterov momentum as printed: the gradient is taken at the look-ahead point, which `lookahead()` writes first. */
export const nesterovLookahead = /* @__PURE__ */ ruleFactory({
  name: "nesterov-lookahead",
  shader: nesterovLookaheadShader,
  options: { momentum: fraction(0.9) },
  formula: "g at θ − μb; b ← μb + ηg, θ ← θ − b",
  source: "Nesterov 1983; Sutskever et al. 2013, eq. 3–4",
  scalars: ({ momentum }, _t, lr) => ({ decay: momentum, rate: lr }),
});

/** AdaGrad, with PyTorch's decay of the rate and initial accumulator, and ε outside or inside the root. */
export const adagrad = /* @__PURE__ */ ruleFactory({
  name: "adagrad",
  shader: adagradShader,
  options: {
    lr: nonNegative(1e-2),
    /** The rate of step t is η / (1 + (t − 1)·lrDecay). */
    lrDecay: nonNegative(0),
    initialAccumulatorValue: nonNegative(0),
    eps: nonNegative(1e-10),
    epsInside: flag(false),
  },
  formula: "s ← s + g², θ ← θ − η/(1+(t−1)·lrDecay)·g/(√s + ε), or /√(s + ε)",
  source: "Duchi, Hazan & Singer 2011, sec. 1.2; PyTorch Adagrad",
  constants: ({ epsInside }) => ({ eps_inside: epsInside ? 1 : 0 }),
  initial: ({ initialAccumulatorValue }) => ({ sum: initialAccumulatorValue }),
  scalars: ({ lrDecay, eps }, t, lr) => ({ rate: lr / (1 + (t - 1) * lrDecay), eps }),
});

const rmspropOptions = {
  lr: nonNegative(1e-2),
  /** Decay rate of the averages. */
  alpha: fraction(0.99),
  eps: positive(1e-8),
  epsInside: flag(false),
  /** v before the first step: 1 in TensorFlow 1, optax's initial_scale. */
  initialSquareAvg: nonNegative(0),
} as const;
type RmspropOptions = OptionValues<typeof rmspropOptions>;
const rmspropConstants = ({ epsInside }: RmspropOptions) => ({ eps_inside: epsInside ? 1 : 0 });
const rmspropInitial = ({ initialSquareAvg }: RmspropOptions) => ({ square_avg: initialSquareAvg });
const rmspropAverages = ({ alpha, eps }: RmspropOptions) => ({ alpha, one_minus_alpha: 1 - alpha, eps });

/** Not of centered rules: of one gradient, the corrected variance is 0. */
const rmspropCorrectionOptions = {
  /** Whether v is divided by 1 − αᵗ, as optax can. */
  biasCorrection: flag(false),
} as const;
const rmspropCorrection = (
  { alpha, biasCorrection }: RmspropOptions & OptionValues<typeof rmspropCorrectionOptions>,
  t: number,
) => ({ inverse_bias_correction: biasCorrection ? 1 / (1 - alpha ** t) : 1 });

/** RMSProp, with ε outside or inside the root. */
export const rmsprop = /* @__PURE__ */ ruleFactory({
  name: "rmsprop",
  shader: rmspropShader,
  options: { ...rmspropOptions, ...rmspropCorrectionOptions },
  formula: "v ← αv + (1−α)g², θ ← θ − ηg/(√v + ε), or /√(v + ε)",
  source: "Tieleman & Hinton 2012, lecture 6.5; PyTorch RMSprop",
  constants: rmspropConstants,
  initial: rmspropInitial,
  scalars: (options, t, lr) => ({ rate: lr, ...rmspropAverages(options), ...rmspropCorrection(options, t) }),
});

/** Centered RMSProp: divides by the deviation of the gradient instead of its root mean square. */
export const rmspropCentered = /* @__PURE__ */ ruleFactory({
  name: "rmsprop-centered",
  shader: rmspropCenteredShader,
  options: rmspropOptions,
  formula: "v ← αv + (1−α)g², ḡ ← αḡ + (1−α)g, θ ← θ − ηg/(√max(v − ḡ², 0) + ε)",
  source: "Graves 2013, eq. 38–45; PyTorch RMSprop",
  constants: rmspropConstants,
  initial: rmspropInitial,
  scalars: (options, _t, lr) => ({ rate: lr, ...rmspropAverages(options) }),
});

const rmspropMomentumOptions = {
  ...rmspropOptions,
  momentum: fraction(0.9),
  /** Whether η enters the momentum buffer (Keras, TensorFlow 1, optax) or multiplies it (PyTorch). */
  rateInside: flag(false),
  /** Whether the update looks one step ahead, as optax can: μb and the buffer's new addend instead of b. */
  nesterov: flag(false),
} as const;
const rmspropMomentumScalars = (options: OptionValues<typeof rmspropMomentumOptions>, lr: number) => {
  const { momentum, rateInside, nesterov } = options;
  const rateOut = rateInside ? 1 : lr;
  return {
    rate_in: rateInside ? lr : 1,
    buffer_out: nesterov ? momentum * rateOut : rateOut,
    scaled_out: nesterov ? rateOut : 0,
    momentum,
    ...rmspropAverages(options),
  };
};

/** RMSProp with momentum over the scaled gradient. */
export const rmspropMomentum = /* @__PURE__ */ ruleFactory({
  name: "rmsprop-momentum",
  shader: rmspropMomentumShader,
  options: { ...rmspropMomentumOptions, ...rmspropCorrectionOptions },
  formula: "v ← αv + (1−α)g², b ← μb + g/(√v + ε), θ ← θ − ηb; rateInside: b ← μb + ηg/(√v + ε), θ ← θ − b",
  source: "PyTorch RMSprop; with rateInside Keras and TensorFlow 1",
  constants: rmspropConstants,
  initial: rmspropInitial,
  scalars: (options, t, lr) => ({ ...rmspropMomentumScalars(options, lr), ...rmspropCorrection(options, t) }),
});

/** Centered RMSProp with momentum over the scaled gradient. */
export const rmspropCenteredMomentum = /* @__PURE__ */ ruleFactory({
  name: "rmsprop-centered-momentum",
  shader: rmspropCenteredMomentumShader,
  options: rmspropMomentumOptions,
  formula: "v ← αv + (1−α)g², ḡ ← αḡ + (1−α)g, b ← μb + g/(√max(v − ḡ², 0) + ε), θ ← θ − ηb",
  source: "Graves 2013, eq. 38–45; PyTorch RMSprop",
  constants: rmspropConstants,
  initial: rmspropInitial,
  scalars: (options, _t, lr) => rmspropMomentumScalars(options, lr),
});

/** RMSProp with Nesterov momentum, gradient at the look-ahead point, without ε: a coordinate with r = 0 is left alone. */
export const rmspropNesterov = /* @__PURE__ */ ruleFactory({
  name: "rmsprop-nesterov",
  shader: rmspropNesterovShader,
  options: { rho: fraction(0.9), momentum: fraction(0.9) },
  formula: "g at θ − μb; r ← ρr + (1−ρ)g², b ← μb + η/√r·g (r = 0: no addend), θ ← θ − b",
  source: "Goodfellow, Bengio & Courville 2016, algorithm 8.6",
  scalars: ({ rho, momentum }, _t, lr) => ({ rate: lr, decay: momentum, rho, one_minus_rho: 1 - rho }),
});

/** Adadelta. The paper has no rate: the default is 1. */
export const adadelta = /* @__PURE__ */ ruleFactory({
  name: "adadelta",
  shader: adadeltaShader,
  options: { lr: nonNegative(1), rho: fraction(0.9), eps: positive(1e-6) },
  formula: "E ← ρE + (1−ρ)g², Δ = √(X+ε)/√(E+ε)·g, X ← ρX + (1−ρ)Δ², θ ← θ − ηΔ",
  source: "Zeiler 2012, algorithm 1; PyTorch Adadelta",
  scalars: ({ rho, eps }, _t, lr) => ({ rate: lr, rho, one_minus_rho: 1 - rho, eps }),
});

const momentOptions = { beta1: fraction(0.9), beta2: fraction(0.999), eps: positive(1e-8) } as const;
const adamOptions = {
  ...momentOptions,
  /** Joins v̂ inside the root, beside the ε outside (optax). */
  epsRoot: nonNegative(0),
  /** Whether ε stands beside √v instead of √v̂: "epsilon hat" (Keras, TensorFlow 1; the paper's end of section 2). */
  epsHat: flag(false),
} as const;
type AdamOptions = OptionValues<typeof adamOptions>;
const adamConstants = ({ epsRoot }: AdamOptions) => ({ eps_root: epsRoot });
const adamMoments = ({ beta1, beta2, eps }: AdamOptions) => ({
  beta1,
  one_minus_beta1: 1 - beta1,
  beta2,
  one_minus_beta2: 1 - beta2,
  eps,
});
/** The rate that √(1 − β2ᵗ) joins where ε stands beside √v. */
const adamRate = ({ beta2, epsHat }: AdamOptions, t: number, lr: number) =>
  epsHat ? lr * Math.sqrt(1 - beta2 ** t) : lr;
const adamScalars = (options: AdamOptions, t: number, lr: number) => ({
  step_size: adamRate(options, t, lr) / (1 - options.beta1 ** t),
  inverse_bias_correction2: options.epsHat ? 1 : 1 / (1 - options.beta2 ** t),
  ...adamMoments(options),
});

/** Adam. */
export const adam = /* @__PURE__ */ ruleFactory({
  name: "adam",
  shader: adamShader,
  options: adamOptions,
  formula:
    "m ← β1m + (1−β1)g, v ← β2v + (1−β2)g², θ ← θ − η·m̂/(√v̂ + ε), m̂ = m/(1−β1ᵗ), v̂ = v/(1−β2ᵗ); epsHat: η√(1−β2ᵗ)·m̂/(√v + ε)",
  source: "Kingma & Ba 2015, algorithm 1; PyTorch Adam",
  constants: adamConstants,
  scalars: adamScalars,
});

/** Adam with the largest second moment so far. */
export const amsgrad = /* @__PURE__ */ ruleFactory({
  name: "amsgrad",
  shader: amsgradShader,
  options: {
    ...adamOptions,
    /** Of v, corrected by the step at hand (PyTorch, Keras), or of v̂ (optax). */
    maximum: choice("raw", "corrected"),
  },
  formula: "as adam, with v̂ = max(v₁ … v_t)/(1−β2ᵗ); corrected: max(v̂₁ … v̂_t)",
  source: "Reddi, Kale & Kumar 2018, algorithm 2; PyTorch Adam(amsgrad=True)",
  constants: adamConstants,
  scalars: (options, t, lr) => {
    const correction2 = 1 - options.beta2 ** t;
    const corrected = options.maximum === "corrected";
    return {
      step_size: adamRate(options, t, lr) / (1 - options.beta1 ** t),
      correction_in: corrected ? 1 / correction2 : 1,
      correction_out: (corrected ? 1 : 1 / correction2) * (options.epsHat ? correction2 : 1),
      ...adamMoments(options),
    };
  },
});

/** Adam with decoupled weight decay. */
export const adamw = /* @__PURE__ */ ruleFactory({
  name: "adamw",
  shader: adamShader,
  options: {
    ...adamOptions,
    weightDecay: nonNegative(1e-2),
    decay: choice("decoupled", "coupled", "independent", "proximal", "cautious"),
  },
  formula: "as adam, with θ ← θ − ηλθ first",
  source: "Loshchilov & Hutter 2019, algorithm 2; PyTorch AdamW",
  constants: adamConstants,
  scalars: adamScalars,
});

/** AdaMax: Adam under the infinity norm. With `eps: 0`, the paper's form. */
export const adamax = /* @__PURE__ */ ruleFactory({
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
  scalars: ({ beta1, beta2, eps, epsOutside }, t, lr) => ({
    step_size: lr / (1 - beta1 ** t),
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    eps_in: epsOutside ? 0 : eps,
    eps_out: epsOutside ? eps : 0,
  }),
});

const nadamOptions = {
  ...adamOptions,
  lr: nonNegative(2e-3),
  /** ψ of the schedule of μ: 0.004 in PyTorch, 1 in Keras. */
  momentumDecay: nonNegative(4e-3),
  /** μ_t by the paper's schedule, or β1 throughout (optax), or that with one correction 1 − β1ᵗ for both (TensorFlow 1). */
  form: choice("scheduled", "constant", "shared"),
} as const;
/** μ_t of Nadam's momentum schedule. */
const nadamMu = ({ beta1, momentumDecay, form }: OptionValues<typeof nadamOptions>, t: number) =>
  form === "scheduled" ? beta1 * (1 - 0.5 * 0.96 ** (t * momentumDecay)) : beta1;

/** Nadam: Adam with Nesterov momentum and the paper's momentum schedule. Its memory is the product of μ up to step t. */
export const nadam = /* @__PURE__ */ ruleFactory({
  name: "nadam",
  shader: nadamShader,
  options: nadamOptions,
  formula:
    "moments of adam; μ_t = β1(1 − ½·0.96^(tψ)), θ ← θ − η[(1−μ_t)g/(1−Πμ) + μ_{t+1}m/(1−Πμ·μ_{t+1})]/(√v̂ + ε); constant: μ_t = β1; shared: [(1−β1)g + β1m]/(1−β1ᵗ)",
  source: "Dozat 2016, algorithm 2; PyTorch NAdam",
  memory: [1],
  constants: adamConstants,
  advance: (options, t, _lr, [product = 1]) => [product * nadamMu(options, t)],
  scalars: (options, t, lr, [product = 1]) => {
    const next = nadamMu(options, t + 1);
    const rate = adamRate(options, t, lr);
    return {
      gradient_rate: (rate * (1 - nadamMu(options, t))) / (1 - product),
      momentum_rate: (rate * next) / (1 - (options.form === "shared" ? product : product * next)),
      inverse_bias_correction2: options.epsHat ? 1 : 1 / (1 - options.beta2 ** t),
      ...adamMoments(options),
    };
  },
});

/**
 * The rates of a rectified Adam step: by momentum alone while ρ_t, the length of the average that v stands for, is at
 * most the threshold; then Adam's, times r_t (Liu et al. 2020, algorithm 2).
 */
const rectifiedRates = (beta1: number, beta2: number, threshold: number, t: number, lr: number) => {
  const longest = 2 / (1 - beta2) - 1;
  const length = longest - (2 * t * beta2 ** t) / (1 - beta2 ** t);
  const rate = lr / (1 - beta1 ** t);
  if (!(length > threshold)) return { momentum_rate: rate, adaptive_rate: 0 };
  const variance = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length);
  return { momentum_rate: 0, adaptive_rate: rate * Math.sqrt(variance) };
};

const radamOptions = {
  ...momentOptions,
  /** ρ_t above which the step is Adam's: 5 in PyTorch, optax and TensorFlow Addons, 4 in the paper. */
  threshold: { kind: "number", default: 5, min: 4, max: Infinity },
  /** ε beside √v (PyTorch) or, if false, beside √v̂ (optax, TensorFlow Addons). */
  epsHat: flag(true),
} as const;
const radamScalars = (
  { beta1, beta2, eps, threshold, epsHat }: OptionValues<typeof radamOptions>,
  t: number,
  lr: number,
) => {
  const { momentum_rate, adaptive_rate } = rectifiedRates(beta1, beta2, threshold, t, lr);
  const correction2 = 1 - beta2 ** t;
  return {
    momentum_rate,
    adaptive_rate: epsHat ? adaptive_rate * Math.sqrt(correction2) : adaptive_rate,
    beta1,
    one_minus_beta1: 1 - beta1,
    beta2,
    one_minus_beta2: 1 - beta2,
    inverse_bias_correction2: epsHat ? 1 : 1 / correction2,
    eps,
  };
};

/** Adam whose first steps go by momentum alone, until the second moment is worth dividing by. */
export const radam = /* @__PURE__ */ ruleFactory({
  name: "radam",
  shader: radamShader,
  options: radamOptions,
  formula:
    "moments of adam; ρ_t = ρ∞ − 2tβ2ᵗ/(1−β2ᵗ), ρ∞ = 2/(1−β2) − 1; ρ_t > threshold: θ ← θ − ηr_t·m̂·√(1−β2ᵗ)/(√v + ε), r_t² = (ρ_t−4)(ρ_t−2)ρ∞/((ρ∞−4)(ρ∞−2)ρ_t); else θ ← θ − ηm̂",
  source: "Liu et al. 2020, algorithm 2; PyTorch RAdam",
  scalars: radamScalars,
});

/** RAdam with the largest second moment so far. */
export const radamAmsgrad = /* @__PURE__ */ ruleFactory({
  name: "radam-amsgrad",
  shader: radamAmsgradShader,
  options: radamOptions,
  formula: "as radam, with v = max(v₁ … v_t)",
  source: "Liu et al. 2020 with Reddi, Kale & Kumar 2018; TensorFlow Addons RectifiedAdam(amsgrad=True)",
  scalars: radamScalars,
});

/**
 * Rprop, for full batches: only the signs of the gradients count. The rate is the step size that every element begins
 * with, and no more: as in PyTorch, later rates change nothing, and a rate of 0 still moves by the smallest step size.
 */
export const rprop = /* @__PURE__ */ ruleFactory({
  name: "rprop",
  shader: rpropShader,
  options: {
    lr: nonNegative(1e-2),
    etaMinus: { kind: "number", default: 0.5, min: 0, exclusiveMin: true, max: 1, exclusiveMax: true },
    etaPlus: { kind: "number", default: 1.2, min: 1, exclusiveMin: true, max: Infinity },
    stepSizeMin: positive(1e-6),
    stepSizeMax: positive(50),
    /** Whether each step is taken one step late, and not at all where the gradient has turned (optax). */
    delayed: flag(false),
  },
  formula:
    "g·g₋₁ > 0: Δ ← min(η⁺Δ, Δmax); g·g₋₁ < 0: Δ ← max(η⁻Δ, Δmin), g ← 0; θ ← θ − Δ·sign(g); Δ₀ = η; delayed: θ ← θ − Δ₋₁·sign(g₋₁) unless g·g₋₁ < 0",
  source: "Riedmiller & Braun 1993, without backtracking; PyTorch Rprop",
  constants: ({ delayed }) => ({ delayed: delayed ? 1 : 0 }),
  scalars: ({ etaMinus, etaPlus, stepSizeMin, stepSizeMax }, _t, lr) => ({
    first_step_size: lr,
    eta_minus: etaMinus,
    eta_plus: etaPlus,
    // As in PyTorch, the upper bound counts where the two are the wrong way round.
    step_size_min: Math.min(stepSizeMin, stepSizeMax),
    step_size_max: stepSizeMax,
  }),
});

/**
 * Averaged SGD: state `ax` is the average of the parameters from step t0 on, and where to evaluate. Its memory is PyTorch's `eta` and `mu` for
 * the step after, since the rate of a step comes from that of the step before, and `eta` of the step itself.
 */
export const asgd = /* @__PURE__ */ ruleFactory({
  name: "asgd",
  shader: asgdShader,
  options: {
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
  scalars: ({ lambd, t0 }, t, _lr, [, , eta = 0]) => {
    const mu = 1 / Math.max(1, t - 1 - t0);
    return { rate: eta, decay: lambd * eta, mu, one_minus_mu: 1 - mu };
  },
});

const decoupledFirst = choice("decoupled", "coupled", "independent", "proximal", "cautious");

const lionScalars = (beta1: number, beta2: number, lr: number) => ({
  rate: lr,
  beta1,
  one_minus_beta1: 1 - beta1,
  beta2,
  one_minus_beta2: 1 - beta2,
});

/** Lion: the sign of an average that looks back less far than the one it keeps. */
export const lion = /* @__PURE__ */ ruleFactory({
  name: "lion",
  shader: lionShader,
  options: {
    lr: nonNegative(1e-4),
    beta1: fraction(0.9),
    beta2: fraction(0.99),
    decay: decoupledFirst,
  },
  formula: "θ ← θ − η·sign(β1m + (1−β1)g), then m ← β2m + (1−β2)g",
  source: "Chen et al. 2023, algorithm 2",
  scalars: ({ beta1, beta2 }, _t, lr) => lionScalars(beta1, beta2, lr),
});

/** signSGD: the sign of the gradient. */
export const signSgd = /* @__PURE__ */ ruleFactory({
  name: "sign-sgd",
  shader: signSgdShader,
  options: {},
  formula: "θ ← θ − η·sign(g)",
  source: "Bernstein et al. 2018, algorithm 1",
  scalars: (_options, _t, lr) => ({ rate: lr }),
});

/** Signum: the sign of an average of gradients; Lion with one β. */
export const signum = /* @__PURE__ */ ruleFactory({
  name: "signum",
  shader: lionShader,
  options: { momentum: fraction(0.9) },
  formula: "m ← βm + (1−β)g, θ ← θ − η·sign(m)",
  source: "Bernstein et al. 2018, algorithm 2",
  scalars: ({ momentum }, _t, lr) => lionScalars(momentum, momentum, lr),
});

const adabeliefOptions = {
  beta1: fraction(0.9),
  beta2: fraction(0.999),
  /** Beside the root; the paper has one ε in both places. */
  eps: positive(1e-16),
  /** Added to s in every step. */
  epsRoot: nonNegative(1e-16),
  rectify: flag(false),
  decay: decoupledFirst,
} as const;
const adabeliefScalars = (
  { beta1, beta2, eps, epsRoot, rectify }: OptionValues<typeof adabeliefOptions>,
  t: number,
  lr: number,
) => ({
  ...(rectify
    ? rectifiedRates(beta1, beta2, 5, t, lr)
    : { momentum_rate: 0, adaptive_rate: lr / (1 - beta1 ** t) }),
  beta1,
  one_minus_beta1: 1 - beta1,
  beta2,
  one_minus_beta2: 1 - beta2,
  inverse_bias_correction2: 1 / (1 - beta2 ** t),
  eps,
  eps_root: epsRoot,
});

/** AdaBelief: Adam that divides by how far the gradient is from its average; on request rectified as RAdam is. */
export const adabelief = /* @__PURE__ */ ruleFactory({
  name: "adabelief",
  shader: adabeliefShader,
  options: adabeliefOptions,
  formula:
    "m ← β1m + (1−β1)g, s ← β2s + (1−β2)(g−m)² + ε_root, θ ← θ − η·m̂/(√ŝ + ε); rectify: rates of radam",
  source: "Zhuang et al. 2020, algorithm 2; ε of the authors' code and optax",
  scalars: adabeliefScalars,
});

/** AdaBelief with the largest s so far. */
export const adabeliefAmsgrad = /* @__PURE__ */ ruleFactory({
  name: "adabelief-amsgrad",
  shader: adabeliefAmsgradShader,
  options: adabeliefOptions,
  formula: "as adabelief, with s = max(s₁ … s_t) in the quotient",
  source: "Zhuang et al. 2020 with Reddi, Kale & Kumar 2018; TensorFlow Addons AdaBelief(amsgrad=True)",
  scalars: adabeliefScalars,
});

/** Yogi: Adam whose second moment changes by a bounded amount, so that the effective rate cannot jump. */
export const yogi = /* @__PURE__ */ ruleFactory({
  name: "yogi",
  shader: yogiShader,
  options: {
    lr: nonNegative(1e-2),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: positive(1e-3),
    /** First v. */
    initialAccumulatorValue: nonNegative(1e-6),
    /** First m, which optax begins like v. */
    initialExpAvg: nonNegative(0),
    /** Off in the paper's algorithm; optax and TensorFlow Addons correct. */
    biasCorrection: flag(false),
    /** With the correction, ε beside √v (TensorFlow Addons) instead of √v̂ (optax). */
    epsHat: flag(false),
    /** Strengths of the proximal step after the update, whose rate is that of the element (TensorFlow Addons). */
    l1: nonNegative(0),
    l2: nonNegative(0),
  },
  formula:
    "m ← β1m + (1−β1)g, v ← v − (1−β2)·sign(v−g²)·g², θ ← θ − η·m/(√v + ε); biasCorrection: m̂, v̂ of adam; l1, l2 with h = η/(√v + ε): then θ ← sign(θ)·max(|θ| − l1·h, 0)/(1 + l2·h)",
  source: "Zaheer et al. 2018, algorithm 2; first v of TensorFlow Addons",
  constants: ({ l1, l2 }) => ({ proximal: l1 > 0 || l2 > 0 ? 1 : 0 }),
  initial: ({ initialAccumulatorValue, initialExpAvg }) => ({
    exp_avg: initialExpAvg,
    exp_avg_sq: initialAccumulatorValue,
  }),
  scalars: ({ beta1, beta2, eps, biasCorrection, epsHat, l1, l2 }, t, lr) => {
    const correction1 = biasCorrection ? 1 - beta1 ** t : 1;
    const correction2 = biasCorrection ? 1 - beta2 ** t : 1;
    return {
      step_size: (lr / correction1) * (epsHat ? Math.sqrt(correction2) : 1),
      beta1,
      one_minus_beta1: 1 - beta1,
      one_minus_beta2: 1 - beta2,
      inverse_bias_correction2: epsHat ? 1 : 1 / correction2,
      eps,
      l1,
      l2,
    };
  },
});

/** Adan: Nesterov momentum by the change of the gradient. Its β are one minus the paper's, as in the authors' code. */
export const adan = /* @__PURE__ */ ruleFactory({
  name: "adan",
  shader: adanShader,
  options: {
    beta1: fraction(0.98),
    beta2: fraction(0.92),
    beta3: fraction(0.99),
    eps: positive(1e-8),
    /** Inside the root: 1e-8 in optax. */
    epsRoot: nonNegative(0),
    /** Weight of the change d: β2 in the paper (there 1 − β2), 1 − β2 in optax. */
    differenceWeight: choice("beta2", "one-minus-beta2"),
    decay: choice("proximal", "decoupled", "coupled", "independent", "cautious"),
  },
  formula:
    "d = g − g₋₁ (d₁ = 0), m ← β1m + (1−β1)g, v ← β2v + (1−β2)d, n ← β3n + (1−β3)(g + β2d)², θ ← (θ − η(m̂ + β2v̂)/(√(n̂ + ε_root) + ε))/(1 + ηλ)",
  source: "Xie et al. 2022, algorithm 1, averages from zero and corrected as in the authors' code",
  scalars: ({ beta1, beta2, beta3, eps, epsRoot, differenceWeight }, t, lr) => {
    const weight = differenceWeight === "beta2" ? beta2 : 1 - beta2;
    return {
      momentum_rate: lr / (1 - beta1 ** t),
      difference_rate: (lr * weight) / (1 - beta2 ** t),
      difference_in: t === 1 ? 0 : 1,
      difference_weight: weight,
      beta1,
      one_minus_beta1: 1 - beta1,
      beta2,
      one_minus_beta2: 1 - beta2,
      beta3,
      one_minus_beta3: 1 - beta3,
      inverse_bias_correction3: 1 / (1 - beta3 ** t),
      eps,
      eps_root: epsRoot,
    };
  },
});

/** AdEMAMix: Adam with a slow average of the gradient beside the fast one; both warm-ups are off at 0 steps. */
export const ademamix = /* @__PURE__ */ ruleFactory({
  name: "ademamix",
  shader: ademamixShader,
  options: {
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    /** Of the slow average. */
    beta3: fraction(0.9999),
    /** Weight of the slow average. */
    alpha: nonNegative(5),
    eps: positive(1e-8),
    /** Steps over which alpha grows from 0, in a line. */
    alphaWarmup: nonNegative(0),
    /** Steps over which the half-life of the slow average grows from that of β1 to its own, in a line. */
    beta3Warmup: nonNegative(0),
    decay: decoupledFirst,
  },
  formula:
    "m₁ ← β1m₁ + (1−β1)g, m₂ ← β3m₂ + (1−β3)g, v of adam, θ ← θ − η(m̂₁ + αm₂)/(√v̂ + ε); α(t) = min(t/T, 1)·α, 1/ln β3(t) from 1/ln β1 to 1/ln β3",
  source: "Pagliardini, Ablin & Grangier 2024, algorithm 1; defaults of optax",
  scalars: ({ beta1, beta2, beta3, alpha, eps, alphaWarmup, beta3Warmup }, t, lr) => {
    const part = (warmup: number) => (t < warmup ? t / warmup : 1);
    const share = part(beta3Warmup);
    const slow =
      share < 1
        ? Math.min(Math.exp(1 / ((1 - share) / Math.log(beta1) + share / Math.log(beta3))), beta3)
        : beta3;
    return {
      fast_rate: lr / (1 - beta1 ** t),
      slow_rate: lr * alpha * part(alphaWarmup),
      beta1,
      one_minus_beta1: 1 - beta1,
      beta2,
      one_minus_beta2: 1 - beta2,
      beta3: slow,
      one_minus_beta3: 1 - slow,
      inverse_bias_correction2: 1 / (1 - beta2 ** t),
      eps,
    };
  },
});

/**
 * FTRL-Proximal. The new parameter is a closed form of what the gradients add up to. So the first step forgets where the
 * parameter began, but for an initial accumulator of 0; zero gradients do not keep it; and another rate rescales what was
 * learnt: train it at a constant one.
 */
export const ftrl = /* @__PURE__ */ ruleFactory({
  name: "ftrl",
  shader: ftrlShader,
  options: {
    /** At a rate of 0, where the closed form has no value, nothing moves. */
    lr: nonNegative(1e-3),
    /** −p: −½ in the paper, 0 for a constant rate. */
    learningRatePower: { kind: "number", default: -0.5, min: -Infinity, max: 0 },
    initialAccumulatorValue: nonNegative(0.1),
    /** λ1 of the paper. */
    l1: nonNegative(0),
    /** Half the paper's λ2, as in TensorFlow. */
    l2: nonNegative(0),
    /** Pulls the parameter to zero by 2·l2Shrinkage·θ beside the gradient, but outside of n. */
    l2Shrinkage: nonNegative(0),
    /** β of the paper. */
    beta: nonNegative(0),
  },
  formula:
    "n ← n + g², z ← z + g + 2·shrinkage·θ − (nᵖ − n₋₁ᵖ)/η·θ, θ ← (clamp(z, ±l1) − z)/((β + nᵖ)/η + 2·l2), p = −learningRatePower",
  source: "McMahan et al. 2013, algorithm 1; Keras and TensorFlow Ftrl",
  constants: ({ learningRatePower }) => ({ square_root: learningRatePower === -0.5 ? 1 : 0 }),
  initial: ({ initialAccumulatorValue }) => ({ accumulator: initialAccumulatorValue }),
  scalars: ({ learningRatePower, l1, l2, l2Shrinkage, beta }, _t, lr) => ({
    inverse_rate: lr === 0 ? 0 : 1 / lr,
    power: -learningRatePower,
    l1,
    l2: (lr === 0 ? 0 : beta / lr) + 2 * l2,
    shrinkage: 2 * l2Shrinkage,
  }),
});

/**
 * Sophia: momentum divided by an average of diagonals of the Hessian, clipped at the rate. The caller hands an estimate in
 * by `optimizer.curvature()` every few steps; before the first one, Sophia steps by signs.
 */
export const sophia = /* @__PURE__ */ ruleFactory({
  name: "sophia",
  shader: sophiaShader,
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
    decay: decoupledFirst,
  },
  formula:
    "estimate ĥ: h ← β2h + (1−β2)ĥ; step: m ← β1m + (1−β1)g, θ ← θ − η·clip(m/max(γh, ε), ±ρ); biasCorrection: m̂ of adam",
  source: "Liu et al. 2023, algorithm 3",
  scalars: ({ beta1, beta2, gamma, eps, clipThreshold, biasCorrection }, t, lr) => {
    const scale = clipThreshold * (biasCorrection ? 1 - beta1 ** t : 1);
    return {
      rate: lr * clipThreshold,
      beta1,
      one_minus_beta1: 1 - beta1,
      beta2,
      one_minus_beta2: 1 - beta2,
      gamma: gamma * scale,
      eps: eps * scale,
    };
  },
});

/** Of Schedule-Free rules, which decay at y, where the gradient is taken. */
const scheduleFreeOptions = {
  /** Steps over which the rate grows from 0, in a line. */
  warmupSteps: nonNegative(0),
  decay: choice("decoupled", "coupled"),
} as const;
const warmedUp = (lr: number, warmupSteps: number, t: number) =>
  t < warmupSteps ? (lr * t) / warmupSteps : lr;
const decoupledRate = (decay: string, weightDecay: number, rate: number) =>
  decay === "decoupled" ? rate * weightDecay : 0;

/**
 * Schedule-Free SGD: the parameter is y, where gradients are taken; state `x` is the average to evaluate at. Its memory is
 * the sum of the average's weights γ².
 */
export const scheduleFreeSgd = /* @__PURE__ */ ruleFactory({
  name: "schedule-free-sgd",
  shader: scheduleFreeSgdShader,
  options: { lr: nonNegative(1), momentum: fraction(0.9), ...scheduleFreeOptions },
  formula: "g at y = θ; z ← z − γg − γλy, x ← (1−c)x + cz with c = γ²/Σγ², θ ← (1−β)z + βx",
  source: "Defazio et al. 2024, eq. 2–4, weights of algorithm 1; default rate of the authors' code",
  startsAtParameter: ["z", "x"],
  evaluate: "x",
  ownDecay: true,
  memory: [0],
  advance: ({ warmupSteps }, t, lr, [sum = 0]) => [sum + warmedUp(lr, warmupSteps, t) ** 2],
  scalars: ({ momentum, warmupSteps, decay, weightDecay }, t, lr, [sum = 0]) => {
    const rate = warmedUp(lr, warmupSteps, t);
    return {
      rate,
      decay: decoupledRate(decay, weightDecay, rate),
      weight: sum > 0 ? rate ** 2 / sum : 0,
      beta: momentum,
    };
  },
});

/** √(1 − β2^t), where it is part of the rate. */
const rateCorrection = (beta2: number, correctedRate: boolean, t: number) =>
  correctedRate ? Math.sqrt(1 - beta2 ** t) : 1;

/** Schedule-Free AdamW: as {@link scheduleFreeSgd}, with Adam's second moment. */
export const scheduleFreeAdamw = /* @__PURE__ */ ruleFactory({
  name: "schedule-free-adamw",
  shader: scheduleFreeAdamwShader,
  options: {
    lr: nonNegative(2.5e-3),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: positive(1e-8),
    /**
     * Whether √(1 − β2ᵗ) is part of the rate, and so of decay and weights, as in algorithm 1; if not, v is corrected and ε
     * stands beside √v̂ (the authors' code, optax).
     */
    correctedRate: flag(true),
    ...scheduleFreeOptions,
  },
  formula:
    "g at y = θ; v of adam, γ = η√(1−β2ᵗ), z ← z − γg/(√v + ε) − γλy, x ← (1−c)x + cz with c = γ²/Σγ², θ ← (1−β1)z + β1x; without correctedRate: γ = η, √v̂ + ε",
  source: "Defazio et al. 2024, algorithm 1; default rate of the authors' code",
  startsAtParameter: ["z", "x"],
  evaluate: "x",
  ownDecay: true,
  memory: [0],
  advance: ({ warmupSteps, beta2, correctedRate }, t, lr, [sum = 0]) => [
    sum + (warmedUp(lr, warmupSteps, t) * rateCorrection(beta2, correctedRate, t)) ** 2,
  ],
  scalars: (options, t, lr, [sum = 0]) => {
    const { beta1, beta2, eps, correctedRate, warmupSteps, decay, weightDecay } = options;
    const warmed = warmedUp(lr, warmupSteps, t);
    const root = Math.sqrt(1 - beta2 ** t);
    const rate = warmed * rateCorrection(beta2, correctedRate, t);
    return {
      // η/(√v̂ + ε) is η·root/(√v + ε·root).
      rate: warmed * root,
      decay: decoupledRate(decay, weightDecay, rate),
      weight: sum > 0 ? rate ** 2 / sum : 0,
      beta1,
      beta2,
      one_minus_beta2: 1 - beta2,
      eps: correctedRate ? eps : eps * root,
    };
  },
});

/** NovoGrad: momentum over gradients divided by an average of their tensor's norm. */
export const novograd = /* @__PURE__ */ ruleFactory({
  name: "novograd",
  shader: novogradShader,
  options: {
    lr: nonNegative(1e-2),
    beta1: fraction(0.95),
    beta2: fraction(0.98),
    eps: positive(1e-8),
    /** Whether what enters m is scaled by 1 − β1 from the second step on (TensorFlow Addons' grad_averaging). */
    gradientAveraging: flag(false),
    /** `decoupled` from the norm: λθ enters m. */
    decay: choice("decoupled", "coupled"),
  },
  formula: "v ← β2v + (1−β2)‖g‖² of the tensor, v₁ = ‖g‖²; m ← β1m + (g/(√v + ε) + λθ), θ ← θ − ηm",
  source: "Ginsburg et al. 2019, algorithm 1",
  ownDecay: true,
  scalars: ({ beta1, beta2, eps, gradientAveraging, decay, weightDecay }, t, lr) => ({
    rate: lr,
    beta1,
    gradient_in: gradientAveraging && t > 1 ? 1 - beta1 : 1,
    norm_kept: t === 1 ? 0 : beta2,
    norm_in: t === 1 ? 1 : 1 - beta2,
    decay: decoupledRate(decay, weightDecay, 1),
    eps,
  }),
});

/** Prodigy: Adam that finds its rate by itself, from how far the parameters have come. The rate is a factor on it. */
export const prodigy = /* @__PURE__ */ ruleFactory({
  name: "prodigy",
  shader: prodigyShader,
  options: {
    lr: nonNegative(1),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: positive(1e-8),
    /** Of r and s; 0 takes √β2. */
    beta3: fraction(0),
    /** First estimate of the distance: small against the real one. */
    d0: positive(1e-6),
    /** c: a factor on the estimate of the distance. */
    dCoef: positive(1),
    /** Whether η is multiplied by √(1 − β2ᵗ)/(1 − β1ᵗ), as optax does and the authors' code on request. */
    biasCorrection: flag(false),
    /** Whether s goes without the rate, which keeps a warm-up from raising the distance. */
    safeguardWarmup: flag(false),
    /** Whether ε is scaled by the distance after the step (the authors' code, optax) instead of the one before it. */
    newDistance: flag(false),
    /** `decoupled` takes ηdλθ off. */
    decay: choice("decoupled", "coupled"),
  },
  formula:
    "m ← β1m + (1−β1)dg, v ← β2v + (1−β2)d²g², r ← β3r + (1−β3)ηd²⟨g, θ₀−θ⟩, s ← β3s + (1−β3)ηd²g, θ ← θ − ηd·m/(√v + dε), d ← max(d, c·r/‖s‖₁), β3 = √β2",
  source: "Mishchenko & Defazio 2023, algorithm 4",
  startsAtParameter: ["p0"],
  scope: "all",
  ownDecay: true,
  initial: ({ d0 }) => ({ d: d0, next_d: d0 }),
  scalars: (options, t, lr) => {
    const { beta1, beta2, eps, dCoef, biasCorrection, safeguardWarmup, newDistance } = options;
    const beta3 = options.beta3 || Math.sqrt(beta2);
    const rate = biasCorrection ? (lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t) : lr;
    return {
      rate,
      decay: decoupledRate(options.decay, options.weightDecay, rate),
      beta1,
      one_minus_beta1: 1 - beta1,
      beta2,
      one_minus_beta2: 1 - beta2,
      beta3,
      numerator_in: (1 - beta3) * rate * dCoef,
      denominator_in: (1 - beta3) * (safeguardWarmup ? 1 : rate),
      eps: newDistance ? 0 : eps,
      next_eps: newDistance ? eps : 0,
    };
  },
});

/** Every rule, in the order above. */
export const rules: readonly RuleFactory[] = [
  sgd,
  momentum,
  nesterov,
  nesterovLookahead,
  adagrad,
  rmsprop,
  rmspropCentered,
  rmspropMomentum,
  rmspropCenteredMomentum,
  rmspropNesterov,
  adadelta,
  adam,
  amsgrad,
  adamw,
  adamax,
  nadam,
  radam,
  radamAmsgrad,
  rprop,
  asgd,
  lion,
  signSgd,
  signum,
  adabelief,
  adabeliefAmsgrad,
  yogi,
  adan,
  ademamix,
  ftrl,
  sophia,
  scheduleFreeSgd,
  scheduleFreeAdamw,
  novograd,
  prodigy,
] as unknown as readonly RuleFactory[];
