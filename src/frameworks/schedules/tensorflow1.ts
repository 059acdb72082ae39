import {
  ascendingSteps,
  count,
  finite,
  finites,
  flag,
  nonNegative,
  positive,
  whole,
} from "../../schedules/arguments.js";
import { cosine, linearCosine, noisyLinearCosine } from "../../schedules/cosine.js";
import { cosineRestarts } from "../../schedules/cosine-restarts.js";
import { exponential, inverseTime, naturalExponential } from "../../schedules/exponential.js";
import { piecewiseRates, polynomialBetween } from "./absolute.js";
import {
  type ImportedSchedule,
  importSchedule,
  type ScheduleFramework,
  type ScheduleImport,
} from "./import.js";
import { label } from "./requirements.js";

const decay =
  (make: typeof exponential): ScheduleImport =>
  (read) => {
    const params = read({
      learning_rate: finite(),
      decay_steps: count(),
      decay_rate: nonNegative(),
      staircase: flag(false),
    });
    const { learning_rate: lr, decay_rate: rate, decay_steps: steps, staircase } = params;
    return { lr, schedule: make({ rate, steps, staircase }) };
  };

const piecewise: ScheduleImport = (read) => {
  const { boundaries, values } = read({ boundaries: ascendingSteps(), values: finites() });
  return piecewiseRates(boundaries, values);
};

const linearCosineParameters = () => ({
  learning_rate: finite(),
  decay_steps: count(),
  num_periods: nonNegative(0.5),
  alpha: nonNegative(0),
  beta: nonNegative(0.001),
});

/** `tf.train.*_decay` of TensorFlow 1: its names, parameters (without global_step) and defaults. */
const tensorflow1Schedules: ScheduleFramework = {
  name: "TensorFlow 1",
  ignored: { name: label },
  schedules: {
    exponential_decay: (read, base) => decay(exponential)(read, base),
    natural_exp_decay: (read, base) => decay(naturalExponential)(read, base),
    inverse_time_decay: (read, base) => decay(inverseTime)(read, base),
    piecewise_constant: piecewise,
    piecewise_constant_decay: piecewise,
    polynomial_decay: (read) => {
      const params = read({
        learning_rate: finite(),
        decay_steps: count(),
        end_learning_rate: finite(1e-4),
        power: positive(1),
        cycle: flag(false),
      });
      const { learning_rate: initial, end_learning_rate: end, decay_steps: steps, power, cycle } = params;
      return polynomialBetween(initial, end, { steps, power, cycle });
    },
    cosine_decay: (read) => {
      const params = read({ learning_rate: finite(), decay_steps: count(), alpha: finite(0) });
      const { learning_rate: lr, decay_steps: steps, alpha } = params;
      return { lr, schedule: cosine({ steps, alpha }) };
    },
    cosine_decay_restarts: (read) => {
      const params = read({
        learning_rate: finite(),
        first_decay_steps: count(),
        t_mul: positive(2),
        m_mul: nonNegative(1),
        alpha: finite(0),
      });
      const { learning_rate: lr, first_decay_steps: steps, t_mul, m_mul, alpha } = params;
      return { lr, schedule: cosineRestarts({ steps, lengthFactor: t_mul, peakFactor: m_mul, alpha }) };
    },
    linear_cosine_decay: (read) => {
      const params = read(linearCosineParameters());
      const { learning_rate: lr, decay_steps: steps, num_periods: periods, alpha, beta } = params;
      return { lr, schedule: linearCosine({ steps, periods, alpha, beta }) };
    },
    // TensorFlow draws from the seed of its graph; here it is one more parameter.
    noisy_linear_cosine_decay: (read) => {
      const params = read({
        ...linearCosineParameters(),
        initial_variance: nonNegative(1),
        variance_decay: nonNegative(0.55),
        seed: whole(0),
      });
      const { learning_rate: lr, decay_steps: steps, num_periods: periods, alpha, beta, seed } = params;
      const { initial_variance: initialVariance, variance_decay: varianceDecay } = params;
      return {
        lr,
        schedule: noisyLinearCosine({ steps, periods, alpha, beta, initialVariance, varianceDecay, seed }),
      };
    },
  },
};

/**
 * The schedule of a `tf.train` function of TensorFlow 1 such as `exponential_decay`, with its parameters (but for
 * `global_step`) and defaults. `noisy_linear_cosine_decay` takes a `seed` as well, and draws other numbers.
 * @throws OptimError `unknown-name` for a schedule, `invalid-schedule` for a parameter that is unknown, missing, of the
 * wrong type or out of range
 */
export function scheduleFromTensorFlow1(name: string, params: object = {}): ImportedSchedule {
  return importSchedule(tensorflow1Schedules, name, params);
}
