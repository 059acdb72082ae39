import { briefly, OptimError } from "../../errors.js";
import { choice, count, nonNegative, positive, whole } from "../../schedules/arguments.js";
import { constant } from "../../schedules/constant.js";
import { cosine } from "../../schedules/cosine.js";
import { cosineRestarts } from "../../schedules/cosine-restarts.js";
import { inverseSquareRoot } from "../../schedules/inverse-square-root.js";
import { piecewiseInterpolated } from "../../schedules/piecewise-interpolated.js";
import { linear, polynomial } from "../../schedules/polynomial.js";
import type { BuiltinSchedule } from "../../schedules/schedule.js";
import { sequential } from "../../schedules/sequential.js";
import { shifted } from "../../schedules/shifted.js";
import { warmup } from "../../schedules/warmup.js";
import {
  type ImportedSchedule,
  importSchedule,
  type ScheduleFramework,
  type ScheduleImport,
} from "./import.js";
import { reduceOnPlateau } from "./pytorch.js";
import { isObject, nullable } from "./requirements.js";

const lengths = () => ({ num_warmup_steps: whole(), num_training_steps: whole() });

/** Steps that decay: at least one, also where the warm-up takes them all. */
const decaySteps = (params: { num_warmup_steps: number; num_training_steps: number }): number =>
  Math.max(1, params.num_training_steps - params.num_warmup_steps);

/** A straight line from 0 over the warm-up, then what follows, from its own step 0. */
const warmedUp =
  (make: (...given: Parameters<ScheduleImport>) => readonly [number, BuiltinSchedule]): ScheduleImport =>
  (read, base) => {
    const [steps, then] = make(read, base);
    return { lr: base(), schedule: warmup(steps, then) };
  };

const minimumRate = () => ({ min_lr: nullable(nonNegative()), min_lr_rate: nullable(nonNegative()) });

/** The least factor on the base rate, given as a rate or as a factor. */
function leastFactor(
  name: string,
  { min_lr, min_lr_rate }: { min_lr: number | null; min_lr_rate: number | null },
  lr: number,
): number {
  if (min_lr !== null && min_lr_rate === null) return min_lr / lr;
  if (min_lr === null && min_lr_rate !== null) return min_lr_rate;
  throw new OptimError("invalid-schedule", `Hugging Face ${name} does not know its lowest rate`, {
    expected: "one of min_lr and min_lr_rate",
    got: min_lr === null ? "neither" : "both",
    fix: "pass min_lr, a rate, or min_lr_rate, a factor on the base rate",
  });
}

/** Parts one after the other, each with its steps; those without any are left out, and the last goes on. */
function inTurn(parts: readonly (readonly [number, () => BuiltinSchedule])[]): BuiltinSchedule {
  const lasting = parts.filter(([steps]) => steps > 0);
  let end = 0;
  const ends = lasting.map(([steps]) => {
    end += steps;
    return end;
  });
  return sequential(
    lasting.map(([, make]) => make()),
    ends.slice(0, -1),
  );
}

const shapes = () => choice("linear", "cosine", "1-sqrt");

/** Each under the name of its function, its SchedulerType, and what `get_scheduler` leaves out on the way from one to the other. */
const functions: Readonly<
  Record<
    string,
    {
      readonly type: string;
      readonly unused?: readonly (keyof ReturnType<typeof lengths>)[];
      make: ScheduleImport;
    }
  >
