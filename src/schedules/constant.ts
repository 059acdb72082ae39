import { checkOptions, nonNegative, optionalWhole } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link constant}. */
export interface ConstantOptions {
  /** Factor on the base rate. Default 1. */
  readonly factor?: number;
  /** Steps that it lasts; from then on the factor is 1. Default: for good. */
  readonly steps?: number;
}

/**
 * The same factor at every step, or at the first `steps` steps and then 1 (PyTorch ConstantLR).
 * @throws OptimError `invalid-schedule`
 */
export function constant(options: ConstantOptions = {}): BuiltinSchedule {
  const checked = checkOptions<ConstantOptions & { factor: number }>("constant", options, {
    factor: nonNegative(1),
    steps: optionalWhole(),
  });
  const { factor, steps = Infinity } = checked;
  return builtinSchedule({ kind: "constant", ...checked }, (s) => (s < steps ? factor : 1));
}
