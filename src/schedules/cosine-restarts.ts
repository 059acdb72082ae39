import { checkOptions, count, finite, nonNegative, positive } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link cosineRestarts}. */
export interface CosineRestartsOptions {
  /** Steps T₀ of the first period. */
  readonly steps: number;
  /** Periods k that begin within `steps` in place of one: T₀ = steps/k, which need not be whole. Default 1. */
  readonly periods?: number;
  /** How many times as long each period is as the one before, above 0. Default 1 (PyTorch); Keras has 2. */
  readonly lengthFactor?: number;
  /** How many times higher each period begins than the one before. Default 1. */
  readonly peakFactor?: number;
  /** Factor α on the base rate that each period falls to. Default 0. */
  readonly alpha?: number;
}

/**
 * Cosine decay that starts again: α + (1 − α)·mⁱ·½(1 + cos πτ/Tᵢ) at step τ of period i, Tᵢ = T₀tⁱ (Loshchilov & Hutter
 * 2017, eq. 5; PyTorch CosineAnnealingWarmRestarts, Keras CosineDecayRestarts). A restart is at the full rate. Periods
 * that shorten (t < 1) end where the next would take less than one step; from there on the factor is α.
 * @throws OptimError `invalid-schedule`
 */
export function cosineRestarts(options: CosineRestartsOptions): BuiltinSchedule {
  const checked = checkOptions("cosineRestarts", options, {
    steps: count(),
    periods: count(1),
    lengthFactor: positive(1),
    peakFactor: nonNegative(1),
    alpha: finite(0),
  });
  const { steps, periods, lengthFactor, peakFactor, alpha } = checked;
  const range = 1 - alpha;
  const growth = lengthFactor - 1;
  const logarithm = Math.log1p(growth);
  // Steps count as `periods` each, so that a period of steps/k is one of `steps`, in whole numbers.
  /** Steps before a period, T₀(tⁱ − 1)/(t − 1); the difference loses its digits near 1, and is exact further away. */
  const startOf = (period: number): number => {
    if (growth === 0) return steps * period;
    const sum = Math.expm1(period * logarithm);
    return (steps * (Math.abs(sum) < 0.25 ? sum : lengthFactor ** period - 1)) / growth;
  };
  return builtinSchedule({ kind: "cosineRestarts", ...checked }, (step) => {
    const s = step * periods;
    let period = Math.floor(growth === 0 ? s / steps : Math.log1p((s / steps) * growth) / logarithm);
    // Quotient and logarithm may miss a restart by a rounding error, and so may the start of a period.
    const until = s * (1 + 2 ** -50);
    if (startOf(period + 1) <= until) period++;
    else if (startOf(period) > until) period--;
    const length = steps * lengthFactor ** period;
    // Past the sum of all periods there is no period, and no length.
    if (growth < 0 && !(length > periods * (1 - 1e-9))) return alpha;
    return (
      alpha + range * peakFactor ** period * 0.5 * (1 + Math.cos((Math.PI * (s - startOf(period))) / length))
    );
  });
}
