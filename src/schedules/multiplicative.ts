import { OptimError } from "../errors.js";
import { checkOptions, schedule as scheduleRequirement } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/** Calls that one evaluation may take: more than the steps of any run, and less than a second. */
const maximumCalls = 1e7;

/**
 * The product λ(1)·λ(2)⋯λ(s) of a function's values, 1 at step 0 (PyTorch MultiplicativeLR). The function must depend
 * on its step only. Going on by one step costs one call; going back, or ahead as after a resume, one for each step, up to
 * ten million. A product that has come to 0 stays there without calls.
 * @throws OptimError `invalid-schedule`, also at a step that is more than ten million ahead
 */
export function multiplicative(factor: Schedule): BuiltinSchedule {
  checkOptions("multiplicative", { factor }, { factor: scheduleRequirement() });
  return composedSchedule({ kind: "multiplicative", factor }, (take) => {
    const part = take(factor);
    let step = 0;
    let product = 1;
    return (s) => {
      if (s < step) {
        step = 0;
        product = 1;
      }
      const start = step;
      // Both are set only once λ has returned, so that an error of λ's leaves them right.
      while (step < s && product !== 0) {
        if (step - start === maximumCalls) throw tooFar(start, s);
        product *= part(step + 1);
        step++;
      }
      return product;
    };
  });
}

/** What the calls came to is kept: asking again goes on from there. */
const tooFar = (from: number, to: number) =>
  new OptimError("invalid-schedule", "Schedule 'multiplicative' is asked for a step too far ahead", {
    expected: `at most ${maximumCalls} steps from the last one it gave, ${from}`,
    got: `step ${to}`,
    fix: "correct the step count; for one factor use exponential, which has a formula",
  });
