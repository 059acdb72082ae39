import { briefly, OptimError } from "../errors.js";
import type { Rule } from "../rule.js";

/** Stands in a table for a number that the framework has no default for. */
export const required = { required: true } as const;

/** Stands in a table for a number that may be null, which is the framework's default. */
export const optional = { optional: true } as const;

/** A key that a rule takes only where it changes nothing; the rule does not see it. */
export interface Neutral {
  /** The values that are taken, in words. */
  readonly neutral: string;
  readonly holds: (value: unknown) => boolean;
}

/** A key that changes no result while its value is one of these. */
export const only = (...values: readonly (string | number | boolean | null)[]): Neutral => ({
  neutral: values
    .map(String)
    .join(", ")
    .replace(/, ([^,]*)$/, " or $1"),
  holds: (value) => values.some((neutral) => neutral === value),
});

/** A key that changes no result, whatever text it has. */
export const anyName: Neutral = {
  neutral: "a name or null",
  holds: (value) => value === null || typeof value === "string",
};

/** Two numbers, of which the first may be null where the default has that. */
type Pair = readonly [number | null, number];

/** A key that is one of some names. */
interface Names<T extends string = string> {
  readonly names: readonly [T, ...T[]];
}

/** A key that is one of some names, the first if left out. */
export const oneOf = <const T extends string>(...names: readonly [T, ...T[]]): Names<T> => ({ names });

/** A key's default, which also says its type: number, flag, name, pair of numbers, or what is passed over. */
type Default = number | boolean | Names | Pair | typeof required | typeof optional | Neutral;

type Keys = Readonly<Record<string, Default>>;

/** The configuration that a table's defaults describe. */
type Config<D> = {
  readonly [K in keyof D as D[K] extends Neutral ? never : K]: D[K] extends boolean
    ? boolean
    : D[K] extends Names<infer T>
      ? T
      : D[K] extends readonly [number, number]
        ? readonly [number, number]
        : D[K] extends readonly [null, number]
          ? Pair
          : D[K] extends typeof optional
            ? number | null
            : number;
};

/** One optimizer of a framework: its configuration keys with their defaults, and the rule it means. */
interface OptimizerImport<D> {
  readonly keys: D;
  readonly rule: (config: Config<D>) => Rule;
}

/** What a framework means by its optimizers' names. */
export interface Framework {
  readonly name: string;
  readonly optimizers: Readonly<Record<string, OptimizerImport<Keys>>>;
  /** Keys that every optimizer of the framework has and that change no result. */
  readonly ignored: Readonly<Record<string, Neutral>>;
  /** The table's name of an optimizer, where the framework takes more than one spelling. */
  readonly spelling?: (name: string) => string;
}

/** Makes a {@link Framework} from its table; each `rule` sees its configuration as the table's defaults type it. */
export function framework<T extends Readonly<Record<string, Keys>>>(
  name: string,
  ignored: Readonly<Record<string, Neutral>>,
  optimizers: { readonly [K in keyof T]: OptimizerImport<T[K]> },
  spelling?: (name: string) => string,
): Framework {
  // Every configuration is checked against `keys` before `rule` sees it, so its type may end here.
  const table = optimizers as unknown as Framework["optimizers"];
  return { name, ignored, optimizers: table, ...(spelling && { spelling }) };
}

/** A wrong configuration: which of `keys` it is about, in whose terms. */
export function invalidConfig(what: string, expected: string, got: unknown, fix: string): OptimError {
  return new OptimError("invalid-option", what, { expected, got: briefly(got), fix });
}

/**
 * The rule that a framework means by an optimizer's name and configuration; keys left out take the framework's defaults.
 * @throws OptimError `unknown-name` for an optimizer, `invalid-option` for a key that is unknown, missing, of the wrong
 * type or out of range.
 */
export function importRule(from: Framework, optimizer: string, config: object = {}): Rule {
  const name = typeof optimizer === "string" ? (from.spelling?.(optimizer) ?? optimizer) : "";
  const entry = Object.hasOwn(from.optimizers, name) ? from.optimizers[name] : undefined;
  if (!entry)
    throw new OptimError("unknown-name", `${from.name} has no optimizer ${briefly(optimizer)} here`, {
      expected: `one of ${Object.keys(from.optimizers).join(", ")}`,
      got: briefly(optimizer),
      fix: `spell it as ${from.name} does`,
    });
  const title = `${from.name}'s ${name}`;
  const known = Object.keys(entry.keys).join(", ");
  if (typeof config !== "object" || config === null || Array.isArray(config))
    throw invalidConfig(
      `The configuration of ${title} is not an object`,
      `keys ${known}`,
      config,
      "pass { … }",
    );
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(config)) {
    const table: Keys = Object.hasOwn(entry.keys, key) ? entry.keys : from.ignored;
    const normal = Object.hasOwn(table, key) ? table[key] : undefined;
    if (normal === undefined)
      throw invalidConfig(
        `${title} has no key '${key}'`,
        `one of ${known}`,
        `'${key}'`,
        "correct or leave it out",
      );
    if (isNeutral(normal)) {
      if (normal.holds(value)) continue;
      throw invalidConfig(
        `Key '${key}' of ${title} cannot be carried out`,
        normal.neutral,
        value,
        "leave it out",
      );
    }
    const expected = mismatch(normal, value);
    if (expected !== undefined)
      throw invalidConfig(`Key '${key}' of ${title} is ill-typed`, expected, value, `pass ${expected}`);
    values[key] = value;
  }
  for (const [key, normal] of Object.entries(entry.keys)) {
    if (Object.hasOwn(values, key) || isNeutral(normal)) continue;
    if (normal === required)
      throw invalidConfig(`${title} needs '${key}', it has no default`, "a number", undefined, `pass ${key}`);
    values[key] = normal === optional ? null : isNames(normal) ? normal.names[0] : normal;
  }
  return entry.rule(values as Config<Keys>);
}

const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const isNeutral = (normal: Default): normal is Neutral => typeof normal === "object" && "neutral" in normal;

const isNames = (normal: Default): normal is Names => typeof normal === "object" && "names" in normal;

/** What is expected in the place of `value`, if it is not of the type of the default. */
function mismatch(normal: Exclude<Default, Neutral>, value: unknown): string | undefined {
  if (normal === optional) return value === null || isNumber(value) ? undefined : "a finite number or null";
  if (isNames(normal))
    return normal.names.some((name) => name === value) ? undefined : `one of ${normal.names.join(", ")}`;
  if (typeof normal === "boolean") return typeof value === "boolean" ? undefined : "true or false";
  if (Array.isArray(normal)) {
    const open = normal[0] === null;
    const holds = (item: unknown, index: number) => isNumber(item) || (open && index === 0 && item === null);
    return Array.isArray(value) && value.length === 2 && value.every(holds)
      ? undefined
      : `a pair of numbers${open ? ", the first or null" : ""}`;
  }
  return isNumber(value) ? undefined : "a finite number";
}
