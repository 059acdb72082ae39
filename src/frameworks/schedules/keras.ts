import { briefly, OptimError } from "../../errors.js";
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
import { cosine } from "../../schedules/cosine.js";
import { cosineRestarts } from "../../schedules/cosine-restarts.js";
import { exponential, inverseTime } from "../../schedules/exponential.js";
import { piecewiseRates, polynomialBetween, warmedUp } from "./absolute.js";
import { type ImportedSchedule, importSchedule, type ScheduleFramework } from "./import.js";
import { label, nullable } from "./requirements.js";

/** `keras.optimizers.schedules` of Keras 3: its class names, configuration keys and defaults. */
const kerasSchedules: ScheduleFramework = {
  name: "Keras",
  ignored: { name: label },
  schedules: {
    ExponentialDecay: (read) => {
      const { initial_learning_rate: lr, ...params } = read(decay());
      const { decay_rate: rate, decay_steps: steps, staircase } = params;
      return { lr, schedule: exponential({ rate, steps, staircase }) };
    },
    InverseTimeDecay: (read) => {
      const { initial_learning_rate: lr, ...params } = read(decay());
      const { decay_rate: rate, decay_steps: steps, staircase } = params;
      return { lr, schedule: inverseTime({ rate, steps, staircase }) };
    },
    PiecewiseConstantDecay: (read) => {
      const { boundaries, values } = read({ boundaries: ascendingSteps(), values: finites() });
      return piecewiseRates(boundaries, values);
    },
    PolynomialDecay: (read) => {
      const params = read({
        initial_learning_rate: finite(),
        decay_steps: count(),
        end_learning_rate: finite(1e-4),
        power: positive(1),
        cycle: flag(false),
      });
      const {
        initial_learning_rate: initial,
        end_learning_rate: end,
        decay_steps: steps,
        power,
        cycle,
      } = params;
      return polynomialBetween(initial, end, { steps, power, cycle });
    },
    // The decay counts from the end of the warm-up.
    CosineDecay: (read) => {
      const params = read({
        initial_learning_rate: finite(),
        decay_steps: count(),
        alpha: finite(0),
        warmup_target: nullable(finite()),
        warmup_steps: whole(0),
      });
      const { initial_learning_rate: initial, warmup_target: target } = params;
      const schedule = cosine({ steps: params.decay_steps, alpha: params.alpha });
      if (target === null) return { lr: initial, schedule };
      return warmedUp(initial, target, params.warmup_steps, { lr: target, schedule });
    },
    CosineDecayRestarts: (read) => {
      const params = read({
        initial_learning_rate: finite(),
        first_decay_steps: count(),
        t_mul: positive(2),
        m_mul: nonNegative(1),
        alpha: finite(0),
      });
      const { initial_learning_rate: lr, first_decay_steps: steps, t_mul, m_mul, alpha } = params;
      return { lr, schedule: cosineRestarts({ steps, lengthFactor: t_mul, peakFactor: m_mul, alpha }) };
    },
  },
};

const decay = () => ({
  initial_learning_rate: finite(),
  decay_steps: count(),
  decay_rate: nonNegative(),
  staircase: flag(false),
});

/**
 * The schedule of a Keras learning-rate schedule as `keras.optimizers.schedules.serialize` writes it,
 * `{ class_name, config }`, with Keras's defaults for what is left out.
 * @throws OptimError `unknown-name` for a class, `invalid-schedule` for a key that is unknown, missing, of the wrong
 * type or out of range
 */
export function scheduleFromKeras(serialized: {
  readonly class_name: string;
  readonly config?: object;
}): ImportedSchedule {
  const { class_name, config, ...others } = (serialized ?? {}) as Record<string, unknown>;
  // What else `serialize` writes says where the class comes from.
  const other = Object.keys(others).find(
    (key) => !["module", "registered_name", "build_config"].includes(key),
  );
  if (typeof class_name !== "string" || other !== undefined)
    throw new OptimError("invalid-schedule", "This is no serialized Keras schedule", {
      expected: "{ class_name, config }",
      got: briefly(other ?? class_name),
      fix: "pass what keras.optimizers.schedules.serialize returns",
    });
  return importSchedule(kerasSchedules, class_name, config as object | undefined);
}
