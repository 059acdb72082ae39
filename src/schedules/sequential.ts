import { OptimError } from "../errors.js";
import { ascendingSteps, checkOptions, schedules as scheduleList } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/**
 * One schedule after the other: the next begins at each milestone (s ≥ m) and counts from there (PyTorch SequentialLR,
 * optax join_schedules). Between two equal milestones a schedule is left out.
 * @throws OptimError `invalid-schedule`
 */
export function sequential(schedules: readonly Schedule[], milestones: readonly number[]): BuiltinSchedule {
  const checked = checkOptions(
    "sequential",
    { schedules, milestones },
    { schedules: scheduleList(), milestones: ascendingSteps() },
  );
  const count = checked.schedules.length;
  if (count !== checked.milestones.length + 1)
    throw new OptimError(
      "invalid-schedule",
      "Schedule 'sequential' needs one milestone between two schedules",
      {
        expected: `${count - 1} milestones for ${count} schedules`,
        got: `${checked.milestones.length} milestones`,
        fix: "pass one schedule more than milestones",
      },
    );
  const starts = [0, ...checked.milestones];
  return composedSchedule({ kind: "sequential", ...checked }, (take) => {
    const parts = checked.schedules.map(take);
    return (s) => {
      let i = starts.length - 1;
      while (s < starts[i]!) i--;
      return parts[i]!(s - starts[i]!);
    };
  });
}
