import {
  ascendingSteps,
  count,
  finite,
  finites,
  fraction,
  nonNegative,
  positive,
} from "../../schedules/arguments.js";
import { clamped } from "../../schedules/clamped.js";
import { cosine, linearCosine } from "../../schedules/cosine.js";
import { exponential, inverseTime, naturalExponential } from "../../schedules/exponential.js";
import { noam } from "../../schedules/inverse-square-root.js";
import { linear } from "../../schedules/polynomial.js";
import { piecewiseRates, polynomialBetween } from "./absolute.js";
import {
  type ImportedSchedule,
  importSchedule,
  type ScheduleFramework,
  type ScheduleImport,
} from "./import.js";

const exponentialDecay =
  (staircase: boolean): ScheduleImport =>
  (read) => {
    const params = read({ lr: positive(), decay_rate: nonNegative(), decay_steps: count() });
    const { lr, decay_rate: rate, decay_steps: steps } = params;
    return { lr, schedule: exponential({ rate, steps, staircase }) };
  };

const polynomialDecay =
  (cycle: boolean): ScheduleImport =>
  (read) => {
    const params = read({ lr: positive(), end: finite(0), decay_steps: count(), power: positive(1) });
    const { lr, end, decay_steps: steps, power } = params;
    return polynomialBetween(lr, end, { steps, power, cycle });
  };

/** The printed forms, as surveys and textbooks have them; rates are absolute, and there is no default rate. */
const textbookSchedules: ScheduleFramework = {
  name: "The textbook",
  ignored: {},
  schedules: {
    exponential: (read, base) => exponentialDecay(false)(read, base),
    "exponential-staircase": (read, base) => exponentialDecay(true)(read, base),
    "exponential-per-step": (read) => {
      const { lr, gamma } = read({ lr: positive(), gamma: nonNegative() });
      return { lr, schedule: exponential({ rate: gamma }) };
    },
    "exponential-one-minus-gamma": (read) => {
      const { lr, gamma } = read({ lr: positive(), gamma: fraction() });
      return { lr, schedule: exponential({ rate: 1 - gamma }) };
    },
    "clamped-exponential": (read) => {
      const params = read({ lr: positive(), gamma: fraction(), min: finite(), max: finite() });
      const { lr, gamma, min, max } = params;
      return { lr, schedule: clamped(exponential({ rate: 1 - gamma }), { min: min / lr, max: max / lr }) };
    },
    "clamped-linear": (read) => {
      const { lr, decay_steps: steps, min } = read({ lr: positive(), decay_steps: count(), min: finite() });
      return { lr, schedule: clamped(linear({ end: 0, steps }), { min: min / lr }) };
    },
    // Printed without decay steps.
    "natural-exponential": (read) => {
      const params = read({ lr: positive(), decay_rate: nonNegative(), decay_steps: count(1) });
      const { lr, decay_rate: rate, decay_steps: steps } = params;
      return { lr, schedule: naturalExponential({ rate, steps }) };
    },
    "inverse-time": (read) => {
      const params = read({ lr: positive(), decay_rate: nonNegative(), decay_steps: count(1) });
      const { lr, decay_rate: rate, decay_steps: steps } = params;
      return { lr, schedule: inverseTime({ rate, steps }) };
    },
    polynomial: (read, base) => polynomialDecay(false)(read, base),
    "polynomial-cycle": (read, base) => polynomialDecay(true)(read, base),
    linear: (read) => {
      const { lr, end, total: steps } = read({ lr: positive(), end: finite(0), total: count() });
      return { lr, schedule: linear({ end: end / lr, steps }) };
    },
    cosine: (read) => {
      const params = read({ lr: positive(), decay_steps: count(), alpha: finite(0) });
      const { lr, decay_steps: steps, alpha } = params;
      return { lr, schedule: cosine({ steps, alpha }) };
    },
    "linear-cosine": (read) => {
      const params = read({
        lr: positive(),
        decay_steps: count(),
        alpha: nonNegative(0),
        beta: nonNegative(0.001),
        num_periods: nonNegative(0.5),
      });
      const { lr, decay_steps: steps, alpha, beta, num_periods: periods } = params;
      return { lr, schedule: linearCosine({ steps, alpha, beta, periods }) };
    },
    "piecewise-constant": (read) => {
      const { boundaries, values } = read({ boundaries: ascendingSteps(), values: finites() });
      return piecewiseRates(boundaries, values);
    },
    noam: (read) => {
      const { model_size: modelSize, warmup } = read({ model_size: count(), warmup: count() });
      return { lr: 1, schedule: noam({ modelSize, warmup }) };
    },
  },
};

/**
 * The schedule that a textbook prints under this name, such as `exponential-staircase` or `polynomial-cycle`; piecewise
 * constants change after their boundary.
 * @throws OptimError `unknown-name` for a schedule, `invalid-schedule` for a parameter that is unknown, missing, of the
 * wrong type or out of range
 */
export function scheduleFromTextbook(name: string, params: object = {}): ImportedSchedule {
  return importSchedule(textbookSchedules, name, params);
}
