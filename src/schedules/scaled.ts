import { checkOptions, finite, schedule as scheduleRequirement } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/**
 * Any schedule times a factor, such as what turns an absolute rate into one on another base rate.
 * @throws OptimError `invalid-schedule`
 */
export function scaled(schedule: Schedule, factor: number): BuiltinSchedule {
  checkOptions("scaled", { schedule, factor }, { schedule: scheduleRequirement(), factor: finite() });
  return composedSchedule({ kind: "scaled", schedule, factor }, (take) => {
    const part = take(schedule);
    return (s) => factor * part(s);
  });
}
