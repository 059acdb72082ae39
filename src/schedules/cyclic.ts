import {
  checkOptions,
  choice,
  count,
  finite,
  nonNegative,
  optionalSchedule,
  optionalWhole,
} from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule, isBuiltinSchedule, type Schedule } from "./schedule.js";

/** Options of {@link cyclicMomentum}, and of {@link cyclic} but for its bounds. */
interface CycleOptions {
  /** Steps from the start of a cycle to its peak. Default 2000. */
  readonly stepsUp?: number;
  /** Steps back. Default as many; 0 falls at once. */
  readonly stepsDown?: number;
  /**
   * What becomes of the amplitude: it stays (`triangular`), halves in each cycle (`triangular2`), or is γ^s at step s
   * (`exp_range`). Default `triangular`.
   */
  readonly mode?: "triangular" | "triangular2" | "exp_range";
  /** γ of mode `exp_range`. Default 1. */
  readonly gamma?: number;
  /** Factor on the amplitude, in the place of `mode`: a function of the cycle from 1, or of the step. */
  readonly scale?: Schedule;
  /** What `scale` is a function of. Default `cycle`. */
  readonly scaleBy?: "cycle" | "step";
}

/** Options of {@link cyclic}. */
export interface CyclicOptions extends CycleOptions {
  /** Factor on the base rate at the start of each cycle. */
  readonly start: number;
  /** Factor on the base rate at the peak of the first cycle. Default 1. */
  readonly peak?: number;
}

/** Options of {@link cyclicMomentum}: those of the rate's cycle, and the range of the momentum. */
export interface CyclicMomentumOptions extends CycleOptions {
  /** Momentum where the rate is highest. Default 0.8. */
  readonly min?: number;
  /** Momentum where the rate is lowest. Default 0.9. */
  readonly max?: number;
}

/**
 * Up and down between two bounds along straight lines, again and again (Smith 2017, sec. 3.1; PyTorch CyclicLR with
 * base_lr = start and max_lr = peak).
 * @throws OptimError `invalid-schedule`
 */
export function cyclic(options: CyclicOptions): BuiltinSchedule {
  const { stepsDown, scale, ...checked } = checkOptions<CheckedCycle & { start: number; peak: number }>(
    "cyclic",
    options,
    { start: finite(), peak: finite(1), ...cycleRequirements() },
  );
  const { start, peak, stepsUp, mode, gamma, scaleBy } = checked;
  const down = stepsDown ?? stepsUp;
  const length = stepsUp + down;
  const amplitude = (s: number): number => {
    const cycle = Math.floor(s / length) + 1;
    if (scale) return scale(scaleBy === "cycle" ? cycle : s);
    if (mode === "exp_range") return gamma ** s;
    return mode === "triangular2" ? 2 ** (1 - cycle) : 1;
  };
  const spec = { kind: "cyclic", ...checked, stepsDown: down, ...(scale && { scale }) };
  const at: Schedule = (s) => {
    const place = s % length;
    const height = place <= stepsUp ? place / stepsUp : (length - place) / down;
    return start + (peak - start) * height * amplitude(s);
  };
  // A scale of the caller's own is not ours to hold.
  return scale && !isBuiltinSchedule(scale) ? builtinSchedule(spec, at, () => at) : builtinSchedule(spec, at);
}

/**
 * The momentum (beta1 for Adam) that goes down where the rate of {@link cyclic} goes up, as an absolute value and not
 * a factor (PyTorch CyclicLR with cycle_momentum).
 * @throws OptimError `invalid-schedule`
 */
export function cyclicMomentum(options: CyclicMomentumOptions = {}): BuiltinSchedule {
  const { min, max, ...cycle } = checkOptions<CheckedCycle & { min: number; max: number }>(
    "cyclicMomentum",
    options,
    { min: finite(0.8), max: finite(0.9), ...cycleRequirements() },
  );
  return cyclic({ ...cycle, start: max, peak: min });
}

/** With defaults; what is still optional has none of its own. */
type CheckedCycle = Required<Omit<CycleOptions, "stepsDown" | "scale">> &
  Pick<CycleOptions, "stepsDown" | "scale">;

function cycleRequirements() {
  return {
    stepsUp: count(2000),
    stepsDown: optionalWhole(),
    mode: choice("triangular", "triangular2", "exp_range"),
    gamma: nonNegative(1),
    scale: optionalSchedule(),
    scaleBy: choice("cycle", "step"),
  };
}
