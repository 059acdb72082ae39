// What PyTorch calls the options of our rules. States bear PyTorch's names already. No rule is imported here, so that a
// page carries those it names only.
import { briefly, OptimError } from "../errors.js";
import { isCautious, type RuleMemory, type RuleOptions } from "../rule.js";

type Value = number | boolean;

/** A group as `torch.optim` describes it. */
export interface PyTorchGroup {
  /** Class of `torch.optim`. */
  readonly optimizer: string;
  /** Members of a param group. `lr` is that of the next step; `initial_lr` that before the schedule, where it differs. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** How a rule is written in PyTorch. */
interface PyTorchForm {
  readonly optimizer: string;
  /** The class with decoupled decay, where that is another one. */
  readonly decoupled?: string;
  /** PyTorch's key → our option. {@link PAIRS} and `decay` apart. */
  readonly keys: Readonly<Record<string, string>>;
  /** Keys by which PyTorch tells this rule from others of the class. */
  readonly fixed?: Readonly<Record<string, Value>>;
  /** Options that must have this value: PyTorch has no other form. */
  readonly needs?: Readonly<Record<string, Value | string>>;
  /** Options that must be above 0: at 0 PyTorch keeps no such state. */
  readonly positive?: readonly string[];
  /** Whether both decays are there under `decoupled_weight_decay`. */
  readonly decoupledKey?: boolean;
  /** PyTorch's names for the rule's memory, undefined for what the next step does not read. */
  readonly memory?: readonly (string | undefined)[];
}

/** PyTorch's keys with two values → our options. */
const PAIRS: Readonly<Record<string, readonly [string, string]>> = {
  betas: ["beta1", "beta2"],
  etas: ["etaMinus", "etaPlus"],
  step_sizes: ["stepSizeMin", "stepSizeMax"],
};

const common = { weight_decay: "weightDecay", maximize: "maximize" };
const rmsprop = { ...common, alpha: "alpha", eps: "eps" };
const inside = { epsInside: false };
const corrected = { biasCorrection: false };
const both = { ...inside, rateInside: false, nesterov: false };
const eps = { epsRoot: 0, epsHat: false };
const adam = {
  optimizer: "Adam",
  decoupled: "AdamW",
  keys: { ...common, betas: "beta", eps: "eps" },
  fixed: { amsgrad: false },
  needs: eps,
} as const satisfies PyTorchForm;
const rmspropMomentum = { optimizer: "RMSprop", needs: both, positive: ["momentum"] };

const forms: Readonly<Record<string, PyTorchForm>> = {
  sgd: { optimizer: "SGD", keys: common, fixed: { momentum: 0, dampening: 0, nesterov: false } },
  momentum: {
    optimizer: "SGD",
    keys: { ...common, momentum: "momentum", dampening: "dampening" },
    fixed: { nesterov: false },
    needs: { form: "buffer" },
    positive: ["momentum"],
  },
  nesterov: {
    optimizer: "SGD",
    keys: { ...common, momentum: "momentum" },
    fixed: { nesterov: true, dampening: 0 },
    needs: { form: "buffer" },
    positive: ["momentum"],
  },
  adagrad: {
    optimizer: "Adagrad",
    keys: {
      ...common,
      lr_decay: "lrDecay",
      initial_accumulator_value: "initialAccumulatorValue",
      eps: "eps",
    },
    needs: inside,
  },
  rmsprop: {
    optimizer: "RMSprop",
    keys: rmsprop,
    fixed: { centered: false, momentum: 0 },
    needs: { ...inside, ...corrected },
  },
  "rmsprop-centered": {
    optimizer: "RMSprop",
    keys: rmsprop,
    fixed: { centered: true, momentum: 0 },
    needs: inside,
  },
  "rmsprop-momentum": {
    ...rmspropMomentum,
    keys: { ...rmsprop, momentum: "momentum" },
    fixed: { centered: false },
    needs: { ...both, ...corrected },
  },
  "rmsprop-centered-momentum": {
    ...rmspropMomentum,
    keys: { ...rmsprop, momentum: "momentum" },
    fixed: { centered: true },
  },
  adadelta: { optimizer: "Adadelta", keys: { ...common, rho: "rho", eps: "eps" } },
  adam,
  adamw: adam,
  amsgrad: { ...adam, fixed: { amsgrad: true }, needs: { ...eps, maximum: "raw" } },
  adamax: {
    optimizer: "Adamax",
    keys: { ...common, betas: "beta", eps: "eps" },
    needs: { epsOutside: false },
  },
  nadam: {
    optimizer: "NAdam",
    keys: { ...common, betas: "beta", eps: "eps", momentum_decay: "momentumDecay" },
    needs: { ...eps, form: "scheduled" },
    decoupledKey: true,
    memory: ["mu_product"],
  },
  radam: {
    optimizer: "RAdam",
    keys: { ...common, betas: "beta", eps: "eps" },
    needs: { threshold: 5, epsHat: true },
    decoupledKey: true,
  },
  rprop: {
    optimizer: "Rprop",
    keys: { maximize: "maximize", etas: "eta", step_sizes: "stepSize" },
    needs: { weightDecay: 0, delayed: false },
  },
  asgd: {
    optimizer: "ASGD",
    keys: { ...common, lambd: "lambd", alpha: "alpha", t0: "t0" },
    memory: ["eta", "mu", undefined],
  },
};

/** Keys of param groups that change no result, or that stand beside another. */
const IGNORED = ["foreach", "fused", "capturable", "differentiable", "initial_lr"];

function refuse(rule: string, expected: string, got: string, fix: string): never {
  throw new OptimError("invalid-option", `PyTorch has no form of ${rule} with these options`, {
    expected,
    got,
    fix,
  });
}

function formOf(rule: string): PyTorchForm {
  const form = Object.hasOwn(forms, rule) ? forms[rule] : undefined;
  return (
    form ??
    refuse(
      rule,
      `one of ${Object.keys(forms).join(", ")}`,
      `'${rule}'`,
      "save without the format 'pytorch', or train by another rule",
    )
  );
}

/**
 * A group in PyTorch's terms.
 * @param rate learning rate of the next step
 * @throws OptimError `invalid-option` where PyTorch has no such rule
 */
export function toPyTorch(rule: string, options: RuleOptions, rate: number): PyTorchGroup {
  const form = formOf(rule);
  for (const [name, value] of Object.entries(form.needs ?? {}))
    if (options[name] !== value)
      refuse(
        rule,
        `${name} ${value}`,
        briefly(options[name]),
        "save without the format 'pytorch', or train so",
      );
  if (isCautious(options))
    refuse(rule, "cautious 'off'", briefly(options.cautious), "save without the format 'pytorch'");
  for (const name of form.positive ?? [])
    if (!(Number(options[name]) > 0))
      refuse(rule, `${name} above 0`, briefly(options[name]), "train by the rule without momentum");
  const decoupled = options.decay === "decoupled";
  if (!decoupled && options.decay !== "coupled" && options.weightDecay !== 0)
    refuse(rule, "coupled or decoupled weight decay", briefly(options.decay), "train with one of these");
  const decouples = form.decoupled !== undefined || form.decoupledKey === true;
  if (decoupled && options.weightDecay !== 0 && !decouples)
    refuse(rule, "coupled weight decay", "decoupled", "pass decay: 'coupled', or train by adamw");
  const config: Record<string, unknown> = { lr: rate };
  if (rate !== options.lr) config.initial_lr = options.lr;
  for (const [key, name] of Object.entries(form.keys))
    config[key] = PAIRS[key]?.map((option) => options[option]) ?? options[name];
  Object.assign(config, form.fixed, form.decoupledKey && { decoupled_weight_decay: decoupled });
  return { optimizer: (decoupled && form.decoupled) || form.optimizer, config };
}

/**
 * Options of a rule from a group in PyTorch's terms; still to be checked against the rule's ranges.
 * @throws OptimError `invalid-option` where it is a group of another rule or has an unknown key
 */
export function fromPyTorchGroup(rule: string, { optimizer, config }: PyTorchGroup): Record<string, unknown> {
  const form = formOf(rule);
  const classes = [form.optimizer, ...(form.decoupled ? [form.decoupled] : [])];
  const wrong = (expected: string, got: string): never => {
    throw new OptimError(
      "invalid-option",
      `The group of PyTorch's ${briefly(optimizer)} is none of ${rule}`,
      {
        expected,
        got,
        fix: "create the optimizer with the rule that the file is of",
      },
    );
  };
  if (!classes.includes(optimizer)) wrong(classes.join(" or "), briefly(optimizer));
  for (const [key, value] of Object.entries(form.fixed ?? {})) {
    const given = config[key] ?? (typeof value === "boolean" ? false : 0);
    if (given !== value) wrong(`${key} ${value}`, briefly(given));
  }
  const known = ["lr", "decoupled_weight_decay", ...Object.keys({ ...form.keys, ...form.fixed }), ...IGNORED];
  for (const key of Object.keys(config))
    if (!known.includes(key)) wrong(`keys ${known.join(", ")}`, `'${key}'`);
  const options: Record<string, unknown> = { lr: config.initial_lr ?? config.lr };
  for (const [key, name] of Object.entries(form.keys)) {
    if (!Object.hasOwn(config, key)) continue;
    const value = config[key];
    const pair = PAIRS[key];
    if (!pair) options[name] = value;
    else if (Array.isArray(value) && value.length === 2) [options[pair[0]], options[pair[1]]] = value;
    else wrong(`${key} of two numbers`, JSON.stringify(value));
  }
  const decoupled = optimizer === form.decoupled || config.decoupled_weight_decay === true;
  if (decoupled && form.decoupled === undefined && !form.decoupledKey)
    wrong("coupled weight decay", "decoupled");
  options.decay = decoupled ? "decoupled" : "coupled";
  return options;
}

/** The memory of a rule under PyTorch's names. */
export function memoryToPyTorch(rule: string, memory: RuleMemory): Readonly<Record<string, number>> {
  return Object.fromEntries(
    (formOf(rule).memory ?? []).flatMap((name, index) =>
      name === undefined ? [] : [[name, memory[index] ?? 0]],
    ),
  );
}

/** The memory of a rule from PyTorch's names, unchecked. */
export function memoryFromPyTorch(rule: string, group: Readonly<Record<string, unknown>>): unknown[] {
  return (formOf(rule).memory ?? []).map((name) => (name === undefined ? 0 : group[name]));
}
