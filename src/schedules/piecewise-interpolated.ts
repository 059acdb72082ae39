import { OptimError } from "../errors.js";
import { ascendingSteps, checkOptions, choice, finites } from "./arguments.js";
import { type Interpolation, interpolate } from "./interpolation.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link piecewiseInterpolated}. */
export interface PiecewiseInterpolatedOptions {
  /** Steps at which the next value is reached, ascending; two equal ones jump. */
  readonly boundaries: readonly number[];
  /** Factors on the base rate: the first at step 0, then one at each boundary. */
  readonly values: readonly number[];
  /** Along straight lines or half cosines. Default `linear`. */
  readonly interpolation?: Interpolation;
}

/**
 * From value to value between boundaries, then the last value (optax piecewise_interpolate_schedule).
 * @throws OptimError `invalid-schedule`
 */
export function piecewiseInterpolated(options: PiecewiseInterpolatedOptions): BuiltinSchedule {
  const checked = checkOptions("piecewiseInterpolated", options, {
    boundaries: ascendingSteps(),
    values: finites(),
    interpolation: choice("linear", "cosine"),
  });
  const { boundaries, values, interpolation } = checked;
  if (values.length !== boundaries.length + 1)
    throw new OptimError(
      "invalid-schedule",
      "Schedule 'piecewiseInterpolated' needs a value at step 0 and at each boundary",
      {
        expected: `${boundaries.length + 1} values for ${boundaries.length} boundaries`,
        got: `${values.length} values`,
        fix: "pass one value more than boundaries",
      },
    );
  const knots = [0, ...boundaries];
  return builtinSchedule({ kind: "piecewiseInterpolated", ...checked }, (s) => {
    let i = boundaries.length;
    while (s < knots[i]!) i--;
    const next = knots[i + 1];
    // Of equal boundaries the last is the one at or before s, so the next lies beyond it.
    return next === undefined
      ? values[i]!
      : interpolate(interpolation, values[i]!, values[i + 1]!, (s - knots[i]!) / (next - knots[i]!));
  });
}
