import { briefly, checkKeys, OptimError } from "./errors.js";
import { memo } from "./memo.js";
import type { ReferenceRule } from "./reference/reference-rule.js";
import type { WholeTensor } from "./whole-tensor.js";

/** What the build reads from a rule's WGSL file. Nobody writes an offset or a binding number by hand. */
export interface RuleShader {
  /** File name, quoted in error messages. */
  readonly file: string;
  /** WGSL text: `Scalars`, `State` (if any) and `update`, line for line, then what it uses of the prelude; valid by itself. */
  readonly code: string;
  /** Byte offset of every f32 field of `Scalars`. */
  readonly scalars: Readonly<Record<string, number>>;
  /** Fields of `State`, in order: one storage buffer each. */
  readonly states: readonly string[];
  /** Names of the `override` constants. */
  readonly overrides: readonly string[];
  /** Whether the update is sums and products of the gradient, which keep what is not finite. */
  readonly linear: boolean;
  /** Whether the file has `fn lookahead`, so that the gradient is taken at another point. */
  readonly lookahead: boolean;
  /** Whether the file has `fn curvature`, which takes in an estimate of the Hessian's diagonal. */
  readonly curvature: boolean;
  /** Whether the file has `fn direct`: what passes over whole tensors begin with, in the gradient's place. */
  readonly direct: boolean;
  /** Whether `update` is given the states. */
  readonly stateful: boolean;
  /** Fields of `Sums`: what `fn measure` adds up over a tensor; none without it. */
  readonly sums: readonly string[];
  /** Fields of `Settled`: what `fn settle` makes of the sums and keeps for each tensor. */
  readonly settled: readonly string[];
}

interface NumberSpec {
  readonly kind: "number";
  /** Absent: the caller must say. */
  readonly default?: number;
  readonly min: number;
  readonly max: number;
  readonly exclusiveMin?: boolean;
  readonly exclusiveMax?: boolean;
  /** The least value above 0; what f32 holds if left out. */
  readonly least?: number;
  /** Whether it counts something. */
  readonly whole?: true;
}
interface FlagSpec {
  readonly kind: "flag";
  readonly default: boolean;
}
interface ChoiceSpec<T extends string = string> {
  readonly kind: "choice";
  readonly default: T;
  readonly values: readonly T[];
}

/** The options of a rule: each name with its default and range. */
export type OptionSpecs = Readonly<Record<string, NumberSpec | FlagSpec | ChoiceSpec>>;

/** Option values, as the specs type them. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [K in keyof S]: S[K] extends NumberSpec
    ? number
    : S[K] extends FlagSpec
      ? boolean
      : S[K] extends ChoiceSpec<infer T>
        ? T
        : never;
};

/** Zero, or a finite number above it that f32 holds: at least 2⁻¹²⁶. */
export const nonNegative = (value?: number) =>
  ({ kind: "number", ...(value === undefined ? {} : { default: value }), min: 0, max: Infinity }) as const;
/** A finite number above zero that f32 holds: at least 2⁻¹²⁶. */
export const positive = (value: number) =>
  ({ kind: "number", default: value, min: 0, exclusiveMin: true, max: Infinity }) as const;
/**
 * An ε that joins the root of an average of squares: at least 2⁻⁵⁰. The squares of gradients below 2⁻⁶³ are zero in f32, and
 * their share (1 − β) of an average earlier: a smaller ε would be all that is left to divide by.
 */
export const epsilon = (value: number) => ({ ...positive(value), least: 2 ** -50 }) as const;
/** A decay rate in [0, 1), also where f32 rounds it. */
export const fraction = (value: number) =>
  ({ kind: "number", default: value, min: 0, max: 1, exclusiveMax: true }) as const;
/** A count of at least `min`. */
export const wholeNumber = (value: number, min: number) =>
  ({ kind: "number", default: value, min, max: Infinity, whole: true }) as const;
export const flag = (value: boolean) => ({ kind: "flag", default: value }) as const;
/** One of some names; the first is the default. */
export const choice = <const T extends string>(...values: readonly [T, ...T[]]) =>
  ({ kind: "choice", default: values[0], values }) as const satisfies ChoiceSpec<T>;

/** Styles of weight decay, in words: {@link commonOptions}. */
export const decayStyles = ["coupled", "decoupled", "independent", "proximal", "cautious"] as const;

/** Whether updates may be held back: {@link commonOptions}. */
export const isCautious = (options: { readonly cautious?: unknown } | undefined): boolean =>
  (options?.cautious ?? "off") !== "off";

/** Of rules whose states follow the parameters that their updates lead to, and of those whose direction is of a whole tensor. */
export const neverCautious = () => choice("off");

