import { briefly, OptimError } from "./errors.js";
import { reflectRule } from "./reflect.js";
import { reflectStructs } from "./reflect-structs.js";
import {
  commonOptions,
  mismatch,
  type OptionSpecs,
  type OptionValues,
  type Rule,
  type RuleFactory,
  type RuleOptions,
  type RuleRow,
  ruleFactory,
  scalarsAt,
} from "./rule.js";
import type { WholeTensor } from "./whole-tensor.js";

export type { ElementInput, ElementOutput, ReferenceRule } from "./reference/reference-rule.js";
export { choice, epsilon, flag, fraction, nonNegative, positive } from "./rule.js";

/** A default by itself, for a number of any size or a flag; or a spec such as `fraction(0.9)`, which says the range too. */
type Default = number | boolean | OptionSpecs[string];

type SpecOf<D> = D extends number
  ? { readonly kind: "number"; readonly min: number; readonly max: number }
  : D extends boolean
    ? { readonly kind: "flag"; readonly default: boolean }
    : D;

type Specs<D> = { readonly [K in keyof D]: SpecOf<D[K]> };

/** The options that a rule's functions see: its own and those of every rule. */
type Options<D> =
  Specs<D> extends OptionSpecs ? OptionValues<Omit<typeof commonOptions, keyof D> & Specs<D>> : never;

/** A rule of the caller's: its WGSL as text, and its row. All but `wgsl`, `defaults` and `formula` is as in {@link RuleRow}. */
export interface RuleDefinition<D>
  extends Omit<RuleRow<Options<D>>, "name" | "shader" | "options" | "formula" | "source" | "whole"> {
  /** In messages, labels and checkpoints, which load into a rule of the same name only; default `custom`. */
  readonly name?: string;
  /** `Scalars`, `State` (if any) and `update`, as docs/rules.md describes them. */
  readonly wgsl: string;
  /** Options beside those of every rule. */
  readonly defaults?: D;
  readonly formula?: string;
  readonly source?: string;
  /** Passes over whole tensors, and their WGSL as text: `struct Tensor` and a function for each. */
  readonly whole?: Omit<WholeTensor<Options<D>>, "shader"> & { readonly wgsl: string };
}

/**
 * Makes a rule from WGSL at run time. Groups, guards, telemetry, averages and checkpoints go with it as with any other.
 * @throws OptimError `invalid-shader` for WGSL that breaks the rule contract, `invalid-option` for a row that does not
 * fit it. Errors that only a WGSL compiler finds come from `createOptimizer`, with line and column.
 */
export function defineRule<const D extends Readonly<Record<string, Default>> = Record<never, never>>(
  definition: RuleDefinition<D>,
): RuleFactory<Options<D>, Rule<Options<D>>> {
  const {
    name = "custom",
    wgsl,
    defaults = {} as D,
    formula = "",
    source = "",
    whole: passes,
    ...row
  } = definition ?? ({} as RuleDefinition<D>);
  if (typeof name !== "string" || name === "" || typeof wgsl !== "string")
    throw new OptimError("invalid-option", "A rule needs its WGSL, and a name that is one", {
      expected: "{ name, wgsl, scalars, … }",
      got: `name ${String(name)}, wgsl of type ${typeof wgsl}`,
      fix: "pass both as text",
    });
  const parts: Readonly<Record<string, unknown>> = row;
  const unknown = Object.keys(parts).find((part) => !Object.hasOwn(PARTS, part));
  if (unknown !== undefined)
    throw wrong(name, "has a part that no rule has", Object.keys(PARTS).join(", "), `'${unknown}'`);
  for (const [part, { expected, holds }] of Object.entries(PARTS))
    if (parts[part] !== undefined && !holds(parts[part]))
      throw wrong(name, `has no right '${part}'`, expected, parts[part]);
  if (!isObject(defaults)) throw wrong(name, "has wrong defaults", "an object", defaults);
  const options = Object.fromEntries(
    Object.entries(defaults).map(([option, value]) => [option, specOf(name, option, value)]),
  );
  if (
    passes !== undefined &&
    !(isObject(passes) && typeof passes.wgsl === "string" && isFunction(passes.passes))
  )
    throw wrong(name, "has no right 'whole'", "an object with wgsl and a function passes", passes);
  const whole = passes && {
    ...passes,
    shader: { code: passes.wgsl, structs: reflectStructs(passes.wgsl) },
  };
  const shader = reflectRule(`${name}.wgsl`, wgsl);
  if (whole) checkTensorStruct(name, whole.shader.structs.Tensor);
  const complete = { ...row, name, shader, options, formula, source, ...(whole && { whole }) };
  const factory = ruleFactory(() => complete as never);
  checkRow(factory.row);
  return factory as unknown as RuleFactory<Options<D>, Rule<Options<D>>>;
}

const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
const isFunction = (value: unknown) => typeof value === "function";
const listOf = (kind: string) => (value: unknown) =>
  Array.isArray(value) && value.every((item) => typeof item === kind);
const aFunction = { expected: "a function", holds: isFunction };

/** What the parts of a rule are beside its name, text and options, where they are given. */
const PARTS: Readonly<
  Record<
    Exclude<keyof RuleDefinition<unknown>, "name" | "wgsl" | "defaults" | "formula" | "source" | "whole">,
    { expected: string; holds: (value: unknown) => boolean }
  >
