// The table of contents of the rules. A family's rows, shaders and references lie under its name in rules/, shaders/ and
// reference/; docs/rules.md tells how to add one.
import type { RuleFactory } from "./rule.js";
import { adabelief, adabeliefAmsgrad } from "./rules/adabelief.js";
import { adadelta } from "./rules/adadelta.js";
import { adafactor, adafactorMomentum } from "./rules/adafactor.js";
import { adagrad } from "./rules/adagrad.js";
import { adam, adamax, adamw, amsgrad, nadam } from "./rules/adam.js";
import { adan } from "./rules/adan.js";
import { ademamix } from "./rules/ademamix.js";
import { adopt } from "./rules/adopt.js";
import { angd } from "./rules/angd.js";
import { asgd } from "./rules/asgd.js";
import { fromage } from "./rules/fromage.js";
import { ftrl } from "./rules/ftrl.js";
import { lamb } from "./rules/lamb.js";
import { laprop } from "./rules/laprop.js";
import { lars } from "./rules/lars.js";
import { lbfgs } from "./rules/lbfgs.js";
import { momentum, nesterov, nesterovLookahead } from "./rules/momentum.js";
import { muon } from "./rules/muon.js";
import { noisySgd } from "./rules/noisy-sgd.js";
import { novograd } from "./rules/novograd.js";
import { optimisticAdam, optimisticSgd } from "./rules/optimistic.js";
import { polyakSgd } from "./rules/polyak-sgd.js";
import { prodigy } from "./rules/prodigy.js";
import { radam, radamAmsgrad } from "./rules/radam.js";
import {
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  rmspropNesterov,
} from "./rules/rmsprop.js";
import { rprop } from "./rules/rprop.js";
import { scheduleFreeAdamw, scheduleFreeSgd } from "./rules/schedule-free.js";
import { sgd } from "./rules/sgd.js";
import { shampoo } from "./rules/shampoo.js";
import { lion, signSgd, signum } from "./rules/sign.js";
import { sm3 } from "./rules/sm3.js";
import { soap } from "./rules/soap.js";
import { sophia } from "./rules/sophia.js";
import { stableAdamw } from "./rules/stable-adamw.js";
import { yogi } from "./rules/yogi.js";

export * from "./rules/adabelief.js";
export * from "./rules/adadelta.js";
export * from "./rules/adafactor.js";
export * from "./rules/adagrad.js";
export * from "./rules/adam.js";
export * from "./rules/adan.js";
export * from "./rules/ademamix.js";
export * from "./rules/adopt.js";
export * from "./rules/angd.js";
export * from "./rules/asgd.js";
export * from "./rules/fromage.js";
export * from "./rules/ftrl.js";
export * from "./rules/lamb.js";
export * from "./rules/laprop.js";
export * from "./rules/lars.js";
export * from "./rules/lbfgs.js";
export * from "./rules/momentum.js";
export * from "./rules/muon.js";
export * from "./rules/noisy-sgd.js";
export * from "./rules/novograd.js";
export * from "./rules/optimistic.js";
export * from "./rules/polyak-sgd.js";
export * from "./rules/prodigy.js";
export { radam, radamAmsgrad } from "./rules/radam.js";
export * from "./rules/rmsprop.js";
export * from "./rules/rprop.js";
export * from "./rules/schedule-free.js";
export * from "./rules/sgd.js";
export * from "./rules/shampoo.js";
export * from "./rules/sign.js";
export * from "./rules/sm3.js";
export * from "./rules/soap.js";
export * from "./rules/sophia.js";
export * from "./rules/stable-adamw.js";
export * from "./rules/yogi.js";

/** Every rule, in order of increasing complexity. */
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
  adopt,
  laprop,
  optimisticSgd,
  optimisticAdam,
  ftrl,
  sophia,
  scheduleFreeSgd,
  scheduleFreeAdamw,
  novograd,
  lars,
  lamb,
  fromage,
  stableAdamw,
  polyakSgd,
  prodigy,
  angd,
  muon,
  shampoo,
  soap,
  sm3,
  adafactor,
  adafactorMomentum,
  noisySgd,
  lbfgs,
] as unknown as readonly RuleFactory[];