/** Options that every rule takes, because the engine and not the rule carries them out. */
export const commonOptions = {
  /** Learning rate η, before the schedule's factor: 0, or at least 2⁻¹²⁶. */
  lr: nonNegative(1e-3),
  /** Weight decay λ. */
  weightDecay: nonNegative(0),
  /**
   * `coupled` adds λθ to the gradient (L2). The others take off the parameter: `decoupled` ηλθ (Loshchilov & Hutter 2019),
   * `independent` λθ whatever the rate (TensorFlow Addons), `proximal` θ ← (θ − update)/(1 + ηλ) (Xie et al. 2022), and
   * `cautious` ηλθ where the update does not push θ away from zero (Chen et al. 2025).
   */
  decay: choice(...decayStyles),
  /** Ascend instead of descend. */
  maximize: flag(false),
  /**
   * Keep only updates that take the gradient's way (Liang et al. 2024), of each tensor `scaled` by n/max(kept, n/1000) (the
   * authors' code, timm) or by n/(kept + 1) (the `paper`). Decay that is the engine's is not held back.
   */
  cautious: choice("off", "scaled", "paper"),
} as const;

/** Styles of rules whose authors decouple decay. */
export const decoupledFirst = () => choice("decoupled", "coupled", "independent", "proximal", "cautious");

/** λ times the rate for a rule with `ownDecay`; 0 in the styles that stay the engine's. */
export const decoupledRate = (
  { decay, weightDecay }: { readonly decay: string; readonly weightDecay: number },
  rate: number,
) => (decay === "decoupled" ? rate * weightDecay : 0);

type Common = typeof commonOptions;

/** History that a rule's scalars depend on (Nadam's product of μ): a few float64 numbers, kept by each group. */
export type RuleMemory = readonly number[];

/** One line of the table of rules: everything about a rule that is not WGSL. */
export interface RuleRow<O = RuleOptions> {
  readonly name: string;
  readonly shader: RuleShader;
  readonly options: OptionSpecs;
  /** The update as printed in the docs, with g gradient, θ parameter, η rate, t step from 1. */
  readonly formula: string;
  /** Paper and equation, or the framework whose form this is. */
  readonly source: string;
  /** Values of the `override` constants. */
  readonly constants?: (options: O) => Readonly<Record<string, number>>;
  /** Initial value of each state, or field of `Settled`, that does not start at zero. */
  readonly initial?: (options: O) => Readonly<Record<string, number>>;
  /** States that begin as a copy of the parameter, taken before a tensor's first step. */
  readonly startsAtParameter?: readonly string[];
  /** The state, one of `startsAtParameter`, that holds the parameters to evaluate at, where others are trained. */
  readonly evaluate?: string;
  /** Whether the rule carries out decoupled decay itself, from its scalars; other styles stay the engine's. */
  readonly ownDecay?: true;
  /** Whether the new parameter follows from the states alone, so that no change of it is to be compensated. */
  readonly absolute?: true | ((options: O) => boolean);
  /** What `Sums` go over: one tensor (the default), or all tensors of groups with this rule. */
  readonly scope?: "tensor" | "all";
  /** Passes over whole tensors before the update. */
  readonly whole?: WholeTensor<O>;
  /** Memory before the first step. */
  readonly memory?: RuleMemory;
  /** Memory of step t from that of step t − 1; runs before `scalars`. */
  readonly advance?: (options: O, t: number, lr: number, memory: RuleMemory) => RuleMemory;
  /** The rule in float64, for the conformance run; those of the library's own rules lie in `reference/`. */
  readonly reference?: ReferenceRule<O>;
  /**
   * The `Scalars` of step t (from 1) at rate lr, in float64; each is rounded to f32 once. Only those that need a formula:
   * {@link scalarsAt} fills in the others by their names.
   */
  readonly scalars?: (
    options: O,
    t: number,
    lr: number,
    memory: RuleMemory,
  ) => Readonly<Record<string, number>>;
}

/**
 * A rule with its hyperparameters: plain data that the engine runs. Made by a factory such as `adam(options)`. `O` are
 * options of a rule that the caller defined.
 */
export interface Rule<O = unknown> {
  readonly row: RuleRow;
  readonly options: RuleOptions & O;
}

/** Checked option values of any rule. */
export type RuleOptions = OptionValues<Common> & Readonly<Record<string, number | boolean | string>>;

/** Makes a {@link Rule} from options; those left out take the row's defaults. */
export interface RuleFactory<
  O = Readonly<Record<string, number | boolean | string>>,
  Made extends Rule = Rule,
> {
  /** @throws OptimError `invalid-option` */
  (options?: { readonly [K in keyof O]?: O[K] | undefined }): Made;
  readonly row: RuleRow;
}

/**
 * The factory of a row. The row's own options come on top of {@link commonOptions}. The row is made by a function, so that
 * no call in it, `fraction(0.9)` say, keeps an unused rule in a bundle.
 */
export function ruleFactory<S extends OptionSpecs>(
  rowOf: () => Omit<RuleRow<OptionValues<Omit<Common, keyof S> & S>>, "options"> & { readonly options: S },
): RuleFactory<OptionValues<Omit<Common, keyof S> & S>> {
  const row = rowOf();
  // The engine reads options by name from checked values, so the row's own types end here.
  const complete = {
    ...row,
    options: { ...commonOptions, ...row.options },
  } as unknown as RuleRow;
  return Object.assign(
    (options: object = {}): Rule => ({ row: complete, options: checkOptions(complete, options) }),
    { row: complete },
  );
}

