import { checkOptions, finite, schedule as scheduleRequirement } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule, type Schedule } from "./schedule.js";

/**
 * Any schedule times a factor, such as what turns an absolute rate into one on another base rate.
 * @throws OptimError `invalid-schedule`
 */
export function scaled(schedule: Schedule, factor: number): BuiltinSchedule {
  checkOptions("scaled", { schedule, factor }, { schedule: scheduleRequirement(), factor: finite() });
  return builtinSchedule({ kind: "scaled", schedule, factor }, (s) => factor * schedule(s));
}
