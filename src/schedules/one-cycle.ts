import { checkOptions, choice, count, finite, flag, fraction, optionalFinite } from "./arguments.js";
import { type Interpolation, interpolate } from "./interpolation.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link oneCycleMomentum}, and of {@link oneCycle} but for its values. */
interface OneCycleShape {
  /** Steps of the whole cycle. */
  readonly steps: number;
  /** Part of the steps (0 to 1) that the rise takes. Default 0.3. */
  readonly pctStart?: number;
  /** Along half cosines or straight lines. Default `cosine`. */
  readonly interpolation?: Interpolation;
  /** Whether to come back to the start, as long as the rise takes, before going on to the end. Default false. */
  readonly threePhase?: boolean;
}

/** Options of {@link oneCycle}. */
export interface OneCycleOptions extends OneCycleShape {
  /** Factor on the base rate at step 0. Default 1/25. */
  readonly start?: number;
  /** Factor on the base rate at the peak. Default 1. */
  readonly peak?: number;
  /** Factor on the base rate at the last step and after it. Default `start`/10 000. */
  readonly end?: number;
}

/** Options of {@link oneCycleMomentum}: those of the rate's cycle, and the range of the momentum. */
export interface OneCycleMomentumOptions extends OneCycleShape {
  /** Momentum where the rate is highest. Default 0.85. */
  readonly min?: number;
  /** Momentum at both ends. Default 0.95. */
  readonly max?: number;
}

/**
 * One rise to the peak and one long fall far below the start (Smith & Topin 2018; PyTorch OneCycleLR with lr = max_lr,
 * start = 1/div_factor, end = start/final_div_factor). The peak is at step pctStart·N − 1, the end at step N − 1; past
 * it, where PyTorch refuses to go, the factor stays.
 * @throws OptimError `invalid-schedule`
 */
export function oneCycle(options: OneCycleOptions): BuiltinSchedule {
  const { end: givenEnd, ...checked } = checkOptions<
    Required<OneCycleShape> & { start: number; peak: number; end?: number }
  >("oneCycle", options, {
    start: finite(1 / 25),
    peak: finite(1),
    end: optionalFinite(),
    ...shapeRequirements(),
  });
  const { steps, start, peak, pctStart, interpolation, threePhase } = checked;
  const end = givenEnd ?? start / 1e4;
  const last = steps - 1;
  const rise = { until: pctStart * steps - 1, from: start, to: peak };
  const phases = threePhase
    ? [
        rise,
        { until: 2 * pctStart * steps - 2, from: peak, to: start },
        { until: last, from: start, to: end },
      ]
    : [rise, { until: last, from: peak, to: end }];
  return builtinSchedule({ kind: "oneCycle", ...checked, end }, (step) => {
    const s = Math.min(step, last);
    let i = 0;
    while (i < phases.length - 1 && s > phases[i]!.until) i++;
    const { until, from, to } = phases[i]!;
    const since = phases[i - 1]?.until ?? 0;
    // A phase of no length, such as a rise in a single step, is at its end.
    const progress = until > since ? (s - since) / (until - since) : 1;
    return interpolate(interpolation, from, to, progress);
  });
}

/**
 * The momentum (beta1 for Adam) that goes down where the rate of {@link oneCycle} goes up, as an absolute value and not
 * a factor (PyTorch OneCycleLR with cycle_momentum).
 * @throws OptimError `invalid-schedule`
 */
export function oneCycleMomentum(options: OneCycleMomentumOptions): BuiltinSchedule {
  const { min, max, ...shape } = checkOptions("oneCycleMomentum", options, {
    min: finite(0.85),
    max: finite(0.95),
    ...shapeRequirements(),
  });
  return oneCycle({ ...shape, start: max, peak: min, end: max });
}

function shapeRequirements() {
  return {
    steps: count(),
    pctStart: fraction(0.3),
    interpolation: choice("cosine", "linear"),
    threePhase: flag(false),
  };
}
