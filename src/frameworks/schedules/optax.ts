import { OptimError } from "../../errors.js";
import {
  ascendingSteps,
  choice,
  count,
  finite,
  flag,
  fraction,
  nonNegative,
  positive,
  type Requirement,
  whole,
} from "../../schedules/arguments.js";
import { clamped } from "../../schedules/clamped.js";
import { constant } from "../../schedules/constant.js";
import { cosine } from "../../schedules/cosine.js";
import { exponential } from "../../schedules/exponential.js";
import type { Interpolation } from "../../schedules/interpolation.js";
import { piecewiseConstant } from "../../schedules/piecewise.js";
import { piecewiseInterpolated } from "../../schedules/piecewise-interpolated.js";
import { scaled } from "../../schedules/scaled.js";
import type { BuiltinSchedule } from "../../schedules/schedule.js";
import { sequential } from "../../schedules/sequential.js";
import { joined, polynomialBetween, warmedUp } from "./absolute.js";
import { type ImportedSchedule, importSchedule, type ScheduleFramework } from "./import.js";
import { integer, nestedSchedules, nullable, objects, scalesBySteps } from "./requirements.js";

/** A schedule that keeps its first value for some steps; below 0 they count as none. */
function begun(begin: number, { lr, schedule }: ImportedSchedule): ImportedSchedule {
  if (begin <= 0) return { lr, schedule };
  return { lr, schedule: sequential([constant({ factor: schedule(0) }), schedule], [begin]) };
}

/** polynomial_schedule: without transition steps it stays where it begins. */
function polynomialSchedule(
  initial: number,
  end: number,
  { power, steps, begin }: { power: number; steps: number; begin: number },
): ImportedSchedule {
  if (steps <= 0) return { lr: initial, schedule: constant() };
  return begun(begin, polynomialBetween(initial, end, { steps, power }));
}

const exponentialParameters = () => ({
  transition_steps: integer(),
  decay_rate: nonNegative(),
  transition_begin: integer(0),
  staircase: flag(false),
  end_value: nullable(finite()),
});

/** exponential_decay: `end_value` is a floor for a rate below 1, else a ceiling. */
function exponentialDecay(
  lr: number,
  params: {
    transition_steps: number;
    decay_rate: number;
    transition_begin: number;
    staircase: boolean;
    end_value: number | null;
  },
): ImportedSchedule {
  const { transition_steps: steps, decay_rate: rate, staircase, end_value: end } = params;
  if (steps <= 0 || rate === 0) return { lr, schedule: constant() };
  const decay = begun(params.transition_begin, { lr, schedule: exponential({ rate, steps, staircase }) });
  if (end === null) return decay;
  const bound = (to: number) => (rate < 1 ? { min: to } : { max: to });
  if (lr > 0) return { lr, schedule: clamped(decay.schedule, bound(end / lr)) };
  // Dividing the bound by 0 or less would lose it or turn it around.
  return { lr: 1, schedule: clamped(scaled(decay.schedule, lr), bound(end)) };
}

const cosineParameters = () => ({
  init_value: finite(),
  peak_value: finite(),
  warmup_steps: whole(),
  decay_steps: count(),
  end_value: finite(0),
  exponent: positive(1),
});

/** Steps ascending, with the product of the scales up to each, 1 before the first. */
function cumulative(scales: Iterable<readonly [number, number]>) {
  const ascending = [...scales].sort(([a], [b]) => a - b);
  const values = [1];
  for (const [, scale] of ascending) values.push(values.at(-1)! * scale);
  return { boundaries: ascending.map(([step]) => step), values };
}

const entriesOf = (scales: Readonly<Record<string, number>> | null) =>
  Object.entries(scales ?? {}).map(([step, scale]) => [Number(step), scale] as const);

/** A cycle by way of values at steps; like the keys of optax's dictionary, a step given twice keeps the last scale. */
function oneCycleBetween(
  interpolation: Interpolation,
  { peak_value: lr, div_factor }: { peak_value: number; div_factor: number },
  scales: readonly (readonly [number, number])[],
): ImportedSchedule {
  const { boundaries, values } = cumulative(new Map(scales));
  const start = 1 / div_factor;
  return {
    lr,
    schedule: piecewiseInterpolated({
      boundaries,
      values: values.map((value) => value * start),
      interpolation,
    }),
  };
}

const oneCycleParameters = () => ({
  transition_steps: count(),
  peak_value: finite(),
  pct_start: fraction(0.3),
  div_factor: positive(25),
  final_div_factor: positive(1e4),
});

