import { briefly, OptimError } from "../../errors.js";
import { checkOptions, type Requirement } from "../../schedules/arguments.js";
import type { BuiltinSchedule } from "../../schedules/schedule.js";

/** What a framework's schedule is here: its rate at step s is `lr · schedule(s)`. */
export interface ImportedSchedule {
  /** Base rate for the group: the framework's own where it has one that is not 0, else 1. */
  readonly lr: number;
  readonly schedule: BuiltinSchedule;
  /** The momentum (beta1 for Adam) by step, as a value, where the framework cycles it with the rate. */
  readonly momentum?: BuiltinSchedule;
}

/** Reads the parameters of a schedule, checked and with defaults. */
type ReadParameters = <T extends object>(
  requirements: {
    readonly [K in keyof T]: Requirement<T[K]>;
  },
) => Readonly<T>;

/** One schedule of a framework; `base` is the optimizer's rate, for schedules that multiply it. */
export type ScheduleImport = (read: ReadParameters, base: () => number) => ImportedSchedule;

/** What a framework means by its schedules' names. */
export interface ScheduleFramework {
  readonly name: string;
  readonly schedules: Readonly<Record<string, ScheduleImport>>;
  /** Parameters that change no rate there; what they must be, to be ignored. */
  readonly ignored: Readonly<Record<string, Requirement<unknown>>>;
}

/**
 * The schedule that a framework means by a name and parameters; parameters left out take the framework's defaults.
 * @throws OptimError `unknown-name` for a schedule, `invalid-schedule` for a parameter that is unknown, missing, of the
 * wrong type or out of range.
 */
export function importSchedule(
  from: ScheduleFramework,
  name: string,
  params: object = {},
  baseLr?: number,
): ImportedSchedule {
  const make = Object.hasOwn(from.schedules, name) ? from.schedules[name] : undefined;
  if (!make)
    throw new OptimError("unknown-name", `${from.name} has no schedule '${name}' here`, {
      expected: `one of ${Object.keys(from.schedules).join(", ")}`,
      got: briefly(name),
      fix: `spell it as ${from.name} does`,
    });
  const title = `${from.name} ${name}`;
  if (typeof params !== "object" || params === null || Array.isArray(params))
    throw new OptimError("invalid-schedule", `The parameters of ${title} are not an object`, {
      expected: "an object",
      got: briefly(params),
      fix: "pass { … }",
    });
  const rest: Record<string, unknown> = { ...params };
  for (const [key, { expected, holds }] of Object.entries(from.ignored)) {
    if (!Object.hasOwn(rest, key)) continue;
    if (!holds(rest[key]))
      throw new OptimError("invalid-schedule", `Parameter '${key}' of ${title} is not valid`, {
        expected,
        got: briefly(rest[key]),
        fix: "leave it out",
      });
    delete rest[key];
  }
  return make(
    (requirements) => checkOptions(title, rest, requirements),
    () => {
      if (Number.isFinite(baseLr) && baseLr! > 0) return baseLr!;
      throw new OptimError("invalid-schedule", `${title} multiplies the rate of its optimizer`, {
        expected: "a base rate, a finite number > 0",
        got: briefly(baseLr),
        fix: "pass the optimizer's learning rate as the base rate",
      });
    },
  );
}
