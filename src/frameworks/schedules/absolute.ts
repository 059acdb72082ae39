import { piecewiseConstant } from "../../schedules/piecewise.js";
import { linear, type PolynomialOptions, polynomial } from "../../schedules/polynomial.js";
import { scaled } from "../../schedules/scaled.js";
import type { BuiltinSchedule } from "../../schedules/schedule.js";
import { sequential } from "../../schedules/sequential.js";
import { warmup } from "../../schedules/warmup.js";
import type { ImportedSchedule } from "./import.js";

// Keras, TensorFlow 1 and optax give rates; here a schedule is a factor on a base rate, which must not be 0 where rates
// are divided by it.

/** The first rate that is not 0, as base of all of them; else 1. */
export const baseOf = (...rates: readonly number[]): number => rates.find((rate) => rate !== 0) ?? 1;

/** The same rates as factors on another base. */
export function onBase(lr: number, part: ImportedSchedule): BuiltinSchedule {
  return part.lr === lr ? part.schedule : scaled(part.schedule, part.lr / lr);
}

/** One after the other, each counting from its own start. */
export function joined(parts: readonly ImportedSchedule[], milestones: readonly number[]): ImportedSchedule {
  const lr = baseOf(...parts.map((part) => part.lr));
  return {
    lr,
    schedule: sequential(
      parts.map((part) => onBase(lr, part)),
      milestones,
    ),
  };
}

/** From `initial` in a straight line to `peak` over some steps, then what follows. */
export function warmedUp(
  initial: number,
  peak: number,
  steps: number,
  then: ImportedSchedule,
): ImportedSchedule {
  if (peak !== 0) return { lr: peak, schedule: warmup(steps, onBase(peak, then), { start: initial / peak }) };
  if (steps === 0) return then;
  const lr = baseOf(initial);
  return joined([{ lr, schedule: linear({ start: initial / lr, end: 0, steps }) }, then], [steps]);
}

/** Polynomial decay between two rates. */
export function polynomialBetween(
  initial: number,
  end: number,
  options: Omit<PolynomialOptions, "start" | "end">,
): ImportedSchedule {
  const lr = baseOf(initial, end);
  return { lr, schedule: polynomial({ ...options, start: initial / lr, end: end / lr }) };
}

/** One rate in each interval, changing after its boundary. */
export function piecewiseRates(boundaries: readonly number[], values: readonly number[]): ImportedSchedule {
  const lr = baseOf(...values);
  return { lr, schedule: piecewiseConstant({ boundaries, values: values.map((value) => value / lr) }) };
}
