import { checkOptions, nonNegative } from "./options.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link constant}. */
export interface ConstantOptions {
  /** Factor on the base rate. Default 1. */
  readonly factor?: number;
}

/**
 * The same factor at every step.
 * @throws OptimError `invalid-schedule`
 */
export function constant(options: ConstantOptions = {}): BuiltinSchedule {
  const { factor } = checkOptions("constant", options, { factor: nonNegative(1) });
  return builtinSchedule({ kind: "constant", factor }, () => factor);
}
