import {
  adabelief,
  adadelta,
  adafactor,
  adafactorMomentum,
  adagrad,
  adam,
  adamax,
  adamw,
  adan,
  amsgrad,
  fromage,
  lamb,
  lars,
  lion,
  momentum,
  nadam,
  nesterov,
  noisySgd,
  novograd,
  optimisticAdam,
  optimisticSgd,
  radam,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  rprop,
  sgd,
  signSgd,
  signum,
  sm3,
  yogi,
} from "../kernels.js";
import type { Rule } from "../rule.js";
import { type Framework, framework, importRule, invalidConfig, only, optional, required } from "./import.js";
import { contrib } from "./optax-contrib.js";
import {
  type AdamConfig,
  adamKeys,
  adamOptions,
  adamwKeys,
  decoupled,
  everywhere,
  float32,
  never,
  noMask,
  optimisticKeys,
  zero,
} from "./optax-keys.js";
import { solvers } from "./optax-solvers.js";

const constantNadam = (config: AdamConfig, weightDecay: number) =>
  nadam({ ...adamOptions(config), form: "constant", weightDecay, decay: "decoupled" });

const aliases = /* @__PURE__ */ framework(
  "optax",
  {},
  {
    sgd: {
      keys: { learning_rate: required, momentum: optional, nesterov: false, accumulator_dtype: float32 },
      rule: ({ learning_rate: lr, momentum: mu, nesterov: shifted }) => {
        if (mu === null) return sgd({ lr });
        return (shifted ? nesterov : momentum)({ lr, momentum: mu });
      },
    },
    adagrad: {
      keys: { learning_rate: required, initial_accumulator_value: 0.1, eps: 1e-7 },
      rule: ({ learning_rate: lr, initial_accumulator_value: initialAccumulatorValue, eps }) =>
        adagrad({ lr, initialAccumulatorValue, eps, epsInside: true }),
    },
    rmsprop: {
      keys: {
        learning_rate: required,
        decay: 0.9,
        eps: 1e-8,
        initial_scale: 0,
        eps_in_sqrt: true,
        centered: false,
        momentum: optional,
        nesterov: false,
        bias_correction: false,
      },
      rule: (config) => {
        const { momentum: mu, centered, nesterov, bias_correction: biasCorrection } = config;
        if (centered && biasCorrection)
          throw invalidConfig(
            "Key 'bias_correction' of optax's rmsprop cannot be carried out with 'centered'",
            "false: after one gradient the corrected variance is 0, and rounding alone sets the update",
            true,
            "leave one of the two out",
          );
        const common = {
          lr: config.learning_rate,
          alpha: config.decay,
          eps: config.eps,
          epsInside: config.eps_in_sqrt,
          initialSquareAvg: config.initial_scale,
        };
        if (mu === null) return centered ? rmspropCentered(common) : rmsprop({ ...common, biasCorrection });
        const options = { ...common, momentum: mu, rateInside: true, nesterov };
        return centered ? rmspropCenteredMomentum(options) : rmspropMomentum({ ...options, biasCorrection });
      },
    },
    adadelta: {
      keys: { learning_rate: required, rho: 0.9, eps: 1e-6, weight_decay: 0, weight_decay_mask: noMask },
      rule: ({ learning_rate: lr, weight_decay: weightDecay, ...rest }) =>
        adadelta({ lr, weightDecay, ...rest }),
    },
    adam: {
      keys: { ...adamKeys, nesterov: false },
      rule: (config) => (config.nesterov ? constantNadam(config, 0) : adam(adamOptions(config))),
    },
    nadam: {
      keys: { ...adamKeys, nesterov: /* @__PURE__ */ only(true) },
      rule: (config) => constantNadam(config, 0),
    },
    adamw: {
      keys: { ...adamwKeys, nesterov: false },
      rule: (config) => {
        const { weight_decay: weightDecay, nesterov } = config;
        return nesterov ? constantNadam(config, weightDecay) : adamw({ ...adamOptions(config), weightDecay });
      },
    },
    nadamw: {
      keys: { ...adamwKeys, nesterov: /* @__PURE__ */ only(true) },
      rule: (config) => constantNadam(config, config.weight_decay),
    },
    amsgrad: {
      keys: {
        ...adamKeys,
        bias_correction_mu: /* @__PURE__ */ only(true),
        bias_correction_nu: /* @__PURE__ */ only(true),
      },
      rule: (config) => amsgrad({ ...adamOptions(config), maximum: "corrected" }),
    },
    adamax: {
      keys: { learning_rate: required, b1: 0.9, b2: 0.999, eps: 1e-8 },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, eps }) => adamax({ lr, beta1, beta2, eps }),
    },
    adamaxw: {
      keys: { learning_rate: required, b1: 0.9, b2: 0.999, eps: 1e-8, weight_decay: 1e-4, mask: noMask },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, eps, weight_decay: weightDecay }) =>
        adamax({ lr, beta1, beta2, eps, weightDecay, decay: "decoupled" }),
    },
    radam: {
      keys: {
        learning_rate: required,
        b1: 0.9,
        b2: 0.999,
        eps: 1e-8,
        eps_root: zero,
        threshold: 5,
        nesterov: never,
      },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, eps, threshold }) =>
        radam({ lr, beta1, beta2, eps, threshold, epsHat: false }),
    },
    lion: {
      keys: {
        learning_rate: required,
        b1: 0.9,
        b2: 0.99,
        mu_dtype: float32,
        weight_decay: 1e-3,
        mask: noMask,
      },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, weight_decay: weightDecay }) =>
        lion({ lr, beta1, beta2, weightDecay, decay: "decoupled" }),
    },
    noisy_sgd: {
      // The noise is as large as optax's, and another.
      keys: { learning_rate: required, eta: 0.01, gamma: 0.55, key: optional, seed: optional },
      rule: ({ learning_rate: lr, eta, gamma, key, seed }) => {
        if (key !== null && seed !== null)
          throw invalidConfig(
            "optax's noisy_sgd takes one of 'key' and 'seed'",
            "one",
            "both",
            "leave one out",
          );
        return noisySgd({ lr, eta, gamma, seed: key ?? seed ?? 0 });
      },
    },
    sign_sgd: { keys: { learning_rate: required }, rule: ({ learning_rate: lr }) => signSgd({ lr }) },
    signum: {
      keys: { learning_rate: required, beta: 0.9, accumulator_dtype: float32 },
      rule: ({ learning_rate: lr, beta }) => signum({ lr, momentum: beta }),
    },
    adafactor: {
      keys: {
        learning_rate: optional,
        min_dim_size_to_factor: 128,
        decay_rate: 0.8,
        decay_offset: zero,
        multiply_by_parameter_scale: true,
        clipping_threshold: 1,
        momentum: optional,
        dtype_momentum: float32,
        weight_decay_rate: optional,
        eps: 1e-30,
        factored: true,
        weight_decay_mask: noMask,
      },
      rule: (config) => {
        const { momentum, decay_rate: decayRate, eps: eps1, clipping_threshold: clipThreshold } = config;
        const options = {
          lr: config.learning_rate ?? 1,
          relativeStep: false,
          decayRate,
          eps1,
          eps1Form: "added",
          clipThreshold,
          scaleParameter: config.multiply_by_parameter_scale,
          factored: config.factored ? "largest" : "none",
          minDimension: config.min_dim_size_to_factor,
          weightDecay: config.weight_decay_rate ?? 0,
          decay: "independent",
        } as const;
        return momentum === null ? adafactor(options) : adafactorMomentum({ ...options, momentum });
      },
    },
    sm3: {
      keys: { learning_rate: required, momentum: 0.9 },
      rule: ({ learning_rate: lr, momentum }) => sm3({ lr, momentum, eps: 1e-8 }),
    },
    adabelief: {
      keys: {
        learning_rate: required,
        b1: 0.9,
        b2: 0.999,
        eps: 1e-16,
        eps_root: 1e-16,
        weight_decay: optional,
        weight_decay_mask: noMask,
        nesterov: never,
      },
      rule: (config) => {
        const weightDecay = config.weight_decay ?? 0;
        return adabelief({ ...adamOptions(config), weightDecay, decay: "decoupled" });
      },
    },
    yogi: {
      keys: { learning_rate: required, b1: 0.9, b2: 0.999, eps: 1e-3 },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, eps }) =>
        yogi({ lr, beta1, beta2, eps, biasCorrection: true, initialExpAvg: 1e-6 }),
    },
    adan: {
      keys: {
        learning_rate: required,
        b1: 0.98,
        b2: 0.92,
        b3: 0.99,
        eps: 1e-8,
        eps_root: 1e-8,
        ...decoupled,
      },
      rule: (config) => {
        const { b3: beta3, weight_decay: weightDecay } = config;
        const options = { ...adamOptions(config), beta3, weightDecay };
        return adan({ ...options, decay: "decoupled", differenceWeight: "one-minus-beta2" });
      },
    },
    novograd: {
      keys: {
        learning_rate: required,
        b1: 0.9,
        b2: 0.25,
        eps: 1e-6,
        eps_root: zero,
        weight_decay: 0,
      },
      rule: ({ learning_rate: lr, b1: beta1, b2: beta2, eps, weight_decay: weightDecay }) =>
        novograd({ lr, beta1, beta2, eps, weightDecay, decay: "decoupled" }),
    },
    lars: {
      keys: {
        learning_rate: required,
        weight_decay: 0,
        weight_decay_mask: everywhere,
        trust_coefficient: 1e-3,
        eps: 0,
        trust_ratio_mask: everywhere,
        momentum: 0.9,
        nesterov: false,
      },
      rule: ({
        learning_rate: lr,
        weight_decay: weightDecay,
        trust_coefficient: trustCoefficient,
        ...rest
      }) => {
        const { eps, momentum, nesterov } = rest;
        return lars({ lr, weightDecay, trustCoefficient, eps, momentum, nesterov, decay: "coupled" });
      },
    },
    lamb: {
      keys: { learning_rate: required, b1: 0.9, b2: 0.999, eps: 1e-6, eps_root: 0, ...decoupled },
      rule: (config) =>
        lamb({ ...adamOptions(config), weightDecay: config.weight_decay, decay: "decoupled" }),
    },
    fromage: {
      keys: { learning_rate: required, min_norm: 1e-6 },
      rule: ({ learning_rate: lr, min_norm: minNorm }) => fromage({ lr, minNorm }),
    },
    optimistic_gradient_descent: {
      keys: { learning_rate: required, alpha: 1, beta: 1 },
      rule: ({ learning_rate: lr, alpha, beta }) => optimisticSgd({ lr, alpha, beta }),
    },
    optimistic_adam: {
      keys: { learning_rate: required, optimism: optional, ...optimisticKeys },
      rule: (config) => {
        const { learning_rate: lr, optimism, nesterov } = config;
        if (optimism !== null && lr === 0)
          throw invalidConfig(
            "Key 'learning_rate' of optax's optimistic_adam cannot be carried out with 'optimism'",
            "a rate above 0: optimism is a multiple of it here",
            lr,
            "leave optimism out, or raise the rate",
          );
        return optimisticAdam({
          ...adamOptions(config),
          nesterov,
          beta: optimism === null ? 1 : optimism / lr,
        });
      },
    },
    optimistic_adam_v2: {
      keys: { learning_rate: required, alpha: 1, beta: 1, ...optimisticKeys },
      rule: (config) => {
        const { alpha, beta, nesterov } = config;
        return optimisticAdam({ ...adamOptions(config), alpha, beta, nesterov });
      },
    },
    rprop: {
      keys: {
        learning_rate: required,
        eta_minus: 0.5,
        eta_plus: 1.2,
        min_step_size: 1e-6,
        max_step_size: 50,
      },
      rule: (config) => {
        const { learning_rate: lr, min_step_size: stepSizeMin, max_step_size: stepSizeMax } = config;
        if (!(lr >= stepSizeMin && lr <= stepSizeMax))
          throw invalidConfig(
            "Key 'learning_rate' of optax's rprop cannot be carried out",
            `a first step size from min_step_size ${stepSizeMin} to max_step_size ${stepSizeMax}`,
            lr,
            "begin within the bounds: optax holds only later step sizes to them",
          );
        const { eta_minus: etaMinus, eta_plus: etaPlus } = config;
        return rprop({ lr, etaMinus, etaPlus, stepSizeMin, stepSizeMax, delayed: true });
      },
    },
  },
);

/** optax's aliases: their names, arguments and defaults. A `learning_rate` is a number: schedules stand beside the rule. */
export const optax: Framework = {
  ...aliases,
  optimizers: { ...aliases.optimizers, ...solvers.optimizers, ...contrib.optimizers },
  spelling: (name) => name.replace(/^contrib\./, ""),
};

/**
 * The rule of `optax.NAME(…kwargs)` or `optax.contrib.NAME(…kwargs)`, with optax's argument names and defaults. `learning_rate` is a number, and masks are
 * null: what optax makes of functions is told here by a schedule and by groups.
 * @throws OptimError `unknown-name` for an optimizer, `invalid-option` for an argument that is unknown, missing, of the
 * wrong type or out of range.
 */
export function fromOptax(name: string, kwargs: object = {}): Rule {
  return importRule(optax, name, kwargs);
}
