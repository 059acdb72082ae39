import { OptimError } from "../errors.js";
import { adabelief, adabeliefAmsgrad } from "./adabelief.js";
import { adadelta } from "./adadelta.js";
import { adafactor, adafactorMomentum } from "./adafactor.js";
import { adagrad } from "./adagrad.js";
import { adam, adamax, adamw, amsgrad, nadam } from "./adam.js";
import { adan } from "./adan.js";
import { ademamix } from "./ademamix.js";
import { adopt } from "./adopt.js";
import { angd } from "./angd.js";
import { asgd } from "./asgd.js";
import { fromage } from "./fromage.js";
import { ftrl } from "./ftrl.js";
import { lamb } from "./lamb.js";
import { laprop } from "./laprop.js";
import { lars } from "./lars.js";
import { lbfgs } from "./lbfgs.js";
import { momentum, nesterov, nesterovLookahead } from "./momentum.js";
import { muon } from "./muon.js";
import { noisySgd } from "./noisy-sgd.js";
import { novograd } from "./novograd.js";
import { optimisticAdam, optimisticSgd } from "./optimistic.js";
import { polyakSgd } from "./polyak-sgd.js";
import { prodigy } from "./prodigy.js";
import { radam, radamAmsgrad } from "./radam.js";
import type { ReferenceRule } from "./reference-rule.js";
import {
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  rmspropNesterov,
} from "./rmsprop.js";
import { rprop } from "./rprop.js";
import { scheduleFreeAdamw, scheduleFreeSgd } from "./schedule-free.js";
import { sgd } from "./sgd.js";
import { shampoo } from "./shampoo.js";
import { lion, signSgd, signum } from "./sign.js";
import { sm3 } from "./sm3.js";
import { soap } from "./soap.js";
import { sophia } from "./sophia.js";
import { stableAdamw } from "./stable-adamw.js";
import { yogi } from "./yogi.js";

/** The float64 reference of every rule, under the rule's name. */
export const reference: Readonly<Record<string, ReferenceRule>> = {
  sgd,
  momentum,
  nesterov,
  "nesterov-lookahead": nesterovLookahead,
  adagrad,
  rmsprop,
  "rmsprop-centered": rmspropCentered,
  "rmsprop-momentum": rmspropMomentum,
  "rmsprop-centered-momentum": rmspropCenteredMomentum,
  "rmsprop-nesterov": rmspropNesterov,
  adadelta,
  adam,
  amsgrad,
  adamw,
  adamax,
  nadam,
  radam,
  "radam-amsgrad": radamAmsgrad,
  rprop,
  asgd,
  lion,
  "sign-sgd": signSgd,
  signum,
  adabelief,
  "adabelief-amsgrad": adabeliefAmsgrad,
  yogi,
  adan,
  ademamix,
  adopt,
  laprop,
  "optimistic-sgd": optimisticSgd,
  "optimistic-adam": optimisticAdam,
  ftrl,
  sophia,
  "schedule-free-sgd": scheduleFreeSgd,
  "schedule-free-adamw": scheduleFreeAdamw,
  novograd,
  lars,
  lamb,
  fromage,
  "stable-adamw": stableAdamw,
  "polyak-sgd": polyakSgd,
  prodigy,
  angd,
  muon,
  shampoo,
  soap,
  sm3,
  adafactor,
  "adafactor-momentum": adafactorMomentum,
  "noisy-sgd": noisySgd,
  lbfgs,
};

/** A rule by its name, or by its row, which may carry a reference of its own. */
export type Referenced = string | { readonly name: string; readonly reference?: ReferenceRule };

/** The name that messages use. */
export const nameOf = (of: Referenced): string => (typeof of === "string" ? of : of.name);

/**
 * The reference of a rule.
 * @throws OptimError `unknown-name` where there is none.
 */
export function referenceRule(of: Referenced): ReferenceRule {
  if (typeof of === "object" && of.reference) return of.reference;
  const name = nameOf(of);
  const rule = Object.hasOwn(reference, name) ? reference[name] : undefined;
  if (rule) return rule;
  throw new OptimError("unknown-name", `There is no reference of a rule called '${name}'`, {
    expected: `one of ${Object.keys(reference).join(", ")}, or a row with a reference`,
    got: `'${name}'`,
    fix: "pass the name of a rule's row, or give defineRule() a reference",
  });
}
