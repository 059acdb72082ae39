import { checkOptions, schedule as scheduleRequirement, whole } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/**
 * Any schedule from `steps` steps on, as if they were already taken: schedule(s + steps).
 * @throws OptimError `invalid-schedule`
 */
export function shifted(schedule: Schedule, steps: number): BuiltinSchedule {
  checkOptions("shifted", { schedule, steps }, { schedule: scheduleRequirement(), steps: whole() });
  return composedSchedule({ kind: "shifted", schedule, steps }, (take) => {
    const part = take(schedule);
    // Past 2⁵³ − 1 there is no next step.
    return (s) => part(Math.min(s + steps, Number.MAX_SAFE_INTEGER));
  });
}
