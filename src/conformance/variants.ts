import { type RuleFactory, rules } from "../index.js";
import { mismatch } from "../rule.js";
import { tenfold } from "./numbers.js";

/** Option values that a rule is tried at. */
export type Options = Readonly<Record<string, number | boolean | string>>;

type Spec = RuleFactory["row"]["options"][string];

/** A number that a spec takes and that is not its default; undefined where there is none. */
function otherNumber(spec: Spec & { readonly kind: "number" }): number | undefined {
  const { default: given, min, max } = spec;
  const usual =
    max === Infinity ? (given === 0 ? 0.05 : tenfold(given ?? 1)) : min === -Infinity ? -0.2 : 0.6;
  const candidates = [usual, 2 * (given ?? 1), (given ?? 1) / 2, min + 1, max - 1, (min + max) / 2, min, max];
  return candidates.find((value) => value !== given && mismatch(spec, value) === undefined);
}

/** Options that do nothing without others, or to no small tensor, and are tried together with those. */
const byOthers: Readonly<Record<string, readonly string[]>> = {
  soap: ["every", "maxDimension"],
  shampoo: ["beta", "every", "block", "graftBeta", "graftEps"],
};

/**
 * Non-default values that an option is tried at, by its spec: every flag, every choice, and one other number. The rarer
 * styles of decay are the engine's alone, and are tried with one rule.
 */
function alternatives(rule: string, name: string, spec: Spec): Options[] {
  if (spec.kind === "flag") return [{ [name]: !spec.default }];
  if (spec.kind === "choice" && name === "cautious")
    return spec.values
      .filter((value) => value === "scaled" || (rule === "adam" && value !== "off"))
      .map((value) => ({ cautious: value, weightDecay: 0.1 }));
  if (spec.kind === "choice")
    return name === "decay"
      ? spec.values
          .filter((value) => rule === "adam" || value === "coupled" || value === "decoupled")
          .map((value) => ({ decay: value, weightDecay: 0.1 }))
      : spec.values.filter((value) => value !== spec.default).map((value) => ({ [name]: value }));
  if (["weightDecay", "lr", "memoryLimit"].includes(name) || byOthers[rule]?.includes(name)) return [];
  const other = otherNumber(spec);
  return other === undefined ? [] : [{ [name]: other }];
}

/** Whether a rule is held to the library's reference, and not to one of its own under the same name. */
const isOwn = ({ row }: RuleFactory) => !row.reference && rules.some((rule) => rule.row.name === row.name);

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
  lars: [
    { nesterov: true, form: "buffer", decay: "decoupled", weightDecay: 0.1 },
    { adapt: false, decay: "decoupled", weightDecay: 0.1 },
  ],
  fromage: [{ minNorm: 2 }, { minNorm: 20 }],
  lamb: [
    { decayFirst: true, decay: "decoupled", weightDecay: 0.1 },
    { maxNorm: 1, maxTrust: 0.5, decay: "decoupled", weightDecay: 0.1 },
  ],
  lbfgs: [{ historySize: 1 }],
  "polyak-sgd": [
    { minimum: 5, variant: "sps+" },
    { leastSquare: 30, eps: 10 },
    { maxRate: 0.1, scale: 3 },
  ],
  prodigy: [{ biasCorrection: true, newDistance: true, eps: 1 }],
  ademamix: [{ alphaWarmup: 8, beta3Warmup: 8 }],
  angd: [
    { delta: 0.02, block: 4 },
    { delta: 0.05, block: 6, damping: 0.1 },
    { delta: 0.02, outputs: 3, damping: 0.1 },
    { delta: 1e-3, form: "firstOrder" },
    { delta: 0.5, adaptation: "inverse" },
    { delta: 0.5, adaptation: "inverse", outputs: 1, start: 0.25 },
  ],
  muon: [{ form: "sum", epsFloor: false, eps: 1 }, { biasCorrection: true, nesterov: false }, { steps: 0 }],
  shampoo: [
    { block: 5, every: 6 },
    { block: 20, every: 4, root: "square", momentum: 0.6 },
    { accumulation: "average", beta: 0.6, every: 4 },
    { grafting: "rmsprop", graftBeta: 0.6, graftEps: 0.1, momentum: 0.6, every: 4 },
  ],
  soap: [
    { every: 3, maxDimension: 8 },
    { shampooBeta: 0.6, beta2: 0.6, every: 4 },
  ],
  adafactor: [
    { eps1: 0.3 },
    { eps1: 1e-30, eps1Form: "added" },
    { eps1: 0.1, eps1Form: "added", clipThreshold: 0 },
    {
      relativeStep: false,
      scaleParameter: false,
      factored: "largest",
      minDimension: 5,
      weightDecay: 0.1,
      decay: "independent",
    },
  ],
  ftrl: [
    { l1: 0.01, l2: 0.02, l2Shrinkage: 0.03, beta: 0.04 },
    { learningRatePower: 0, l1: 0.01, l2: 0.02 },
    { form: "keras", l1: 0.01, l2: 0.02, l2Shrinkage: 0.03, beta: 0.04 },
    { form: "keras", learningRatePower: 0, l1: 0.01, l2: 0.02 },
  ],
};

/** What a rule is tried with throughout: a history that a dozen steps fill. */
const throughout: Readonly<Record<string, Options>> = { lbfgs: { historySize: 5 } };

/** Values that options are tried at in the place of what their ranges suggest. */
const apart: Readonly<Record<string, number>> = {
  dCoef: 0.5,
  delta: 0.1,
  // Of Muon: further off, its iterations diverge; more of them take roundings up to where they are all.
  steps: 4,
  a: 3,
  b: -5,
  c: 1.8,
  historySize: 3,
};

/** What options without a default are given. */
export const neededBy = ({ row }: RuleFactory): Options =>
  Object.fromEntries(
    Object.entries(row.options).flatMap(([name, spec]) =>
      spec.default === undefined && spec.kind === "number" ? [[name, otherNumber(spec) ?? spec.min]] : [],
    ),
  );

/** A rule at its defaults, at each option's alternatives, one option at a time, and at some options together. */
export function variantsOf(factory: RuleFactory): Options[] {
  const { name, options } = factory.row;
  const needed = neededBy(factory);
  const all = isOwn(factory) ? throughout[name] : {};
  const alone = Object.entries(options).flatMap(([option, spec]) =>
    // Ten times the estimate, and Prodigy's distance would run away.
    // At a δ of a half, H of what no gradient has told of yet soon leaves f32.
    isOwn(factory) && apart[option] !== undefined
      ? [{ [option]: apart[option] }]
      : alternatives(name, option, spec),
  );
  const more = isOwn(factory) ? (together[name] ?? []) : [];
  return [{}, ...alone, ...more].map((variant) => ({ ...needed, ...all, ...variant }));
}
