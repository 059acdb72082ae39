import type { Requirement } from "../../schedules/arguments.js";

/** What may also be null, which is the default. */
export const nullable = <T>({ expected, holds }: Requirement<T>): Requirement<T | null> => ({
  expected: `${expected}, or null`,
  holds: (value) => value === null || holds(value),
  default: null,
});

/** A name of a thing, which changes no rate. */
export const label: Requirement<unknown> = {
  expected: "a text or null",
  holds: (value) => value === null || typeof value === "string",
};

/** A whole number, also below 0. */
export const integer = (value?: number): Requirement<number> => ({
  expected: "a whole number",
  holds: Number.isSafeInteger,
  ...(value !== undefined && { default: value }),
});

/** Steps in any order. */
export const steps = (): Requirement<readonly number[]> => ({
  expected: "a list of whole numbers ≥ 0",
  holds: (value) => Array.isArray(value) && value.every((step) => Number.isSafeInteger(step) && step >= 0),
});

/** Whether a value is an object and no list. */
export const isObject = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A list of objects, each the parameters of one part. */
export const objects = (): Requirement<readonly Readonly<Record<string, unknown>>[]> => ({
  expected: "a list of objects",
  holds: (value) => Array.isArray(value) && value.every(isObject),
});

/** A schedule inside another: its name in the framework, and its parameters. */
export interface NestedSchedule {
  readonly type: string;
  readonly [parameter: string]: unknown;
}

/** A list of schedules inside another, each `{ type: NAME, …parameters }`. */
export const nestedSchedules = (): Requirement<readonly NestedSchedule[]> => ({
  expected: "a list of { type: NAME, …parameters }",
  holds: (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((item) => isObject(item) && typeof (item as Partial<NestedSchedule>).type === "string"),
});

/** Steps with the factor that each brings, `{ "100": 0.1 }`. */
export const scalesBySteps = (): Requirement<Readonly<Record<string, number>>> => ({
  expected: "an object from whole steps ≥ 0 to factors ≥ 0",
  holds: (value) =>
    isObject(value) &&
    Object.entries(value).every(
      ([step, scale]) =>
        /^\d+$/.test(step) && Number.isSafeInteger(Number(step)) && Number.isFinite(scale) && scale >= 0,
    ),
});
