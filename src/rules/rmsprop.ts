import { epsilon, flag, fraction, nonNegative, type OptionValues, ruleFactory } from "../rule.js";
import shader from "../shaders/rmsprop.wgsl";
import centeredShader from "../shaders/rmsprop-centered.wgsl";
import centeredMomentumShader from "../shaders/rmsprop-centered-momentum.wgsl";
import momentumShader from "../shaders/rmsprop-momentum.wgsl";
import nesterovShader from "../shaders/rmsprop-nesterov.wgsl";

const plainOptions = () => ({
  lr: nonNegative(1e-2),
  /** Decay rate of the averages. */
  alpha: fraction(0.99),
  eps: epsilon(1e-8),
  epsInside: flag(false),
  /** v before the first step: 1 in TensorFlow 1, optax's initial_scale. */
  initialSquareAvg: nonNegative(0),
});
type PlainOptions = OptionValues<ReturnType<typeof plainOptions>>;
const constants = ({ epsInside }: PlainOptions) => ({ eps_inside: epsInside ? 1 : 0 });
const initial = ({ initialSquareAvg }: PlainOptions) => ({ square_avg: initialSquareAvg });
/** ḡ begins at 0, so that v is the variance. */
const initialVariance = ({ initialSquareAvg }: PlainOptions) => ({ square_dev: initialSquareAvg });

/** Not of centered rules: of one gradient, the corrected variance is 0. */
const correctionOptions = () => ({
  /** Whether v is divided by 1 − αᵗ, as optax can. */
  biasCorrection: flag(false),
});
const correction = (
  { alpha, biasCorrection }: PlainOptions & OptionValues<ReturnType<typeof correctionOptions>>,
  t: number,
) => ({ inverse_bias_correction: biasCorrection ? 1 / (1 - alpha ** t) : 1 });

/** RMSProp, with ε outside or inside the root. */
export const rmsprop = /* @__PURE__ */ ruleFactory(() => ({
  name: "rmsprop",
  shader,
  options: { ...plainOptions(), ...correctionOptions() },
  formula: "v ← αv + (1−α)g², θ ← θ − ηg/(√v + ε), or /√(v + ε)",
  source: "Tieleman & Hinton 2012, lecture 6.5; PyTorch RMSprop",
  constants,
  initial,
  scalars: correction,
}));

/** Centered RMSProp: divides by the deviation of the gradient instead of its root mean square. */
export const rmspropCentered = /* @__PURE__ */ ruleFactory(() => ({
  name: "rmsprop-centered",
  shader: centeredShader,
  options: plainOptions(),
  formula:
    "S ← α(S + (1−α)(g − ḡ)²), which is v − ḡ² of v ← αv + (1−α)g², ḡ ← αḡ + (1−α)g; θ ← θ − ηg/(√S + ε)",
  source: "Graves 2013, eq. 38–40 without momentum; PyTorch RMSprop",
  constants,
  initial: initialVariance,
}));

const momentumOptions = () => ({
  ...plainOptions(),
  momentum: fraction(0.9),
  /** Whether η enters the momentum buffer (Keras, TensorFlow 1, optax) or multiplies it (PyTorch). */
  rateInside: flag(false),
  /** Whether the update looks one step ahead, as optax can: μb and the buffer's new addend instead of b. */
  nesterov: flag(false),
});
const momentumRates = (
  { momentum, rateInside, nesterov }: OptionValues<ReturnType<typeof momentumOptions>>,
  lr: number,
) => {
  const rateOut = rateInside ? 1 : lr;
  return {
    rate_in: rateInside ? lr : 1,
    buffer_out: nesterov ? momentum * rateOut : rateOut,
    scaled_out: nesterov ? rateOut : 0,
  };
};

/** RMSProp with momentum over the scaled gradient. */
export const rmspropMomentum = /* @__PURE__ */ ruleFactory(() => ({
  name: "rmsprop-momentum",
  shader: momentumShader,
  options: { ...momentumOptions(), ...correctionOptions() },
  formula: "v ← αv + (1−α)g², b ← μb + g/(√v + ε), θ ← θ − ηb; rateInside: b ← μb + ηg/(√v + ε), θ ← θ − b",
  source: "PyTorch RMSprop; with rateInside Keras and TensorFlow 1",
  constants,
  initial,
  scalars: (options, t, lr) => ({ ...momentumRates(options, lr), ...correction(options, t) }),
}));

/** Centered RMSProp with momentum over the scaled gradient. */
export const rmspropCenteredMomentum = /* @__PURE__ */ ruleFactory(() => ({
  name: "rmsprop-centered-momentum",
  shader: centeredMomentumShader,
  options: momentumOptions(),
  formula: "S of rmspropCentered, b ← μb + g/(√S + ε), θ ← θ − ηb",
  source: "Graves 2013, eq. 38–41; PyTorch RMSprop",
  constants,
  initial: initialVariance,
  scalars: (options, _t, lr) => momentumRates(options, lr),
}));

/** RMSProp with Nesterov momentum, gradient at the look-ahead point, without ε: a coordinate with r = 0 is left alone. */
export const rmspropNesterov = /* @__PURE__ */ ruleFactory(() => ({
  name: "rmsprop-nesterov",
  shader: nesterovShader,
  options: { rho: fraction(0.9), momentum: fraction(0.9) },
  formula: "g at θ − μb; r ← ρr + (1−ρ)g², b ← μb + η/√r·g (r = 0: no addend), θ ← θ − b",
  source: "Goodfellow, Bengio & Courville 2016, algorithm 8.6",
}));
