import { OptimError } from "../errors.js";
import { ascendingSteps, checkOptions, choice, count, factors, nonNegative } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule, type Schedule } from "./schedule.js";

/** Options of {@link piecewiseConstant}. */
export interface PiecewiseConstantOptions {
  /** Steps at which the value changes, ascending; two equal ones leave out the value between them. */
  readonly boundaries: readonly number[];
  /** Factors on the base rate, one more than there are boundaries. */
  readonly values: readonly number[];
  /** Whether the value changes `after` the boundary (s > b: TensorFlow, Keras) or `at` it (s ≥ b: PyTorch, optax). */
  readonly boundary?: "after" | "at";
}

/** Options of {@link step}. */
export interface StepOptions {
  /** Steps between two decays. */
  readonly size: number;
  /** Factor of one decay. Default 0.1. */
  readonly gamma?: number;
}

/** Options of {@link multistep}. */
export interface MultistepOptions {
  /** Steps at which the rate decays, ascending; one named twice decays twice. */
  readonly milestones: readonly number[];
  /** Factor of one decay. Default 0.1. */
  readonly gamma?: number;
}

/**
 * A constant factor on each interval (Keras PiecewiseConstantDecay; optax with boundary `at`).
 * @throws OptimError `invalid-schedule`
 */
export function piecewiseConstant(options: PiecewiseConstantOptions): BuiltinSchedule {
  const checked = checkOptions("piecewiseConstant", options, {
    boundaries: ascendingSteps(),
    values: factors(),
    boundary: choice("after", "at"),
  });
  const { boundaries, values, boundary } = checked;
  if (values.length !== boundaries.length + 1)
    throw new OptimError("invalid-schedule", "Schedule 'piecewiseConstant' needs one value per interval", {
      expected: `${boundaries.length + 1} values for ${boundaries.length} boundaries`,
      got: `${values.length} values`,
      fix: "pass one value more than boundaries",
    });
  // On whole steps s > b is s ≥ b + 1.
  const starts = boundary === "at" ? boundaries : boundaries.map((step) => step + 1);
  return builtinSchedule({ kind: "piecewiseConstant", ...checked }, lookup(starts, values));
}

/**
 * Decay by γ every `size` steps: γ^⌊s/size⌋ (PyTorch StepLR).
 * @throws OptimError `invalid-schedule`
 */
export function step(options: StepOptions): BuiltinSchedule {
  const { size, gamma } = checkOptions("step", options, { size: count(), gamma: nonNegative(0.1) });
  return builtinSchedule({ kind: "step", size, gamma }, (s) => gamma ** Math.floor(s / size));
}

/**
 * Decay by γ at each milestone: γ^(milestones ≤ s) (PyTorch MultiStepLR).
 * @throws OptimError `invalid-schedule`
 */
export function multistep(options: MultistepOptions): BuiltinSchedule {
  const checked = checkOptions("multistep", options, {
    milestones: ascendingSteps(),
    gamma: nonNegative(0.1),
  });
  const { milestones, gamma } = checked;
  const values = [1, ...milestones.map((_, i) => gamma ** (i + 1))];
  return builtinSchedule({ kind: "multistep", ...checked }, lookup(milestones, values));
}

/** `values[i]` where i of the ascending `starts` are at or before the step. */
function lookup(starts: readonly number[], values: readonly number[]): Schedule {
  return (s) => {
    let i = 0;
    while (i < starts.length && s >= starts[i]!) i++;
    return values[i]!;
  };
}
