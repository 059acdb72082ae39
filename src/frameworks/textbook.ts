import {
  adadelta,
  adagrad,
  adam,
  adamax,
  angd,
  momentum,
  nadam,
  nesterovLookahead,
  rmsprop,
  rmspropNesterov,
  sgd,
} from "../kernels.js";
import type { Rule } from "../rule.js";
import { type Framework, framework, importRule, required } from "./import.js";

/**
 * The printed forms of the classical algorithms, as surveys and textbooks have them. There is no default rate;
 * the ε are the printed ones, and Adadelta and AdaMax are printed without a rate and without an ε.
 */
export const textbook: Framework = /* @__PURE__ */ framework(
  "The textbook",
  {},
  {
    "gradient-descent": { keys: { lr: required }, rule: (config) => sgd(config) },
    momentum: {
      keys: { lr: required, momentum: 0.9 },
      rule: (config) => momentum({ ...config, form: "velocity" }),
    },
    nesterov: { keys: { lr: required, momentum: 0.9 }, rule: (config) => nesterovLookahead(config) },
    "ema-momentum": {
      keys: { lr: required, beta: 0.9 },
      rule: ({ lr, beta }) => momentum({ lr, momentum: beta, form: "average" }),
    },
    adagrad: { keys: { lr: required, eps: 1e-7 }, rule: (config) => adagrad(config) },
    "adagrad-eps-inside": {
      keys: { lr: required, eps: 1e-8 },
      rule: (config) => adagrad({ ...config, epsInside: true }),
    },
    rmsprop: {
      keys: { lr: required, rho: 0.9, eps: 1e-6 },
      rule: ({ lr, rho, eps }) => rmsprop({ lr, alpha: rho, eps, epsInside: true }),
    },
    "rmsprop-nesterov": {
      keys: { lr: required, rho: 0.9, momentum: 0.9 },
      rule: (config) => rmspropNesterov(config),
    },
    adadelta: { keys: { rho: 0.95, eps: 1e-6 }, rule: (config) => adadelta(config) },
    adam: { keys: { lr: required, beta1: 0.9, beta2: 0.999, eps: 1e-6 }, rule: (config) => adam(config) },
    adamax: {
      keys: { lr: required, beta1: 0.9, beta2: 0.999 },
      rule: (config) => adamax({ ...config, eps: 0 }),
    },
    angd: { keys: { lr: required, delta: 1e-6, outputs: 1 }, rule: (config) => angd(config) },
    nadam: { keys: { lr: required, beta1: 0.9, beta2: 0.999, eps: 1e-6 }, rule: (config) => nadam(config) },
  },
);

/**
 * The rule that a textbook prints under this name, such as `momentum` (rate inside the velocity), `nesterov` (gradient
 * at the look-ahead point) or `rmsprop` (ε inside the root).
 * @throws OptimError `unknown-name` for an optimizer, `invalid-option` for a key that is unknown, missing, of the wrong
 * type or out of range.
 */
export function fromTextbook(name: string, config: object = {}): Rule {
  return importRule(textbook, name, config);
}
