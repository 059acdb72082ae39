import type { RuleFactory } from "../index.js";
import { tenfold } from "./numbers.js";

/** Option values that a rule is tried at. */
export type Options = Readonly<Record<string, number | boolean | string>>;

type Spec = RuleFactory["row"]["options"][string];

/**
 * Non-default values that an option is tried at, by its spec: every flag, every choice, and one other number. The rarer
 * styles of decay are the engine's alone, and are tried with one rule.
 */
function alternatives(rule: string, name: string, spec: Spec): Options[] {
  if (spec.kind === "flag") return [{ [name]: !spec.default }];
  if (spec.kind === "choice")
    return name === "decay"
      ? spec.values
          .filter((value) => rule === "adam" || value === "coupled" || value === "decoupled")
          .map((value) => ({ decay: value, weightDecay: 0.1 }))
      : spec.values.filter((value) => value !== spec.default).map((value) => ({ [name]: value }));
  if (name === "weightDecay" || name === "lr") return [];
  if (name in instead) return [{ [name]: instead[name]! }];
  const inside =
    spec.max === Number.POSITIVE_INFINITY
      ? spec.default === 0
        ? 0.05
        : tenfold(spec.default ?? 1)
      : spec.min === Number.NEGATIVE_INFINITY
        ? -0.2
        : 0.6;
  return [{ [name]: inside }];
}

/** Numbers to be tried where ten times the default is no run to judge. */
const instead: Readonly<Record<string, number>> = {
  // Prodigy's distance would run away.
  dCoef: 0.5,
};

/** Options that act together only, or within a few steps only at values of their own. */
const together: Readonly<Record<string, readonly Options[]>> = {
  adagrad: [{ eps: 1e-3, epsInside: true }],
  rmsprop: [{ eps: 1e-3, epsInside: true }],
  // With such an average a constant gradient's variance is soon rounding alone.
  "rmsprop-centered": [{ eps: 1e-3, epsInside: true }, { alpha: 0.3 }],
  "rmsprop-momentum": [{ eps: 1e-3, epsInside: true }],
  "rmsprop-centered-momentum": [{ eps: 1e-3, epsInside: true }, { alpha: 0.3 }],
  radam: [{ beta2: 0.9, epsHat: false }],
  "radam-amsgrad": [{ beta2: 0.9, epsHat: false }],
  asgd: [{ t0: 5 }],
  adabelief: [{ beta2: 0.9, rectify: true }],
  "adabelief-amsgrad": [{ beta2: 0.9, rectify: true }],
  yogi: [
    { biasCorrection: true, epsHat: true },
    { biasCorrection: true, l1: 0.1, l2: 0.2 },
  ],
  prodigy: [{ biasCorrection: true, newDistance: true, eps: 1 }],
  ademamix: [{ alphaWarmup: 8, beta3Warmup: 8 }],
  ftrl: [
    { l1: 0.01, l2: 0.02, l2Shrinkage: 0.03, beta: 0.04 },
    { learningRatePower: 0, l1: 0.01, l2: 0.02 },
  ],
};

/** A rule at its defaults, at each option's alternatives, one option at a time, and at some options together. */
export const variantsOf = ({ row }: RuleFactory): Options[] => [
  {},
  ...Object.entries(row.options).flatMap(([name, spec]) => alternatives(row.name, name, spec)),
  ...(together[row.name] ?? []),
];
