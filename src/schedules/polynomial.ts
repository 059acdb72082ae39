import { checkOptions, choice, count, finite, flag, positive } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule, type Schedule } from "./schedule.js";

/** Options of {@link linear}. */
export interface LinearOptions {
  /** Factor on the base rate at step 0. Default 1. */
  readonly start?: number;
  /** Factor on the base rate from step `steps` on. */
  readonly end: number;
  /** Steps from start to end. */
  readonly steps: number;
}

/** Options of {@link polynomial}. */
export interface PolynomialOptions {
  /** Decay steps N. */
  readonly steps: number;
  /** Factor on the base rate at step 0. Default 1. */
  readonly start?: number;
  /** Final factor e on the base rate. Default 0. */
  readonly end?: number;
  /** Power p of the decay. Default 1, which is linear. */
  readonly power?: number;
  /**
   * Which part of the steps is raised to the power: the one that remains, (1 − s/N)^p, or the one that has gone, 1 − (s/N)^p.
   * Default `remaining`. `elapsed` with p = ½ is the 1-sqrt cool-down (Hägele et al. 2024).
   */
  readonly part?: "remaining" | "elapsed";
  /** Whether to start again from a higher rate at each end: N becomes N⌈s/N⌉. Default false, which stays at the end. */
  readonly cycle?: boolean;
}

/**
 * A straight line from `start` to `end`, which stays at the end (Goodfellow et al., Deep Learning, eq. 8.14; PyTorch LinearLR).
 * @throws OptimError `invalid-schedule`
 */
export function linear(options: LinearOptions): BuiltinSchedule {
  const checked = checkOptions("linear", options, {
    start: finite(1),
    end: finite(),
    steps: count(),
  });
  const { start, end, steps } = checked;
  const change = end - start;
  // At the end the sum could miss `end` by a rounding error.
  return builtinSchedule({ kind: "linear", ...checked }, (s) =>
    s >= steps ? end : start + change * (s / steps),
  );
}

/**
 * Polynomial decay (start − e)(1 − min(s, N)/N)^p + e, or start − (start − e)(min(s, N)/N)^p (Keras PolynomialDecay; PyTorch PolynomialLR with e = 0).
 * @throws OptimError `invalid-schedule`
 */
export function polynomial(options: PolynomialOptions): BuiltinSchedule {
  const checked = checkOptions("polynomial", options, {
    steps: count(),
    start: finite(1),
    end: finite(0),
    power: positive(1),
    part: choice("remaining", "elapsed"),
    cycle: flag(false),
  });
  const { steps, start, end, power, part, cycle } = checked;
  const range = start - end;
  // N − s is exact where 1 − s/N would lose digits.
  const at = (s: number, length: number): number =>
    part === "remaining"
      ? range * ((length - s) / length) ** power + end
      : start - range * (s / length) ** power;
  const once: Schedule = (s) => (s >= steps ? end : at(s, steps));
  const cycling: Schedule = (s) => {
    // ⌈0/N⌉ is 0, but step 0 lies in the first cycle: without the maximum it would be 0/0.
    const length = steps * Math.max(1, Math.ceil(s / steps));
    return at(s, length);
  };
  return builtinSchedule({ kind: "polynomial", ...checked }, cycle ? cycling : once);
}
