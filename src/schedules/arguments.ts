import { briefly, checkKeys, OptimError } from "../errors.js";
import type { Schedule } from "./schedule.js";

/** What one option of a schedule must be. Left out, it takes its default; with neither default nor `optional` it is required. */
export interface Requirement<T> {
  readonly expected: string;
  readonly holds: (value: unknown) => boolean;
  readonly default?: T;
  readonly optional?: boolean;
}

function requirement<T>(expected: string, holds: (value: unknown) => boolean, value?: T): Requirement<T> {
  return value === undefined ? { expected, holds } : { expected, holds, default: value };
}

const isNonNegative = (value: unknown): value is number => Number.isFinite(value) && (value as number) >= 0;
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Any finite number, such as a factor that a schedule starts from or ends at: to the mathematics the sign is nothing. */
export const finite = (value?: number) => requirement("a finite number", Number.isFinite, value);

/** A finite number that may be left out. */
export const optionalFinite = (): Requirement<number> => ({ ...finite(), optional: true });

/** A finite number of at least 0, such as a factor on the rate. */
export const nonNegative = (value?: number) => requirement("a finite number ≥ 0", isNonNegative, value);

/** A finite number above 0. */
export const positive = (value?: number) =>
  requirement("a finite number > 0", (given) => isNonNegative(given) && given > 0, value);

/** A number in [0, 1). */
export const belowOne = (value?: number) =>
  requirement("a number in [0, 1)", (given) => isNonNegative(given) && given < 1, value);

/** A number in [0, 1]. */
export const fraction = (value?: number) =>
  requirement("a number in [0, 1]", (given) => isNonNegative(given) && given <= 1, value);

/** A whole number of at least 0. */
export const whole = (value?: number) => requirement("a whole number ≥ 0", isWhole, value);

/** A whole number of at least 1. */
export const count = (value?: number) =>
  requirement("a whole number ≥ 1", (given) => isWhole(given) && given > 0, value);

/** A whole number of at least 0 that may be left out. */
export const optionalWhole = (): Requirement<number> => ({ ...whole(), optional: true });

/** True or false. */
export const flag = (value: boolean) =>
  requirement("true or false", (given) => typeof given === "boolean", value);

/** One of some names; the first is the default. */
export const choice = <const T extends string>(...names: readonly [T, ...T[]]) =>
  requirement<T>(`one of ${names.join(", ")}`, (given) => names.includes(given as T), names[0]);

/** Steps in order; equal ones are allowed and leave an interval of length zero. */
export const ascendingSteps = () =>
  requirement<readonly number[]>(
    "whole numbers ≥ 0 in ascending order",
    (given) =>
      Array.isArray(given) && given.every((step, i) => isWhole(step) && (i === 0 || step >= given[i - 1])),
  );

/** A list of finite numbers of at least 0. */
export const factors = () =>
  requirement<readonly number[]>(
    "a list of finite numbers ≥ 0",
    (given) => Array.isArray(given) && given.every(isNonNegative),
  );

/** A list of finite numbers. */
export const finites = () =>
  requirement<readonly number[]>(
    "a list of finite numbers",
    (given) => Array.isArray(given) && given.every(Number.isFinite),
  );

/** A schedule: built-in, or any function of the step. */
export const schedule = () =>
  requirement<Schedule>("a schedule (a function of the step)", (given) => typeof given === "function");

/** A schedule that may be left out. */
export const optionalSchedule = (): Requirement<Schedule> => ({ ...schedule(), optional: true });

/** A list of schedules. */
export const schedules = () =>
  requirement<readonly Schedule[]>(
    "a list of schedules (functions of the step)",
    (given) => Array.isArray(given) && given.every((item) => typeof item === "function"),
  );

/**
 * Checks the options of a schedule and fills in the defaults; lists are copied.
 * @throws OptimError `invalid-schedule` for an unknown name, a wrong value, NaN, or a missing one.
 */
export function checkOptions<T extends object>(
  kind: string,
  given: object,
  requirements: { readonly [K in keyof T]: Requirement<T[K]> },
): Readonly<T> {
  checkKeys("invalid-schedule", `schedule '${kind}'`, given, Object.keys(requirements));
  const values: Record<string, unknown> = {};
  for (const [name, requirement] of Object.entries<Requirement<unknown>>(requirements)) {
    const { expected, holds, default: fallback, optional } = requirement;
    const isGiven = Object.hasOwn(given, name);
    if (optional && !isGiven) continue;
    const value = isGiven ? (given as Record<string, unknown>)[name] : fallback;
    if (!holds(value))
      throw new OptimError("invalid-schedule", `Option '${name}' of schedule '${kind}' is not valid`, {
        expected,
        got: briefly(value),
        fix: fallback === undefined ? `pass ${name}` : `correct it, or leave it out for ${String(fallback)}`,
      });
    values[name] = Array.isArray(value) ? Object.freeze([...value]) : value;
  }
  return Object.freeze(values) as T;
}
