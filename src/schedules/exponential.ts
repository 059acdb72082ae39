import { checkOptions, count, flag, nonNegative } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link exponential}, {@link naturalExponential} and {@link inverseTime}. */
export interface ExponentialOptions {
  /** Decay rate r. */
  readonly rate: number;
  /** Decay steps N, over which r acts once. Default 1. */
  readonly steps?: number;
  /** Whether to decay in jumps, every N steps, and not continuously: ⌊s/N⌋ for s/N. Default false. */
  readonly staircase?: boolean;
}

/**
 * Exponential decay r^(s/N) (Keras ExponentialDecay). With the default N = 1 it is γ^s for rate γ (PyTorch
 * ExponentialLR) and (1 − γ)^s for rate 1 − γ; a rate above 1 grows.
 * @throws OptimError `invalid-schedule`
 */
export function exponential(options: ExponentialOptions): BuiltinSchedule {
  return decay("exponential", options, (rate, periods) => rate ** periods);
}

/**
 * Natural exponential decay e^(−rs/N) (TensorFlow 1 natural_exp_decay).
 * @throws OptimError `invalid-schedule`
 */
export function naturalExponential(options: ExponentialOptions): BuiltinSchedule {
  return decay("naturalExponential", options, (rate, periods) => Math.exp(-rate * periods));
}

/**
 * Inverse time decay 1/(1 + rs/N) (Keras InverseTimeDecay).
 * @throws OptimError `invalid-schedule`
 */
export function inverseTime(options: ExponentialOptions): BuiltinSchedule {
  return decay("inverseTime", options, (rate, periods) => 1 / (1 + rate * periods));
}

function decay(
  kind: string,
  options: ExponentialOptions,
  factor: (rate: number, periods: number) => number,
): BuiltinSchedule {
  const checked = checkOptions(kind, options, {
    rate: nonNegative(),
    steps: count(1),
    staircase: flag(false),
  });
  const { rate, steps, staircase } = checked;
  return builtinSchedule(
    { kind, ...checked },
    staircase ? (s) => factor(rate, Math.floor(s / steps)) : (s) => factor(rate, s / steps),
  );
}
