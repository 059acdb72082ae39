import { OptimError } from "../errors.js";
import type { Rule } from "../rule.js";

/** Stands in a table for a number that the framework has no default for. */
export const required = { required: true } as const;

/** A key's default, which also says its type: number, flag, or pair of numbers. */
type Default = number | boolean | readonly [number, number] | typeof required;

/** The configuration that a table's defaults describe. */
type Config<D> = {
  readonly [K in keyof D]: D[K] extends boolean
    ? boolean
    : D[K] extends readonly [number, number]
      ? readonly [number, number]
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
  readonly optimizers: Readonly<Record<string, OptimizerImport<Readonly<Record<string, Default>>>>>;
  /** Keys that change no result there; `true`, `false` and `null` are taken and ignored. */
  readonly ignored: readonly string[];
}

/** Makes a {@link Framework} from its table; each `rule` sees its configuration as the table's defaults type it. */
export function framework<T extends Readonly<Record<string, Readonly<Record<string, Default>>>>>(
  name: string,
  ignored: readonly string[],
  optimizers: { readonly [K in keyof T]: OptimizerImport<T[K]> },
): Framework {
  // Every configuration is checked against `keys` before `rule` sees it, so its type may end here.
  return { name, ignored, optimizers: optimizers as unknown as Framework["optimizers"] };
}

/** A wrong configuration: which of `keys` it is about, in whose terms. */
export function invalidConfig(what: string, expected: string, got: unknown, fix: string): OptimError {
  return new OptimError("invalid-option", what, { expected, got: describe(got), fix });
}

/**
 * The rule that a framework means by an optimizer's name and configuration; keys left out take the framework's defaults.
 * @throws OptimError `unknown-name` for an optimizer, `invalid-option` for a key that is unknown, missing, of the wrong
 * type or out of range.
 */
export function importRule(from: Framework, optimizer: string, config: object = {}): Rule {
  const entry = Object.hasOwn(from.optimizers, optimizer) ? from.optimizers[optimizer] : undefined;
  if (!entry)
    throw new OptimError("unknown-name", `${from.name} has no optimizer '${optimizer}' here`, {
      expected: `one of ${Object.keys(from.optimizers).join(", ")}`,
      got: `'${optimizer}'`,
      fix: `spell it as ${from.name} does`,
    });
  const title = `${from.name}'s ${optimizer}`;
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
    if (from.ignored.includes(key)) {
      if (value !== null && typeof value !== "boolean")
        throw invalidConfig(
          `Key '${key}' of ${title} is ill-typed`,
          "true, false or null",
          value,
          "leave it out",
        );
      continue;
    }
    const normal = Object.hasOwn(entry.keys, key) ? entry.keys[key] : undefined;
    if (normal === undefined)
      throw invalidConfig(
        `${title} has no key '${key}'`,
        `one of ${known}`,
        `'${key}'`,
        "correct or leave it out",
      );
    const expected = mismatch(normal, value);
    if (expected !== undefined)
      throw invalidConfig(`Key '${key}' of ${title} is ill-typed`, expected, value, `pass ${expected}`);
    values[key] = value;
  }
  for (const [key, normal] of Object.entries(entry.keys)) {
    if (Object.hasOwn(values, key)) continue;
    if (normal === required)
      throw invalidConfig(`${title} needs '${key}', it has no default`, "a number", undefined, `pass ${key}`);
    values[key] = normal;
  }
  return entry.rule(values as Config<Readonly<Record<string, Default>>>);
}

const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);

/** What is expected in the place of `value`, if it is not of the type of the default. */
function mismatch(normal: Default, value: unknown): string | undefined {
  if (typeof normal === "boolean") return typeof value === "boolean" ? undefined : "true or false";
  if (Array.isArray(normal))
    return Array.isArray(value) && value.length === 2 && value.every(isNumber)
      ? undefined
      : "a pair of numbers";
  return isNumber(value) ? undefined : "a finite number";
}

/** The value as an error message shows it. */
function describe(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(describe).join(", ")}]`;
  if (value === undefined) return "nothing";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
