import { checkOptions, schedule as scheduleRequirement } from "./arguments.js";
import { type BuiltinSchedule, composedSchedule, type Schedule } from "./schedule.js";

/**
 * The product λ(1)·λ(2)⋯λ(s) of a function's values, 1 at step 0 (PyTorch MultiplicativeLR). The function must depend
 * on its step only. Going on by one step costs one call; going back, or far ahead as after a resume, one for each step.
 * @throws OptimError `invalid-schedule`
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
      // Both are set only once λ has returned, so that an error of λ's leaves them right.
      while (step < s) {
        product *= part(step + 1);
        step++;
      }
      return product;
    };
  });
}