/** optax's schedules: their names, arguments and defaults. */
const optaxSchedules: ScheduleFramework = {
  name: "optax",
  ignored: {},
  schedules: {
    constant_schedule: (read) => ({ lr: read({ value: finite() }).value, schedule: constant() }),
    polynomial_schedule: (read) => {
      const params = read({
        init_value: finite(),
        end_value: finite(),
        power: positive(),
        transition_steps: integer(),
        transition_begin: integer(0),
      });
      const { power, transition_steps: steps, transition_begin: begin } = params;
      return polynomialSchedule(params.init_value, params.end_value, { power, steps, begin });
    },
    linear_schedule: (read) => {
      const params = read({
        init_value: finite(),
        end_value: finite(),
        transition_steps: integer(),
        transition_begin: integer(0),
      });
      const { transition_steps: steps, transition_begin: begin } = params;
      return polynomialSchedule(params.init_value, params.end_value, { power: 1, steps, begin });
    },
    piecewise_constant_schedule: (read) => {
      const params = read({ init_value: finite(), boundaries_and_scales: nullable(scalesBySteps()) });
      const steps = cumulative(entriesOf(params.boundaries_and_scales));
      return { lr: params.init_value, schedule: piecewiseConstant({ ...steps, boundary: "at" }) };
    },
    exponential_decay: (read) => {
      const { init_value, ...params } = read({ init_value: finite(), ...exponentialParameters() });
      return exponentialDecay(init_value, params);
    },
    cosine_decay_schedule: (read) => {
      const params = read({
        init_value: finite(),
        decay_steps: count(),
        alpha: finite(0),
        exponent: positive(1),
      });
      const { init_value: lr, decay_steps: steps, alpha, exponent } = params;
      return { lr, schedule: cosine({ steps, alpha, exponent }) };
    },
    piecewise_interpolate_schedule: (read) => {
      const params = read({
        interpolate_type: choiceOfInterpolation(),
        init_value: finite(),
        boundaries_and_scales: nullable(scalesBySteps()),
      });
      const steps = cumulative(entriesOf(params.boundaries_and_scales));
      const schedule = piecewiseInterpolated({ ...steps, interpolation: params.interpolate_type });
      return { lr: params.init_value, schedule };
    },
    linear_onecycle_schedule: (read) => {
      const params = read({ ...oneCycleParameters(), pct_final: fraction(0.85) });
      const { transition_steps: steps, div_factor } = params;
      return oneCycleBetween("linear", params, [
        [Math.floor(params.pct_start * steps), div_factor],
        [Math.floor(params.pct_final * steps), 1 / div_factor],
        [steps, 1 / params.final_div_factor],
      ]);
    },
    cosine_onecycle_schedule: (read) => {
      const params = read(oneCycleParameters());
      const { transition_steps: steps, div_factor } = params;
      return oneCycleBetween("cosine", params, [
        [Math.floor(params.pct_start * steps), div_factor],
        [steps, 1 / (div_factor * params.final_div_factor)],
      ]);
    },
    warmup_constant_schedule: (read) => {
      const params = read({ init_value: finite(), peak_value: finite(), warmup_steps: integer() });
      const { init_value, peak_value, warmup_steps } = params;
      return polynomialSchedule(init_value, peak_value, { power: 1, steps: warmup_steps, begin: 0 });
    },
    // The decay steps include the warm-up.
    warmup_cosine_decay_schedule: (read) => {
      const params = read(cosineParameters());
      const { init_value, peak_value: lr, warmup_steps, decay_steps, exponent } = params;
      if (decay_steps <= warmup_steps)
        throw new OptimError(
          "invalid-schedule",
          "optax warmup_cosine_decay_schedule leaves no step to decay",
          {
            expected: "decay_steps, which include the warm-up, above warmup_steps",
            got: `decay_steps ${decay_steps}, warmup_steps ${warmup_steps}`,
            fix: "pass more decay_steps, or warmup_constant_schedule",
          },
        );
      const alpha = lr === 0 ? 0 : params.end_value / lr;
      const schedule: BuiltinSchedule = cosine({ steps: decay_steps - warmup_steps, alpha, exponent });
      return warmedUp(init_value, lr, warmup_steps, { lr, schedule });
    },
    warmup_exponential_decay_schedule: (read) => {
      const { init_value, peak_value, warmup_steps, ...params } = read({
        init_value: finite(),
        peak_value: finite(),
        warmup_steps: whole(),
        ...exponentialParameters(),
      });
      return warmedUp(init_value, peak_value, warmup_steps, exponentialDecay(peak_value, params));
    },
    sgdr_schedule: (read) => {
      const { cosine_kwargs } = read({ cosine_kwargs: objects() });
      let end = 0;
      const ends = cosine_kwargs.map(({ decay_steps }) => {
        end += Number(decay_steps);
        return end;
      });
      const cycles = cosine_kwargs.map((kwargs) =>
        importSchedule(optaxSchedules, "warmup_cosine_decay_schedule", kwargs),
      );
      return joined(cycles, ends.slice(0, -1));
    },
    join_schedules: (read) => {
      const { schedules, boundaries } = read({ schedules: nestedSchedules(), boundaries: ascendingSteps() });
      const parts = schedules.map(({ type, ...kwargs }) => importSchedule(optaxSchedules, type, kwargs));
      return joined(parts, boundaries);
    },
  },
};

/** One of both names, without a default. */
function choiceOfInterpolation(): Requirement<Interpolation> {
  const { expected, holds } = choice("linear", "cosine");
  return { expected, holds };
}

/**
 * The schedule of an optax function such as `warmup_cosine_decay_schedule`, with its arguments and defaults.
 * `join_schedules` takes its parts as `{ type: NAME, …kwargs }`.
 * @throws OptimError `unknown-name` for a schedule, `invalid-schedule` for an argument that is unknown, missing, of the
 * wrong type or out of range
 */
export function scheduleFromOptax(name: string, kwargs: object = {}): ImportedSchedule {
  return importSchedule(optaxSchedules, name, kwargs);
}
