import { checkOptions, choice, finite, schedule as scheduleRequirement, whole } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/** Options of {@link warmup}. */
export interface WarmupOptions {
  /** Factor on the base rate at step 0. Default 0. */
  readonly start?: number;
  /**
   * How the schedule that follows counts: from the end of the warm-up (`after`, Keras), so that it begins at its own
   * step 0, or with the warm-up steps included (`including`), so that it begins part of the way. Default `after`.
   */
  readonly count?: "after" | "including";
}

/**
 * A straight line from `start` to 1 over the first `steps` steps, then `schedule`; with 0 steps, only that.
 * Where a decay length includes the warm-up, as `decay_steps` of optax's warmup_cosine_decay_schedule does, subtract
 * it: `warmup(w, cosine({ steps: N - w }))`.
 * @throws OptimError `invalid-schedule`
 */
export function warmup(steps: number, schedule: Schedule, options: WarmupOptions = {}): BuiltinSchedule {
  const requirements = { start: finite(0), count: choice("after", "including") };
  const { start, count } = checkOptions("warmup", options, requirements);
  checkOptions("warmup", { steps, schedule }, { steps: whole(), schedule: scheduleRequirement() });
  const change = 1 - start;
  const offset = count === "after" ? steps : 0;
  return composedSchedule({ kind: "warmup", steps, schedule, start, count }, (take) => {
    const then = take(schedule);
    return (s) => (s < steps ? start + change * (s / steps) : then(s - offset));
  });
}
