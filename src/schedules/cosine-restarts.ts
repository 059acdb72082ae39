import { atLeastOne, checkOptions, count, finite, nonNegative } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link cosineRestarts}. */
export interface CosineRestartsOptions {
  /** Steps T₀ of the first period. */
  readonly steps: number;
  /** How many times longer each period is than the one before, at least 1. Default 1 (PyTorch); Keras has 2. */
  readonly lengthFactor?: number;
  /** How many times higher each period begins than the one before. Default 1. */
  readonly peakFactor?: number;
  /** Factor α on the base rate that each period falls to. Default 0. */
  readonly alpha?: number;
}

/**
 * Cosine decay that starts again: α + (1 − α)·mⁱ·½(1 + cos πτ/Tᵢ) at step τ of period i, Tᵢ = T₀tⁱ (Loshchilov & Hutter
 * 2017, eq. 5; PyTorch CosineAnnealingWarmRestarts, Keras CosineDecayRestarts). A restart is at the full rate.
 * @throws OptimError `invalid-schedule`
 */
export function cosineRestarts(options: CosineRestartsOptions): BuiltinSchedule {
  const checked = checkOptions("cosineRestarts", options, {
    steps: count(),
    lengthFactor: atLeastOne(1),
    peakFactor: nonNegative(1),
    alpha: finite(0),
  });
  const { steps, lengthFactor, peakFactor, alpha } = checked;
  const range = 1 - alpha;
  const at = (period: number, progress: number) =>
    alpha + range * peakFactor ** period * 0.5 * (1 + Math.cos(Math.PI * progress));
  if (lengthFactor === 1)
    return builtinSchedule({ kind: "cosineRestarts", ...checked }, (s) =>
      at(Math.floor(s / steps), (s % steps) / steps),
    );
  const startOf = (period: number) => (steps * (lengthFactor ** period - 1)) / (lengthFactor - 1);
  return builtinSchedule({ kind: "cosineRestarts", ...checked }, (s) => {
    let period = Math.floor(Math.log1p((s / steps) * (lengthFactor - 1)) / Math.log(lengthFactor));
    // The logarithm may miss a restart by a rounding error.
    if (startOf(period + 1) <= s) period++;
    else if (startOf(period) > s) period--;
    return at(period, (s - startOf(period)) / (steps * lengthFactor ** period));
  });
}
