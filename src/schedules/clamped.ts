import { OptimError } from "../errors.js";
import { checkOptions, optionalFinite, schedule as scheduleRequirement } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/** Options of {@link clamped}; at least one of the two. */
export interface ClampedOptions {
  /** Lowest factor on the base rate. Default: no bound. */
  readonly min?: number;
  /** Highest factor on the base rate. Default: no bound. */
  readonly max?: number;
}

/**
 * Any schedule, kept between a minimum and a maximum.
 * @throws OptimError `invalid-schedule`
 */
export function clamped(schedule: Schedule, options: ClampedOptions): BuiltinSchedule {
  checkOptions("clamped", { schedule }, { schedule: scheduleRequirement() });
  // A bound left out stays out of the spec, because JSON has no infinity.
  const bounds = checkOptions<ClampedOptions>("clamped", options, {
    min: optionalFinite(),
    max: optionalFinite(),
  });
  const { min = -Infinity, max = Infinity } = bounds;
  if (min > max || (min === -Infinity && max === Infinity))
    throw new OptimError("invalid-schedule", "The bounds of schedule 'clamped' hold nothing", {
      expected: "min, max or both, with min ≤ max",
      got: min > max ? `min ${min}, max ${max}` : "neither",
      fix: min > max ? "exchange min and max" : "pass min or max",
    });
  return composedSchedule({ kind: "clamped", schedule, ...bounds }, (take) => {
    const part = take(schedule);
    return (s) => Math.min(Math.max(part(s), min), max);
  });
}
