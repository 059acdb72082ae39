// biome-ignore-all assist/source/organizeImports: in order of increasing complexity
// The table of contents of the rules. A family's rows, shaders and references lie under its name in rules/, shaders/ and
// reference/; docs/rules.md tells how to add one.
import type { RuleFactory } from "./rule.js";
import { sgd } from "./rules/sgd.js";
import { momentum, nesterov, nesterovLookahead } from "./rules/momentum.js";
import { adagrad } from "./rules/adagrad.js";
import {
  rmsprop,
  rmspropCentered,
  rmspropMomentum,
  rmspropCenteredMomentum,
  rmspropNesterov,
} from "./rules/rmsprop.js";
import { adadelta } from "./rules/adadelta.js";
import { adam, amsgrad, adamw, adamax, nadam } from "./rules/adam.js";
import { radam, radamAmsgrad } from "./rules/radam.js";
import { rprop } from "./rules/rprop.js";
import { asgd } from "./rules/asgd.js";
import { lion, signSgd, signum } from "./rules/sign.js";
import { adabelief, adabeliefAmsgrad } from "./rules/adabelief.js";
import { yogi } from "./rules/yogi.js";
import { adan } from "./rules/adan.js";
import { ademamix } from "./rules/ademamix.js";
import { ftrl } from "./rules/ftrl.js";
import { sophia } from "./rules/sophia.js";
import { scheduleFreeSgd, scheduleFreeAdamw } from "./rules/schedule-free.js";
import { novograd } from "./rules/novograd.js";
import { prodigy } from "./rules/prodigy.js";

export {
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
};

/** Every rule. */
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
