import {
  adadelta,
  adagrad,
  adam,
  adamax,
  ftrl,
  momentum,
  nadam,
  nesterov,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  sgd,
} from "../kernels.js";
import type { Rule } from "../rule.js";
import { anyName, type Framework, framework, importRule, only, optional, required } from "./import.js";

/** Keys of AdamOptimizer and its two descendants in contrib.opt. */
const adamKeys = { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/**
 * `tf.train` of TensorFlow 1 (`tf.compat.v1.train`), with AdaMax and Nadam of `tf.contrib.opt`: their names with or
 * without "Optimizer", their keys and defaults.
 */
export const tensorflow1: Framework = /* @__PURE__ */ framework(
  "TensorFlow 1",
  { use_locking: /* @__PURE__ */ only(true, false), name: anyName },
  {
    GradientDescent: {
      keys: { learning_rate: required },
      rule: ({ learning_rate: lr }) => sgd({ lr }),
    },
    Momentum: {
      keys: { learning_rate: required, momentum: required, use_nesterov: false },
      rule: ({ learning_rate: lr, momentum: mu, use_nesterov }) =>
        (use_nesterov ? nesterov : momentum)({ lr, momentum: mu }),
    },
    Adagrad: {
      keys: { learning_rate: required, initial_accumulator_value: 0.1 },
      rule: ({ learning_rate: lr, initial_accumulator_value: initialAccumulatorValue }) =>
        adagrad({ lr, initialAccumulatorValue, eps: 0 }),
    },
    RMSProp: {
      keys: { learning_rate: required, decay: 0.9, momentum: 0, epsilon: 1e-10, centered: false },
      rule: ({ learning_rate: lr, decay: alpha, momentum: mu, epsilon: eps, centered }) => {
        const common = { lr, alpha, eps, epsInside: true, initialSquareAvg: 1 };
        if (mu === 0) return (centered ? rmspropCentered : rmsprop)(common);
        const options = { ...common, momentum: mu, rateInside: true };
        return (centered ? rmspropCenteredMomentum : rmspropMomentum)(options);
      },
    },
    Adadelta: {
      keys: { learning_rate: 1e-3, rho: 0.95, epsilon: 1e-8 },
      rule: ({ learning_rate: lr, rho, epsilon: eps }) => adadelta({ lr, rho, eps }),
    },
    Adam: {
      keys: adamKeys,
      rule: ({ learning_rate: lr, epsilon: eps, ...betas }) => adam({ lr, eps, ...betas, epsHat: true }),
    },
    AdaMax: {
      keys: adamKeys,
      rule: ({ learning_rate: lr, epsilon: eps, ...betas }) =>
        adamax({ lr, eps, ...betas, epsOutside: true }),
    },
    Nadam: {
      keys: adamKeys,
      rule: ({ learning_rate: lr, epsilon: eps, ...betas }) =>
        nadam({ lr, eps, ...betas, epsHat: true, form: "shared" }),
    },
    Ftrl: {
      keys: {
        learning_rate: required,
        learning_rate_power: -0.5,
        initial_accumulator_value: 0.1,
        l1_regularization_strength: 0,
        l2_regularization_strength: 0,
        l2_shrinkage_regularization_strength: 0,
        beta: optional,
        accum_name: anyName,
        linear_name: anyName,
      },
      rule: (config) =>
        ftrl({
          lr: config.learning_rate,
          learningRatePower: config.learning_rate_power,
          initialAccumulatorValue: config.initial_accumulator_value,
          l1: config.l1_regularization_strength,
          l2: config.l2_regularization_strength,
          l2Shrinkage: config.l2_shrinkage_regularization_strength,
          beta: config.beta ?? 0,
          form: "keras",
        }),
    },
  },
  (name) => name.replace(/Optimizer$/, ""),
);

/**
 * The rule of `tf.train.NAMEOptimizer(…config)` of TensorFlow 1, with its keys and defaults; `use_locking` and `name`
 * change no result and are ignored.
 * @throws OptimError `unknown-name` for an optimizer, `invalid-option` for a key that is unknown, missing, of the wrong
 * type or out of range.
 */
export function fromTensorFlow1(name: string, config: object = {}): Rule {
  return importRule(tensorflow1, name, config);
}