/**
 * All scalars of step t, in float64. One that the row's `scalars` does not give is filled by its name: `rate` is the rate,
 * `eps_root` the option `epsRoot`, and `one_minus_beta1` is 1 minus what `beta1` is. A name that says nothing stays out.
 */
export function scalarsAt(
  { scalars, shader }: RuleRow,
  options: RuleOptions,
  t: number,
  lr: number,
  memory: RuleMemory,
): Readonly<Record<string, number>> {
  const values: Record<string, number> = { ...scalars?.(options, t, lr, memory) };
  const option = (name: string) =>
    name === "lr" ? lr : name === "rate" ? (options.rate ?? lr) : options[memo(optionNames, name, camelCase)];
  const named = (name: string) => values[name] ?? option(name);
  for (const name of Object.keys(shader.scalars)) {
    const [, base] = name.split("one_minus_");
    const value = named(name) ?? (base && 1 - Number(named(base)));
    if (typeof value === "number") values[name] = value;
  }
  return values;
}

/** `epsRoot` of `eps_root`. */
const camelCase = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** Worked out once: steps call for them. */
const optionNames = new Map<string, string>();

/**
 * Checks option values against a row and fills in `base`, or the row's defaults.
 * @throws OptimError `invalid-option` for an unknown name, a wrong type, a value out of range, NaN, or a missing one.
 */
export function checkOptions(row: RuleRow, given: object, base?: RuleOptions): RuleOptions {
  checkKeys("invalid-option", row.name, given, Object.keys(row.options));
  const values: Record<string, number | boolean | string> = {};
  for (const [name, spec] of Object.entries(row.options)) {
    const value = Object.hasOwn(given, name)
      ? (given as Record<string, unknown>)[name]
      : (base?.[name] ?? spec.default);
    const expected = mismatch(spec, value);
    if (expected !== undefined)
      throw new OptimError("invalid-option", `Option '${name}' of ${row.name} is out of range`, {
        expected,
        got: briefly(value),
        fix:
          spec.default === undefined
            ? `pass ${name}`
            : `pass ${expected}, or leave it out for ${spec.default}`,
      });
    values[name] = value as number | boolean | string;
  }
  return Object.freeze(values) as RuleOptions;
}

/**
 * The spec of an option that a schedule can set: a number of the rule's other than the rate.
 * @throws OptimError `invalid-option`
 */
export function checkScheduledOption({ name: rule, options }: RuleRow, name: string): NumberSpec {
  const spec = Object.hasOwn(options, name) ? options[name] : undefined;
  if (name !== "lr" && spec?.kind === "number") return spec;
  const numbers = Object.keys(options).filter((key) => key !== "lr" && options[key]!.kind === "number");
  throw new OptimError("invalid-option", `No schedule can set '${name}' of ${rule}`, {
    expected: `one of ${numbers.join(", ")}`,
    got: `'${name}'`,
    fix: name === "lr" ? "pass it as schedule" : "correct the spelling or leave it out",
  });
}

/** The least that f32 holds without loss; the GPU may take less for zero. */
const LEAST = 2 ** -126;

/** What a schedule came to, as zero where f32 has only that: a decay that goes on and on is no error. */
export const flushed = (value: number): number => (value > 0 && value < LEAST ? 0 : value);

/** What the spec expects, where the value is something else. */
export function mismatch(spec: OptionSpecs[string], value: unknown): string | undefined {
  if (spec.kind === "flag") return typeof value === "boolean" ? undefined : "true or false";
  if (spec.kind === "choice")
    return spec.values.includes(value as string) ? undefined : `one of ${spec.values.join(", ")}`;
  const { min, max, exclusiveMin, exclusiveMax, least = LEAST, whole } = spec;
  const inside =
    typeof value === "number" &&
    Number.isFinite(Math.fround(value)) &&
    (exclusiveMin ? value > min : value >= min) &&
    (exclusiveMax ? value < max : value <= max) &&
    !(whole && value % 1);
  const vanishes = inside && value > 0 && value < least;
  // 1 − 2⁻²⁶ is below 1, but f32 holds 1 for it.
  const reaches = inside && exclusiveMax && Math.fround(value) >= max;
  if (inside && !vanishes && !reaches) return undefined;
  const right = max === Infinity ? "∞)" : `${max}${exclusiveMax ? ")" : "]"}`;
  const range = `a ${whole ? "whole" : "finite"} number in ${exclusiveMin ? "(" : "["}${min}, ${right}`;
  const limit = reaches ? `most ${(max * (1 - 2 ** -24)).toPrecision(8)}` : `least ${least.toPrecision(2)}`;
  const why = vanishes && least > LEAST ? "beside squares that f32 holds" : "that f32 holds";
  return inside ? `${range} ${why}, at ${limit}` : range;
}
