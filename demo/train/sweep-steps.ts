import { OptimError } from "../../src/errors.js";
import { models } from "./models.js";
import { stepsPerEpoch, type TrainOptions } from "./options.js";

/** Most steps of a sweep; with fewer than the least of them the curve shows nothing. */
const MOST_STEPS = 1_000;
const LEAST_STEPS = 100;

/**
 * Steps of a sweep: one epoch, or a part of it.
 * @throws OptimError `invalid-option` where the batch leaves too few
 */
export function sweepSteps({ model, batch }: Pick<TrainOptions, "model" | "batch">): number {
  const steps = stepsPerEpoch({ model, batch });
  if (steps >= LEAST_STEPS) return Math.min(steps, MOST_STEPS);
  throw new OptimError("invalid-option", "An epoch of this batch is too short to find a rate in", {
    expected: `a batch of at most ${Math.ceil(models[model].examples / (LEAST_STEPS - 1)) - 1}`,
    got: String(batch),
    fix: "pass a smaller --batch",
  });
}