> = {
  scalars: { expected: "a function (options, t, lr, memory) => ({ … })", holds: isFunction },
  constants: aFunction,
  initial: aFunction,
  startsAtParameter: { expected: "a list of states", holds: listOf("string") },
  evaluate: { expected: "the name of a state", holds: (value) => typeof value === "string" },
  ownDecay: { expected: "true, or nothing", holds: (value) => value === true },
  absolute: {
    expected: "true, a function (options) => boolean, or nothing",
    holds: (value) => value === true || isFunction(value),
  },
  scope: { expected: "tensor or all", holds: (value) => value === "tensor" || value === "all" },
  memory: { expected: "a list of numbers", holds: listOf("number") },
  advance: aFunction,
  reference: {
    expected: "functions initial and step",
    holds: (value) =>
      isObject(value) && ["initial", "step"].every((part) => isFunction((value as never)[part])),
  },
};

/** What every `Tensor` has. */
const TENSOR = ["first", "rows", "columns", "count"];

function checkTensorStruct(rule: string, fields: object | undefined): void {
  if (fields && TENSOR.every((name) => Object.hasOwn(fields, name))) return;
  throw wrong(
    rule,
    "has no right struct Tensor",
    `u32 fields ${TENSOR.join(", ")}`,
    Object.keys(fields ?? {}),
  );
}

const wrong = (rule: string, what: string, expected: string, got: unknown) =>
  new OptimError("invalid-option", `The rule '${rule}' ${what}`, {
    expected,
    got: briefly(got),
    fix: "make the row fit the WGSL",
  });

/** Kinds of spec that a default by itself stands for. */
const BARE_KINDS: Readonly<Record<string, string>> = { number: "number", boolean: "flag" };

/** The spec of an option. One that every rule has takes another default or fewer choices, and stays what it is. */
function specOf(rule: string, name: string, value: Default): OptionSpecs[string] {
  const common = Object.hasOwn(commonOptions, name) ? (commonOptions as OptionSpecs)[name] : undefined;
  // A default by itself is of any size, or in the range of the engine's option.
  const bare = {
    ...(common ?? { kind: BARE_KINDS[typeof value], min: -Infinity, max: Infinity }),
    default: value,
  };
  const spec = (isObject(value) ? value : bare) as OptionSpecs[string];
  const fits =
    common === undefined ||
    (spec.kind === common.kind &&
      (spec.kind !== "number" || spec.min >= 0) &&
      (spec.kind !== "choice" || spec.values?.every((style) => mismatch(common, style) === undefined)));
  if (!fits)
    throw wrong(
      rule,
      `gives the engine's option '${name}' another meaning`,
      "another name",
      JSON.stringify(value),
    );
  const known =
    spec.kind === "flag" ||
    (spec.kind === "number" && typeof spec.min === "number" && typeof spec.max === "number") ||
    (spec.kind === "choice" && Array.isArray(spec.values) && spec.values.length > 0);
  if (!known)
    throw wrong(
      rule,
      `has a default '${name}' of another kind`,
      "a number, a flag, or a spec such as fraction(0.9)",
      JSON.stringify(value),
    );
  const expected = spec.default === undefined ? undefined : mismatch(spec, spec.default);
  if (expected !== undefined)
    throw wrong(rule, `has a default '${name}' out of its own range`, expected, spec.default);
  return spec;
}

/** Tries the row at its defaults: every name that it gives must be one that the WGSL has, and every scalar must be given. */
function checkRow(row: RuleRow): void {
  const { name, shader } = row;
  const specs = Object.entries(row.options);
  const options = Object.fromEntries(specs.map(([key, spec]) => [key, spec.default])) as RuleOptions;
  const within = (what: string, given: readonly string[], known: readonly string[]) => {
    const other = given.find((key) => !known.includes(key));
    if (other !== undefined)
      throw wrong(name, `has no such ${what}`, known.join(", ") || "none", `'${other}'`);
  };
  // What groups keep of their parameters when they are compensated.
  if (shader.states.includes("compensation"))
    throw wrong(name, "has a state of the engine's", "a State with other names", "'compensation'");
  const { startsAtParameter = [], evaluate } = row;
  within("state", startsAtParameter, shader.states);
  within("state that begins as the parameter", evaluate ? [evaluate] : [], startsAtParameter);
  const initial = row.initial?.(options) ?? {};
  within("state", Object.keys(initial), [...shader.states, ...shader.settled]);
  within("override", Object.keys(row.constants?.(options) ?? {}), shader.overrides);
  for (const [key, value] of Object.entries(initial))
    if (typeof value !== "number" || !Number.isFinite(Math.fround(value)))
      throw wrong(name, `begins state '${key}' at no number`, "a finite f32", value);
  // An option without a default leaves the scalars unknown here.
  if (specs.some(([, spec]) => spec.default === undefined)) return;
  const before = row.memory ?? [];
  const memory = row.advance ? row.advance(options, 1, options.lr, before) : before;
  const scalars = scalarsAt(row, options, 1, options.lr, memory);
  within("scalar", Object.keys(scalars), Object.keys(shader.scalars));
  for (const key of Object.keys(shader.scalars))
    if (!Number.isFinite(scalars[key]))
      throw wrong(name, `lacks scalar '${key}' at step 1`, "a finite number", scalars[key]);
}