> = {
  get_constant_schedule: {
    type: "constant",
    unused: ["num_warmup_steps", "num_training_steps"],
    make: (read, base) => {
      read({});
      return { lr: base(), schedule: constant() };
    },
  },
  get_constant_schedule_with_warmup: {
    type: "constant_with_warmup",
    unused: ["num_training_steps"],
    make: warmedUp((read) => [read({ num_warmup_steps: whole() }).num_warmup_steps, constant()]),
  },
  get_linear_schedule_with_warmup: {
    type: "linear",
    make: warmedUp((read) => {
      const { num_warmup_steps: warm, num_training_steps: all } = read(lengths());
      return [warm, all > warm ? linear({ end: 0, steps: all - warm }) : constant({ factor: 0 })];
    }),
  },
  get_cosine_schedule_with_warmup: {
    type: "cosine",
    make: warmedUp((read) => {
      const params = read({ ...lengths(), num_cycles: nonNegative(0.5) });
      const steps = decaySteps(params);
      return [params.num_warmup_steps, cosine({ steps, periods: params.num_cycles, periodic: true })];
    }),
  },
  get_cosine_with_hard_restarts_schedule_with_warmup: {
    type: "cosine_with_restarts",
    make: warmedUp((read) => {
      const params = read({ ...lengths(), num_cycles: count(1) });
      const steps = decaySteps(params);
      const restarts = cosineRestarts({ steps, periods: params.num_cycles });
      return [params.num_warmup_steps, sequential([restarts, constant({ factor: 0 })], [steps])];
    }),
  },
  get_polynomial_decay_schedule_with_warmup: {
    type: "polynomial",
    make: warmedUp((read, base) => {
      const params = read({ ...lengths(), lr_end: nonNegative(1e-7), power: positive(1) });
      const { num_warmup_steps: warm, num_training_steps: all, lr_end, power } = params;
      const lr = base();
      if (all === warm || lr_end >= lr)
        throw new OptimError("invalid-schedule", "Hugging Face polynomial has nothing to decay", {
          expected: "num_training_steps other than num_warmup_steps, and lr_end below the base rate",
          got: `num_training_steps ${all}, num_warmup_steps ${warm}, lr_end ${lr_end}, base rate ${lr}`,
          fix: "pass more num_training_steps, or a lower lr_end",
        });
      const end = lr_end / lr;
      return [warm, all > warm ? polynomial({ steps: all - warm, end, power }) : constant({ factor: end })];
    }),
  },
  get_inverse_sqrt_schedule: {
    type: "inverse_sqrt",
    unused: ["num_training_steps"],
    make: warmedUp((read) => {
      const { num_warmup_steps: warm, timescale } = read({
        num_warmup_steps: whole(),
        timescale: nullable(count()),
      });
      const steps = timescale ?? (warm || 10_000);
      return [warm, shifted(inverseSquareRoot({ steps }), steps)];
    }),
  },
  // With both lengths given Hugging Face takes num_stable_steps.
  get_wsd_schedule: {
    type: "warmup_stable_decay",
    make: (read, base) => {
      const params = read({
        num_warmup_steps: whole(),
        num_decay_steps: whole(),
        num_training_steps: nullable(whole()),
        num_stable_steps: nullable(whole()),
        warmup_type: shapes(),
        decay_type: { ...shapes(), default: "cosine" as const },
        min_lr_ratio: nonNegative(0),
        num_cycles: nonNegative(0.5),
      });
      const { num_warmup_steps: warm, num_decay_steps: decay, min_lr_ratio: least } = params;
      const stable = params.num_stable_steps ?? (params.num_training_steps ?? -1) - warm - decay;
      if (stable < 0)
        throw new OptimError("invalid-schedule", "Hugging Face warmup_stable_decay has no stable phase", {
          expected: "num_stable_steps, or num_training_steps of at least num_warmup_steps + num_decay_steps",
          got: `num_training_steps ${params.num_training_steps}, num_warmup_steps ${warm}, num_decay_steps ${decay}`,
          fix: "pass num_stable_steps, 0 for none",
        });
      const rise = {
        linear: () => linear({ start: least, end: 1, steps: warm }),
        cosine: () =>
          piecewiseInterpolated({ boundaries: [warm], values: [least, 1], interpolation: "cosine" }),
        "1-sqrt": () => polynomial({ start: least, end: 1, steps: warm, power: 0.5 }),
      };
      const fall = {
        linear: () => linear({ end: least, steps: decay }),
        cosine: () => cosine({ alpha: least, steps: decay, periods: params.num_cycles, periodic: true }),
        "1-sqrt": () => polynomial({ end: least, steps: decay, power: 0.5, part: "elapsed" }),
      };
      return {
        lr: base(),
        schedule: inTurn([
          [warm, rise[params.warmup_type]],
          [stable, constant],
          [decay, fall[params.decay_type]],
          [1, () => constant({ factor: least })],
        ]),
      };
    },
  },
  get_cosine_with_min_lr_schedule_with_warmup: {
    type: "cosine_with_min_lr",
    make: warmedUp((read, base) => {
      const params = read({ ...lengths(), num_cycles: nonNegative(0.5), ...minimumRate() });
      const alpha = leastFactor("cosine_with_min_lr", params, base());
      const steps = decaySteps(params);
      return [params.num_warmup_steps, cosine({ steps, alpha, periods: params.num_cycles, periodic: true })];
    }),
  },
  // The warm-up reaches the base rate in its last step, and the cosine begins at its own step 1.
  get_cosine_with_min_lr_schedule_with_warmup_lr_rate: {
    type: "cosine_warmup_with_min_lr",
    make: (read, base) => {
      const params = read({
        ...lengths(),
        num_cycles: nonNegative(0.5),
        ...minimumRate(),
        warmup_lr_rate: nullable(nonNegative()),
      });
      const { num_warmup_steps: warm, num_cycles: periods } = params;
      const lr = base();
      const alpha = leastFactor("cosine_warmup_with_min_lr", params, lr);
      const start = params.warmup_lr_rate ?? 1 / warm;
      return {
        lr,
        schedule: inTurn([
          [
            warm,
            () => (warm === 1 ? constant({ factor: start }) : linear({ start, end: 1, steps: warm - 1 })),
          ],
          [1, () => shifted(cosine({ steps: decaySteps(params), alpha, periods, periodic: true }), 1)],
        ]),
      };
    },
  },
  get_reduce_on_plateau_schedule: {
    type: "reduce_lr_on_plateau",
    unused: ["num_warmup_steps", "num_training_steps"],
    make: reduceOnPlateau,
  },
};

