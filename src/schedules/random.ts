import { OptimError } from "../errors.js";
import { checkOptions, count, nonNegative, whole } from "./arguments.js";
import { uniform } from "./random-numbers.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link random}. */
export interface RandomOptions {
  /** Lowest factor on the base rate. */
  readonly min: number;
  /** Highest factor on the base rate. */
  readonly max: number;
  /** Steps after which the factor is drawn anew. Default 1. */
  readonly every?: number;
  /** Seed, a whole number. */
  readonly seed: number;
}

/**
 * A factor drawn uniformly from [min, max) every k steps. It depends on seed and step only, so a run resumed at any
 * step goes on with the same numbers.
 * @throws OptimError `invalid-schedule`
 */
export function random(options: RandomOptions): BuiltinSchedule {
  const checked = checkOptions("random", options, {
    min: nonNegative(),
    max: nonNegative(),
    every: count(1),
    seed: whole(),
  });
  const { min, max, every, seed } = checked;
  if (min > max)
    throw new OptimError("invalid-schedule", "The bounds of schedule 'random' are in the wrong order", {
      expected: "min ≤ max",
      got: `min ${min}, max ${max}`,
      fix: "exchange min and max",
    });
  const range = max - min;
  return builtinSchedule(
    { kind: "random", ...checked },
    (s) => min + range * uniform(seed, Math.floor(s / every)),
  );
}
