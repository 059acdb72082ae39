import { checkOptions, count, schedule as scheduleRequirement } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/**
 * Any schedule that counts in units of `steps` steps, such as epochs of so many mini-batches: schedule(⌊s/steps⌋).
 * @throws OptimError `invalid-schedule`
 */
export function every(steps: number, schedule: Schedule): BuiltinSchedule {
  checkOptions("every", { steps, schedule }, { steps: count(), schedule: scheduleRequirement() });
  return composedSchedule({ kind: "every", steps, schedule }, (take) => {
    const part = take(schedule);
    return (s) => part(Math.floor(s / steps));
  });
}
