import {
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamw,
  amsgrad,
  ftrl,
  lamb,
  lion,
  momentum,
  muon,
  nadam,
  nesterov,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  sgd,
} from "../kernels.js";
import { aNumber, anyName, type Framework, framework, only, optional } from "./import.js";

const isList = (value: unknown) => value === null || Array.isArray(value);

/** Keys of every optimizer that a rule has no part in; `fromKeras` carries them out around it. */
const around = {
  name: anyName,
  clipnorm: /* @__PURE__ */ only(null),
  global_clipnorm: /* @__PURE__ */ only(null),
  clipvalue: /* @__PURE__ */ only(null),
  use_ema: /* @__PURE__ */ only(false),
  // Without use_ema it is not used.
  ema_momentum: aNumber,
  ema_overwrite_frequency: /* @__PURE__ */ only(null),
  loss_scale_factor: /* @__PURE__ */ only(null),
  gradient_accumulation_steps: /* @__PURE__ */ only(null),
} as const;

const common = { learning_rate: 1e-3, weight_decay: optional } as const;
const adamKeys = { ...common, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 } as const;

/** Decay in Keras is always decoupled, and scaled by the rate. */
const commonOptions = (config: { readonly learning_rate: number; readonly weight_decay: number | null }) =>
  ({ lr: config.learning_rate, weightDecay: config.weight_decay ?? 0, decay: "decoupled" }) as const;

interface AdamConfig {
  readonly learning_rate: number;
  readonly weight_decay: number | null;
  readonly beta_1: number;
  readonly beta_2: number;
  readonly epsilon: number;
}
const adamOptions = (config: AdamConfig) => ({
  ...commonOptions(config),
  beta1: config.beta_1,
  beta2: config.beta_2,
  eps: config.epsilon,
});

/** `keras.optimizers` of Keras 3: its names (of any case, as `keras.optimizers.get` takes them), keys and defaults. */
export const keras: Framework = /* @__PURE__ */ framework(
  "Keras",
  around,
  {
    SGD: {
      keys: { ...common, learning_rate: 1e-2, momentum: 0, nesterov: false },
      rule: ({ momentum: mu, nesterov: shifted, ...config }) => {
        const options = commonOptions(config);
        if (mu === 0) return sgd(options);
        return (shifted ? nesterov : momentum)({ ...options, momentum: mu, form: "velocity" });
      },
    },
    Adagrad: {
      keys: { ...common, initial_accumulator_value: 0.1, epsilon: 1e-7 },
      rule: ({ initial_accumulator_value: initialAccumulatorValue, epsilon: eps, ...config }) =>
        adagrad({ ...commonOptions(config), initialAccumulatorValue, eps, epsInside: true }),
    },
    RMSprop: {
      keys: { ...common, rho: 0.9, momentum: 0, epsilon: 1e-7, centered: false },
      rule: ({ rho: alpha, momentum: mu, epsilon: eps, centered, ...config }) => {
        const options = { ...commonOptions(config), alpha, eps, epsInside: true };
        if (mu === 0) return (centered ? rmspropCentered : rmsprop)(options);
        const withMomentum = { ...options, momentum: mu, rateInside: true };
        return (centered ? rmspropCenteredMomentum : rmspropMomentum)(withMomentum);
      },
    },
    Adadelta: {
      keys: { ...common, rho: 0.95, epsilon: 1e-7 },
      rule: ({ rho, epsilon: eps, ...config }) => adadelta({ ...commonOptions(config), rho, eps }),
    },
    Adam: {
      keys: { ...adamKeys, amsgrad: false },
      rule: (config) => (config.amsgrad ? amsgrad : adam)({ ...adamOptions(config), epsHat: true }),
    },
    AdamW: {
      keys: { ...adamKeys, weight_decay: 4e-3, amsgrad: false },
      rule: (config) => (config.amsgrad ? amsgrad : adamw)({ ...adamOptions(config), epsHat: true }),
    },
    Adamax: {
      keys: adamKeys,
      rule: (config) => adamax({ ...adamOptions(config), epsOutside: true }),
    },
    Nadam: {
      keys: adamKeys,
      rule: (config) => nadam({ ...adamOptions(config), momentumDecay: 1 }),
    },
    Lion: {
      keys: { ...common, beta_1: 0.9, beta_2: 0.99 },
      rule: ({ beta_1: beta1, beta_2: beta2, ...config }) => lion({ ...commonOptions(config), beta1, beta2 }),
    },
    Lamb: {
      keys: adamKeys,
      rule: (config) => lamb({ ...adamOptions(config), decayFirst: true }),
    },
    Adafactor: {
      keys: {
        learning_rate: 1e-3,
        beta_2_decay: -0.8,
        epsilon_1: 1e-30,
        epsilon_2: 1e-3,
        clip_threshold: 1,
        // Keras takes the lesser of the rate and 1/√t either way.
        relative_step: /* @__PURE__ */ only(true, false),
        // Keras decays the parameter before Adafactor measures it, which is no decay beside the rule.
        weight_decay: /* @__PURE__ */ only(null),
      },
      rule: (config) =>
        adafactor({
          lr: config.learning_rate,
          decayRate: 0 - config.beta_2_decay,
          eps1: config.epsilon_1,
          eps1Form: "added",
          eps2: config.epsilon_2,
          clipThreshold: config.clip_threshold,
        }),
    },
    // For the variables that Keras steps by Muon; a group with AdamW at `adam_lr_ratio` times the rate takes the others.
    Muon: {
      keys: {
        ...common,
        weight_decay: 0.1,
        momentum: 0.95,
        nesterov: true,
        muon_a: 3.4445,
        muon_b: -4.775,
        muon_c: 2.0315,
        ns_steps: 6,
        // Of the others.
        adam_beta_1: aNumber,
        adam_beta_2: aNumber,
        adam_lr_ratio: aNumber,
        epsilon: aNumber,
        exclude_embeddings: /* @__PURE__ */ only(true, false),
        exclude_layers: { neutral: "a list of names or null", holds: isList },
      },
      rule: ({
        momentum: mu,
        nesterov: shifted,
        muon_a: a,
        muon_b: b,
        muon_c: c,
        ns_steps: steps,
        ...config
      }) =>
        muon({
          ...commonOptions(config),
          momentum: mu,
          nesterov: shifted,
          a,
          b,
          c,
          steps,
          form: "sum",
          eps: 1e-7,
          epsFloor: false,
        }),
    },
    Ftrl: {
      keys: {
        learning_rate: 1e-3,
        learning_rate_power: -0.5,
        initial_accumulator_value: 0.1,
        l1_regularization_strength: 0,
        l2_regularization_strength: 0,
        l2_shrinkage_regularization_strength: 0,
        beta: 0,
        // Keras decays the parameter before Ftrl looks at it, which is no decay beside the rule.
        weight_decay: /* @__PURE__ */ only(null),
      },
      rule: (config) =>
        ftrl({
          lr: config.learning_rate,
          learningRatePower: config.learning_rate_power,
          initialAccumulatorValue: config.initial_accumulator_value,
          l1: config.l1_regularization_strength,
          l2: config.l2_regularization_strength,
          l2Shrinkage: config.l2_shrinkage_regularization_strength,
          beta: config.beta,
          form: "keras",
        }),
    },
  },
  (name) => Object.keys(keras.optimizers).find((known) => known.toLowerCase() === name.toLowerCase()) ?? name,
);
