import {
  adadelta,
  adagrad,
  adam,
  adamax,
  adamw,
  amsgrad,
  momentum,
  nadam,
  nesterov,
  type Rule,
  rmsprop,
  rmspropNesterov,
  sgd,
} from "../../src/index.js";
import type { OptimizerName } from "./defaults.js";

const factories: Readonly<Record<OptimizerName, (options: { lr: number }) => Rule>> = {
  sgd,
  momentum,
  nesterov,
  adagrad,
  rmsprop,
  "rmsprop-nesterov": rmspropNesterov,
  adadelta,
  adam,
  amsgrad,
  adamw,
  adamax,
  nadam,
};

/** The rule of an optimizer, at a base learning rate. */
export function ruleByName(name: OptimizerName, lr: number): Rule {
  return factories[name]({ lr });
}
