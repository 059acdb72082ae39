import { briefly, OptimError } from "../errors.js";
import { belowOne, checkOptions, choice, nonNegative, type Requirement, whole } from "./arguments.js";
import {
  type BuiltinSchedule,
  builtinSchedule,
  isBuiltinSchedule,
  type Schedule,
  type ScheduleJSON,
} from "./schedule.js";

/** Options of {@link onPlateau}. */
export interface PlateauOptions {
  /** Whether a lower (`min`) or a higher (`max`) metric is better. Default `min`. */
  readonly mode?: "min" | "max";
  /** Factor of one reduction, below 1. Default 0.1. */
  readonly factor?: number;
  /** Reports without improvement that are put up with; the next one reduces. Default 10. */
  readonly patience?: number;
  /** Least change that counts as an improvement. Default 1e-4. */
  readonly threshold?: number;
  /** Whether the threshold is a part of the best metric or a difference from it. Default `relative`. */
  readonly thresholdMode?: "relative" | "absolute";
  /**
   * What a relative threshold is a part of: the magnitude of the best metric, so that the margin is threshold · |best|, or
   * the best metric with its sign (`signed`, PyTorch), where below 0 what is worse by less than the margin counts as better.
   * Default `magnitude`.
   */
  readonly margin?: "magnitude" | "signed";
  /** Reports after a reduction in which none is counted as bad. Default 0. */
  readonly cooldown?: number;
  /** Lowest factor on the base rate. Default 0. */
  readonly minimum?: number;
  /** Reductions of the factor by this or less are not made. Default 1e-8. */
  readonly eps?: number;
}

/** What a plateau schedule has learnt from its reports, as plain data. */
export interface PlateauState {
  /** Best metric so far; before any, and where it is infinite, a string, because JSON has no infinity. */
  readonly best: number | "Infinity" | "-Infinity";
  /** Reports without improvement in a row. */
  readonly badCount: number;
  /** Reports left of the cooldown. */
  readonly cooldownCount: number;
  /** Current factor on the base rate. */
  readonly factor: number;
}

/** A schedule that follows a metric: its value is the current factor, whatever the step. */
export interface PlateauSchedule extends BuiltinSchedule {
  /** A copy of the state, for checkpoints; `toJSON` holds it as well. */
  readonly state: PlateauState;
  /**
   * Takes in the metric of one more evaluation.
   * @throws OptimError `invalid-argument` for NaN or anything but a number; the state stays as it was.
   */
  report(metric: number): void;
  /**
   * Goes on from an earlier state.
   * @throws OptimError `invalid-schedule` for anything that is not one; the state stays as it was.
   */
  restore(state: PlateauState): void;
}

/**
 * Reduces the factor when a metric has stopped improving (PyTorch ReduceLROnPlateau, with `margin: "signed"`). `minimum`
 * and `eps` are factors on the base rate here, and rates in PyTorch.
 * @throws OptimError `invalid-schedule`
 */
export function onPlateau(options: PlateauOptions = {}): PlateauSchedule {
  const checked = checkOptions("onPlateau", options, {
    mode: choice("min", "max"),
    factor: belowOne(0.1),
    patience: whole(10),
    threshold: nonNegative(1e-4),
    thresholdMode: choice("relative", "absolute"),
    margin: choice("magnitude", "signed"),
    cooldown: whole(0),
    minimum: nonNegative(0),
    eps: nonNegative(1e-8),
  });
  const { mode, factor, patience, threshold, thresholdMode, margin, cooldown, minimum, eps } = checked;
  if (mode === "min" && thresholdMode === "relative" && threshold >= 1)
    throw new OptimError("invalid-schedule", "With this threshold schedule 'onPlateau' sees no improvement", {
      expected: "a relative threshold below 1 for mode min",
      got: briefly(threshold),
      fix: "pass a smaller threshold, or thresholdMode 'absolute'",
    });
  const sign = mode === "min" ? -1 : 1;
  let best = -sign * Infinity;
  let badCount = 0;
  let cooldownCount = 0;
  let current = 1;

  const isBetter = (metric: number): boolean => {
    // Before any report the best is infinite, and has no margin.
    const towards = margin === "magnitude" && best < 0 && Number.isFinite(best) ? -sign : sign;
    const limit = thresholdMode === "absolute" ? best + sign * threshold : best * (1 + towards * threshold);
    return mode === "min" ? metric < limit : metric > limit;
  };
  const report = (metric: number): void => {
    if (typeof metric !== "number" || Number.isNaN(metric))
      throw new OptimError(
        "invalid-argument",
        "The metric reported to schedule 'onPlateau' is not a number",
        {
          expected: "a number",
          got: briefly(metric),
          fix: "look for NaN in the loss; report the metric as a JavaScript number",
        },
      );
    if (isBetter(metric)) {
      best = metric;
      badCount = 0;
    } else badCount++;
    if (cooldownCount > 0) {
      cooldownCount--;
      badCount = 0;
    }
    if (badCount <= patience) return;
    const reduced = Math.max(current * factor, minimum);
    if (current - reduced > eps) current = reduced;
    cooldownCount = cooldown;
    badCount = 0;
  };
  const getState = (): PlateauState => ({
    best: Number.isFinite(best) ? best : best > 0 ? "Infinity" : "-Infinity",
    badCount,
    cooldownCount,
    factor: current,
  });
  const restore = (state: PlateauState): void => {
    const restored = checkOptions<PlateauState>("onPlateau state", state, stateRequirements);
    best = Number(restored.best);
    ({ badCount, cooldownCount, factor: current } = restored);
  };

  const spec = { kind: "onPlateau", ...checked };
  const schedule = builtinSchedule(spec, () => current);
  const toJSON = (): ScheduleJSON => ({ ...spec, state: { ...getState() } });
  return Object.defineProperty(Object.assign(schedule, { toJSON, report, restore }), "state", {
    get: getState,
    enumerable: true,
  }) as PlateauSchedule;
}

/** Whether a schedule is one that follows a metric, and so has `report`. */
export function isPlateauSchedule(schedule: Schedule): schedule is PlateauSchedule {
  return isBuiltinSchedule(schedule) && schedule.spec.kind === "onPlateau";
}

const stateRequirements: { readonly [K in keyof PlateauState]: Requirement<PlateauState[K]> } = {
  best: {
    expected: "a number, 'Infinity' or '-Infinity'",
    holds: (value) => Number.isFinite(value) || value === "Infinity" || value === "-Infinity",
  },
  badCount: /* @__PURE__ */ whole(),
  cooldownCount: /* @__PURE__ */ whole(),
  factor: {
    expected: "a number in [0, 1]",
    holds: (value) => typeof value === "number" && value >= 0 && value <= 1,
  },
};
