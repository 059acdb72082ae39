import { OptimError } from "../errors.js";
import { checkOptions, schedules as scheduleList } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/**
 * The product of some schedules, all at the same step (PyTorch ChainedScheduler over schedulers that multiply).
 * @throws OptimError `invalid-schedule`
 */
export function chained(schedules: readonly Schedule[]): BuiltinSchedule {
  const { schedules: factors } = checkOptions("chained", { schedules }, { schedules: scheduleList() });
  if (factors.length === 0)
    throw new OptimError("invalid-schedule", "Schedule 'chained' has nothing to multiply", {
      expected: "one schedule or more",
      got: "an empty list",
      fix: "pass schedules, or use constant()",
    });
  return composedSchedule({ kind: "chained", schedules: factors }, (take) => {
    const parts = factors.map(take);
    return (s) => parts.reduce((product, part) => product * part(s), 1);
  });
}
