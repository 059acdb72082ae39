import {
  adadelta,
  adafactor,
  adagrad,
  adam,
  adamax,
  adamw,
  amsgrad,
  asgd,
  lbfgs,
  momentum,
  muon,
  nadam,
  nesterov,
  radam,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  rprop,
  sgd,
} from "../kernels.js";
import type { Rule } from "../rule.js";
import { aNumber, type Framework, framework, importRule, invalidConfig, oneOf, only } from "./import.js";

/** Of `decoupled_weight_decay`, in our terms. */
const decayOf = (decoupled: boolean) => (decoupled ? "decoupled" : "coupled");

/** Of keys that choose an implementation only. */
const implementation = /* @__PURE__ */ only(true, false, null);

/** `torch.optim`: its names, keys and defaults. Keys that choose an implementation only are ignored. */
export const pytorch: Framework = /* @__PURE__ */ framework(
  "PyTorch",
  {
    foreach: implementation,
    fused: implementation,
    capturable: implementation,
    differentiable: implementation,
  },
  {
    SGD: {
      keys: { lr: 1e-3, momentum: 0, dampening: 0, weight_decay: 0, nesterov: false, maximize: false },
      rule: ({ lr, momentum: mu, dampening, weight_decay: weightDecay, nesterov: shifted, maximize }) => {
        if (shifted && (mu <= 0 || dampening !== 0))
          throw invalidConfig(
            "PyTorch's SGD takes nesterov only with momentum and without dampening",
            "momentum > 0 and dampening = 0",
            { momentum: mu, dampening },
            "set both so, or leave nesterov out",
          );
        const common = { lr, weightDecay, maximize };
        if (shifted) return nesterov({ ...common, momentum: mu });
        return mu === 0 ? sgd(common) : momentum({ ...common, momentum: mu, dampening });
      },
    },
    Adagrad: {
      keys: {
        lr: 1e-2,
        lr_decay: 0,
        weight_decay: 0,
        initial_accumulator_value: 0,
        eps: 1e-10,
        maximize: false,
      },
      rule: ({ lr_decay: lrDecay, initial_accumulator_value, weight_decay: weightDecay, ...rest }) =>
        adagrad({ ...rest, lrDecay, weightDecay, initialAccumulatorValue: initial_accumulator_value }),
    },
    RMSprop: {
      keys: {
        lr: 1e-2,
        alpha: 0.99,
        eps: 1e-8,
        weight_decay: 0,
        momentum: 0,
        centered: false,
        maximize: false,
      },
      rule: ({ momentum: mu, centered, weight_decay: weightDecay, ...rest }) => {
        const common = { ...rest, weightDecay };
        if (mu === 0) return (centered ? rmspropCentered : rmsprop)(common);
        return (centered ? rmspropCenteredMomentum : rmspropMomentum)({ ...common, momentum: mu });
      },
    },
    Adadelta: {
      keys: { lr: 1, rho: 0.9, eps: 1e-6, weight_decay: 0, maximize: false },
      rule: ({ weight_decay: weightDecay, ...rest }) => adadelta({ ...rest, weightDecay }),
    },
    Adam: {
      keys: {
        lr: 1e-3,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 0,
        amsgrad: false,
        maximize: false,
        decoupled_weight_decay: false,
      },
      rule: ({ betas: [beta1, beta2], weight_decay: weightDecay, amsgrad: most, ...rest }) => {
        const { decoupled_weight_decay, ...common } = rest;
        const options = {
          ...common,
          beta1,
          beta2,
          weightDecay,
          decay: decayOf(decoupled_weight_decay),
        } as const;
        return (most ? amsgrad : adam)(options);
      },
    },
    AdamW: {
      keys: {
        lr: 1e-3,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 1e-2,
        amsgrad: false,
        maximize: false,
      },
      rule: ({ betas: [beta1, beta2], weight_decay: weightDecay, amsgrad: most, ...rest }) =>
        (most ? amsgrad : adamw)({ ...rest, beta1, beta2, weightDecay, decay: "decoupled" }),
    },
    Adamax: {
      keys: { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0, maximize: false },
      rule: ({ betas: [beta1, beta2], weight_decay: weightDecay, ...rest }) =>
        adamax({ ...rest, beta1, beta2, weightDecay }),
    },
    NAdam: {
      keys: {
        lr: 2e-3,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 0,
        momentum_decay: 4e-3,
        decoupled_weight_decay: false,
        maximize: false,
      },
      rule: ({ betas: [beta1, beta2], weight_decay: weightDecay, momentum_decay, ...rest }) => {
        const { decoupled_weight_decay, ...common } = rest;
        const decay = decayOf(decoupled_weight_decay);
        return nadam({ ...common, beta1, beta2, weightDecay, decay, momentumDecay: momentum_decay });
      },
    },
    RAdam: {
      keys: {
        lr: 1e-3,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 0,
        decoupled_weight_decay: false,
        maximize: false,
      },
      rule: ({ betas: [beta1, beta2], weight_decay: weightDecay, decoupled_weight_decay, ...rest }) =>
        radam({ ...rest, beta1, beta2, weightDecay, decay: decayOf(decoupled_weight_decay) }),
    },
    Rprop: {
      keys: { lr: 1e-2, etas: [0.5, 1.2], step_sizes: [1e-6, 50], maximize: false },
      rule: ({ etas: [etaMinus, etaPlus], step_sizes: [stepSizeMin, stepSizeMax], ...rest }) =>
        rprop({ ...rest, etaMinus, etaPlus, stepSizeMin, stepSizeMax }),
    },
    ASGD: {
      keys: { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6, weight_decay: 0, maximize: false },
      rule: ({ weight_decay: weightDecay, ...rest }) => asgd({ ...rest, weightDecay }),
    },
    // The others are arguments of `optimizer.minimize()`.
    LBFGS: {
      keys: {
        lr: 1,
        history_size: 100,
        max_iter: aNumber,
        max_eval: {
          neutral: "a number or null",
          holds: (value: unknown) => value === null || aNumber.holds(value),
        },
        tolerance_grad: aNumber,
        tolerance_change: aNumber,
        line_search_fn: /* @__PURE__ */ only(null, "strong_wolfe"),
      },
      rule: ({ lr, history_size: historySize }) => lbfgs({ lr, historySize }),
    },
    // For its matrices; PyTorch takes no others. It iterates in bf16, where the rule does in f32.
    Muon: {
      keys: {
        lr: 1e-3,
        weight_decay: 0.1,
        momentum: 0.95,
        nesterov: true,
        ns_coefficients: [3.4445, -4.775, 2.0315],
        eps: 1e-7,
        ns_steps: 5,
        adjust_lr_fn: /* @__PURE__ */ oneOf("original", "match_rms_adamw"),
        use_addmm: implementation,
      },
      rule: ({ ns_coefficients: [a, b, c], ns_steps: steps, adjust_lr_fn: scaling, ...rest }) => {
        const { weight_decay: weightDecay, ...options } = rest;
        return muon({ ...options, a, b, c, steps, scaling, weightDecay, decay: "decoupled" });
      },
    },
    Adafactor: {
      keys: {
        lr: 1e-2,
        beta2_decay: -0.8,
        eps: [null, 1e-3],
        d: 1,
        weight_decay: 0,
        maximize: false,
      },
      rule: ({ beta2_decay, eps: [eps1, eps2], d: clipThreshold, weight_decay: weightDecay, ...rest }) => {
        // null is the spacing of f32.
        const options = { ...rest, decayRate: 0 - beta2_decay, eps1: eps1 ?? 2 ** -23, eps2 };
        return adafactor({ ...options, clipThreshold, weightDecay, decay: "decoupled" });
      },
    },
  },
);

/**
 * The rule that `torch.optim.NAME(params, …config)` runs, with PyTorch's keys and defaults. `foreach`, `fused`,
 * `capturable` and `differentiable` change no result and are ignored.
 * @throws OptimError `unknown-name` for an optimizer, `invalid-option` for a key that is unknown, of the wrong type or
 * out of range.
 */
export function fromPyTorch(name: string, config: object = {}): Rule {
  return importRule(pytorch, name, config);
}
