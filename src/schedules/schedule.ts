import { briefly, OptimError } from "../errors.js";

/**
 * A learning-rate schedule: the factor on each group's own rate at a step counted from 0, η(s) = lr · schedule(s).
 * Any function of this form is one. What it gives below 0 an optimizer refuses with OptimError `invalid-schedule`, but for
 * the formulas of this library: {@link BuiltinSchedule.held}. A rate below 2⁻¹²⁶, which f32 does not hold, is 0.
 */
export type Schedule = (step: number) => number;

/** That of a group without one: its rate stays. */
export const constantRate: Schedule = () => 1;

/** A value in a {@link ScheduleSpec}: plain data, or the schedules that a composed schedule is made of. */
export type ScheduleOption = string | number | boolean | readonly number[] | Schedule | readonly Schedule[];

/** The kind of a built-in schedule and its options, defaults filled in. */
export interface ScheduleSpec {
  readonly kind: string;
  readonly [option: string]: ScheduleOption;
}

/** What JSON can hold. */
export type JSONValue =
  | string
  | number
  | boolean
  | null
  | readonly JSONValue[]
  | { readonly [name: string]: JSONValue };

/** A built-in schedule as plain data; `scheduleFromJSON` makes the schedule again. */
export interface ScheduleJSON {
  readonly kind: string;
  readonly [option: string]: JSONValue;
}

/**
 * A schedule of this library: a function of the step that knows its own options.
 * Called with a step that is not a whole number from 0 to 2⁵³ − 1 it throws OptimError `invalid-argument`.
 */
export interface BuiltinSchedule extends Schedule {
  readonly spec: ScheduleSpec;
  /**
   * Plain data for `JSON.stringify` and checkpoints.
   * @throws OptimError `invalid-schedule` where a function of the caller's is part of the schedule.
   */
  toJSON(): ScheduleJSON;
  /**
   * The schedule as an optimizer follows it, which takes no rate below 0: where the formula of a part that begins at
   * `minimum` or above gives less, it is held there. What a function of the caller's gives stays, and so does NaN.
   */
  held(minimum: number): Schedule;
}

/** A schedule as an optimizer follows it; a function of the caller's stays as it is. */
export const held = (schedule: Schedule, minimum: number): Schedule =>
  (schedule as Partial<BuiltinSchedule>).held?.(minimum) ?? schedule;

/** Whether a schedule can be written as JSON by itself; false for a function of the caller's. */
export function isBuiltinSchedule(schedule: Schedule): schedule is BuiltinSchedule {
  return typeof (schedule as Partial<BuiltinSchedule>).toJSON === "function";
}

/**
 * Makes a {@link BuiltinSchedule} of its spec and its function, which is only called with a valid step, as is what
 * `held` gives.
 */
export function builtinSchedule(
  spec: ScheduleSpec,
  evaluate: Schedule,
  // One that begins below is what its caller asked for, and stays.
  held = (minimum: number): Schedule =>
    evaluate(0) >= minimum ? (s) => Math.max(evaluate(s), minimum) : evaluate,
): BuiltinSchedule {
  const checked =
    (evaluate: Schedule) =>
    (step: number): number => {
      if (!Number.isSafeInteger(step) || step < 0)
        throw new OptimError(
          "invalid-argument",
          `The step given to schedule '${spec.kind}' is not a step count`,
          {
            expected: "a whole number from 0 to 2⁵³ − 1",
            got: briefly(step),
            fix: "count steps from 0, in ones",
          },
        );
      return evaluate(step);
    };
  let followed: Schedule;
  let from: number | undefined;
  return Object.assign(checked(evaluate), {
    spec: Object.freeze(spec),
    toJSON: () => specToJSON(spec),
    held(minimum: number) {
      // Steps ask for it again and again, and a product of factors counts on from the last one.
      if (from !== minimum) followed = checked(held(minimum));
      from = minimum;
      return followed;
    },
  });
}

/** Makes a {@link BuiltinSchedule} of others, which `compose` calls by what `take` makes of them. */
export const composedSchedule = (
  spec: ScheduleSpec,
  compose: (take: (part: Schedule) => Schedule) => Schedule,
): BuiltinSchedule =>
  builtinSchedule(
    spec,
    compose((part) => part),
    (minimum) => compose((part) => held(part, minimum)),
  );

function specToJSON(spec: ScheduleSpec): ScheduleJSON {
  const json: Record<string, JSONValue> = {};
  for (const [name, value] of Object.entries(spec)) json[name] = optionToJSON(value, spec.kind);
  return { ...json, kind: spec.kind };
}

function optionToJSON(value: ScheduleOption | number, kind: string): JSONValue {
  if (typeof value === "object") return value.map((item) => optionToJSON(item, kind));
  if (typeof value !== "function") return value;
  if (isBuiltinSchedule(value)) return value.toJSON();
  throw new OptimError(
    "invalid-schedule",
    `Schedule '${kind}' contains a user function, which JSON cannot hold`,
    {
      expected: "built-in schedules only",
      got: `function ${value.name || "without a name"}`,
      fix: "build it from built-in schedules, or leave it out of the checkpoint and pass it again on loading",
    },
  );
}
