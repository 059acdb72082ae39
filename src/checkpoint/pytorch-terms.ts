// Checkpoints in the terms of torch.optim; loaded where one is asked for.
import { OptimError } from "../errors.js";
import { memoryToPyTorch, toPyTorch } from "../frameworks/pytorch-state.js";
import { checkScheduledOption, flushed } from "../rule.js";
import { scheduleFromJSON } from "../schedules/from-json.js";
import { held, type Schedule } from "../schedules/schedule.js";
import { type CheckpointGroup, type GroupProgress, together } from "./contents.js";
import { type SavedSchedules, USER_SCHEDULE } from "./saved-schedules.js";

export { fromPyTorchGroup, memoryFromPyTorch } from "../frameworks/pytorch-state.js";
export { squaresIn, squaresOf, variance } from "./pytorch-variance.js";

/** @throws OptimError `invalid-option` for a rule that PyTorch has not, or a state that its rule has not */
export function requirePyTorchForm(groups: readonly CheckpointGroup[]): void {
  for (const { row, options, states } of groups) {
    toPyTorch(row.name, options, options.lr);
    const extra = states.find((state) => !row.shader.states.includes(state));
    if (extra !== undefined)
      throw new OptimError("invalid-option", `PyTorch's ${row.name} keeps no such state`, {
        expected: row.shader.states.join(", ") || "no state",
        got: `'${extra}'`,
        fix: "save without the format 'pytorch', or create the optimizer without average and slowWeights",
      });
  }
}

/** A group in PyTorch's terms: options with a schedule of their own, and the rate, as they are at its step. */
export function describePyTorchGroup(
  { row, options, schedule, optionSchedules }: CheckpointGroup,
  come: GroupProgress,
  schedules: SavedSchedules,
) {
  const { steps, cohorts } = come;
  const now = Object.fromEntries(
    Object.entries(optionSchedules).map(([name, other]) => {
      const { min } = checkScheduledOption(row, name);
      return [name, flushed(savedValue(schedules, other, steps, min))];
    }),
  );
  const rate = flushed(options.lr * savedValue(schedules, schedule, steps, 0));
  return {
    ...toPyTorch(row.name, { ...options, ...now }, rate),
    step: steps,
    ...memoryToPyTorch(row.name, cohorts[0]?.memory ?? []),
    ...(!together(come) && {
      cohorts: cohorts.map(({ names, steps, memory }) => ({
        names,
        step: steps,
        ...memoryToPyTorch(row.name, memory),
      })),
    }),
  };
}

/**
 * The rate before the schedule, of a group in PyTorch's terms. Its `lr` is the rate of the next step, whoever set it: where
 * that is not what `initial_lr` comes to by the schedule, it was edited, and the schedule goes on from there.
 */
export function baseRate(
  { lr, initial_lr: initial }: Readonly<Record<string, unknown>>,
  schedule: Schedule,
  steps: number,
): unknown {
  if (typeof lr !== "number") return initial ?? lr;
  const factor = held(schedule, 0)(steps);
  const base = typeof initial === "number" ? initial : lr;
  const agrees = Math.abs(base * factor - lr) <= 1e-6 * Math.abs(lr);
  return agrees || !(factor > 0) ? base : lr / factor;
}

/** The value of a schedule, held as steps hold it, as it was taken down; of one of the caller's, as it is now. */
function savedValue(
  { list, indexOf }: SavedSchedules,
  schedule: Schedule,
  step: number,
  minimum: number,
): number {
  const json = list[indexOf(schedule)];
  return held(json === USER_SCHEDULE ? schedule : scheduleFromJSON(json), minimum)(step);
}
