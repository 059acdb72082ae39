import { briefly, OptimError } from "../errors.js";
import { checkOptions, choice, positive, type Requirement } from "./arguments.js";
import { exponential } from "./exponential.js";
import { linear } from "./polynomial.js";
import { type RangeTestCurve, rangeTestSVG } from "./range-test-svg.js";
import { scaled } from "./scaled.js";
import type { BuiltinSchedule } from "./schedule.js";

/** Options of {@link lrRangeTest}. */
export interface RangeTestOptions {
  /** Rate of the first step. Default 1e-6. */
  readonly start?: number;
  /** Rate of the last step. Default 10. */
  readonly end?: number;
  /** Steps of the sweep, at least 10; some hundreds make a smooth curve. */
  readonly steps: number;
  /** Whether the rate grows by the same factor or by the same amount in each step. Default `exponential`. */
  readonly mode?: "exponential" | "linear";
}

/** What a sweep showed, and what it makes of it. */
export interface RangeTestSuggestion {
  /** The rate to try: the larger of {@link steepest} and a tenth of {@link minimum}, both well before divergence. */
  readonly rate: number;
  /** Rate where the smoothed loss falls fastest along the sweep. */
  readonly steepest: number;
  /** Rate of the lowest smoothed loss: training is about to diverge. */
  readonly minimum: number;
}

/** A learning-rate range test as it goes. */
export interface RangeTest {
  /** The rate of each step: use it with a base rate (`lr`) of 1. */
  readonly schedule: BuiltinSchedule;
  /** Whether all steps are reported, or the loss has diverged. */
  readonly done: boolean;
  /** Rates so far, ascending, and the smoothed loss at each. */
  readonly curve: RangeTestCurve;
  /** What to choose; undefined while there is no fall in the loss to choose from. */
  readonly suggestion: RangeTestSuggestion | undefined;
  /**
   * Takes in the training loss of one more step, in order. What is not finite is divergence; once done, nothing is
   * taken in.
   * @throws OptimError `invalid-argument` for what is no number
   */
  report(loss: number): void;
  /** Loss over rate as a picture, for light and dark backgrounds. */
  toSVG(): string;
}

/** Past this multiple of the lowest loss a run has diverged. */
const divergence = 4;

const enoughSteps: Requirement<number> = {
  expected: "a whole number ≥ 10",
  holds: (value) => Number.isSafeInteger(value) && (value as number) >= 10,
};

/**
 * The learning-rate range test (Smith 2017, sec. 3.3): one short run whose rate grows from step to step, until the loss
 * diverges. The curve is a moving mean over a twentieth of the steps, which does not lag; a run has diverged where the
 * mean of the latest losses exceeds four times its lowest value. Of the two rules in use, the steepest fall (fastai) is
 * too careful where the loss falls early and a tenth of the minimum where it does late, so the larger one is proposed.
 * @throws OptimError `invalid-schedule`
 */
export function lrRangeTest(options: RangeTestOptions): RangeTest {
  const { start, end, steps, mode } = checkOptions("lrRangeTest", options, {
    start: positive(1e-6),
    end: positive(10),
    steps: enoughSteps,
    mode: choice("exponential", "linear"),
  });
  if (start >= end)
    throw new OptimError("invalid-schedule", "The range test has no range", {
      expected: "start < end",
      got: `start ${start}, end ${end}`,
      fix: "exchange start and end",
    });
  const last = steps - 1;
  const schedule =
    mode === "linear"
      ? linear({ start, end, steps: last })
      : scaled(exponential({ rate: end / start, steps: last }), start);
  /** Steps to either side that are averaged. */
  const reach = Math.max(1, Math.round(steps / 40));
  const losses: number[] = [];
  let diverged = false;
  let lowest = Infinity;

  const isDone = () => diverged || losses.length === steps;
  const mean = (from: number, to: number): number => {
    const window = losses.slice(Math.max(0, from), to);
    return window.reduce((sum, loss) => sum + loss, 0) / window.length;
  };
  const curve = () => ({
    rates: losses.map((_, s) => schedule(s)),
    losses: losses.map((_, s) => mean(s - reach, s + reach + 1)),
  });
  const suggestion = (): RangeTestSuggestion | undefined => {
    const { rates, losses: smooth } = curve();
    const minimum = smooth.indexOf(Math.min(...smooth));
    let steepest = -1;
    let steepestFall = 0;
    for (let s = reach; s + reach <= minimum; s++) {
      const fall = smooth[s - reach]! - smooth[s + reach]!;
      if (fall <= steepestFall) continue;
      steepest = s;
      steepestFall = fall;
    }
    if (steepest < 0) return undefined;
    const [fastest, lowestAt] = [rates[steepest]!, rates[minimum]!];
    return { rate: Math.max(fastest, lowestAt / 10), steepest: fastest, minimum: lowestAt };
  };
  return {
    schedule,
    get done() {
      return isDone();
    },
    get curve() {
      return curve();
    },
    get suggestion() {
      return suggestion();
    },
    report(loss) {
      if (typeof loss !== "number")
        throw new OptimError("invalid-argument", "The loss reported to the range test is not a number", {
          expected: "a number",
          got: briefly(loss),
          fix: "report the loss as a JavaScript number",
        });
      if (isDone()) return;
      if (!Number.isFinite(loss)) {
        diverged = true;
        return;
      }
      losses.push(loss);
      const latest = mean(losses.length - 1 - reach, losses.length);
      lowest = Math.min(lowest, latest);
      diverged = latest > divergence * lowest;
    },
    toSVG: () => rangeTestSVG(curve(), suggestion(), mode),
  };
}