const types = new Map(Object.values(functions).map(({ type, unused = [] }) => [type, unused]));

/** `transformers.optimization`: its functions, and the names that `get_scheduler` gives them. */
const huggingFaceSchedules: ScheduleFramework = {
  name: "Hugging Face",
  schedules: Object.fromEntries(
    Object.entries(functions).flatMap(([name, { type, make }]) => [
      [type, make],
      [name, make],
    ]),
  ),
  ignored: { last_epoch: { expected: "-1", holds: (value) => value === -1 } },
};

/** What `get_scheduler` passes on: no length that is None or of no use, and the specific arguments beside the others. */
function passedOn(type: string, kwargs: Readonly<Record<string, unknown>>): object {
  const { scheduler_specific_kwargs: specific = null, ...given } = kwargs;
  const own: Record<string, unknown> = given;
  const refuse = (key: string, expected: string, got: unknown) =>
    new OptimError("invalid-schedule", `Parameter '${key}' of Hugging Face ${type} is not valid`, {
      expected,
      got: briefly(got),
      fix: "pass it as to get_scheduler",
    });
  if (specific !== null && !isObject(specific))
    throw refuse("scheduler_specific_kwargs", "an object or null", specific);
  for (const key of Object.keys(specific ?? {}))
    if (Object.hasOwn(own, key))
      throw refuse(key, "one value", "two, of which one is in scheduler_specific_kwargs");
  for (const key of Object.keys(lengths()) as (keyof ReturnType<typeof lengths>)[]) {
    const unused = types.get(type)!.includes(key);
    if (unused && Object.hasOwn(own, key) && own[key] !== null && !whole().holds(own[key]))
      throw refuse(key, "a whole number ≥ 0, or null", own[key]);
    if (unused || own[key] === null) delete own[key];
  }
  return { ...own, ...specific };
}

/**
 * The schedule of Hugging Face's transformers under the name of its function, `get_cosine_schedule_with_warmup`, or of its
 * SchedulerType, `cosine`, which takes what `get_scheduler` takes, with their arguments and defaults.
 * `reduce_lr_on_plateau` becomes a schedule with `report`.
 * @param baseLr the optimizer's rate, which all of them multiply
 * @throws OptimError `unknown-name` for a schedule, `invalid-schedule` for an argument that is unknown, missing, of the
 * wrong type or out of range, or a base rate that is missing
 */
export function scheduleFromHuggingFace(
  name: string,
  kwargs: object = {},
  baseLr?: number,
): ImportedSchedule {
  const given = types.has(name) && isObject(kwargs) ? passedOn(name, { ...kwargs }) : kwargs;
  return importSchedule(huggingFaceSchedules, name, given, baseLr);
}
