import { briefly, OptimError } from "../../errors.js";
import {
  ascendingSteps,
  belowOne,
  choice,
  count,
  finite,
  flag,
  fraction,
  nonNegative,
  positive,
  schedule,
  whole,
} from "../../schedules/arguments.js";
import { chained } from "../../schedules/chained.js";
import { constant } from "../../schedules/constant.js";
import { cosine } from "../../schedules/cosine.js";
import { cosineRestarts } from "../../schedules/cosine-restarts.js";
import { cyclic, cyclicMomentum } from "../../schedules/cyclic.js";
import { exponential } from "../../schedules/exponential.js";
import { multiplicative } from "../../schedules/multiplicative.js";
import { oneCycle, oneCycleMomentum } from "../../schedules/one-cycle.js";
import { multistep, step } from "../../schedules/piecewise.js";
import { piecewiseInterpolated } from "../../schedules/piecewise-interpolated.js";
import { onPlateau } from "../../schedules/plateau.js";
import { linear, polynomial } from "../../schedules/polynomial.js";
import { scaled } from "../../schedules/scaled.js";
import { baseOf, joined } from "./absolute.js";
import {
  type ImportedSchedule,
  importSchedule,
  type ScheduleFramework,
  type ScheduleImport,
} from "./import.js";
import { type NestedSchedule, nestedSchedules, nullable, steps } from "./requirements.js";

/** PyTorch's schedulers whose steps multiply the rate that they find, so that chaining them is a product. */
const multiplying: readonly string[] = [
  "StepLR",
  "MultiStepLR",
  "ConstantLR",
  "LinearLR",
  "ExponentialLR",
  "PolynomialLR",
  "MultiplicativeLR",
  "CosineAnnealingLR",
  "ChainedScheduler",
];

/** Those that set the rate from the optimizer's base rate, which is the same for all in a sequence. */
const basedOnOptimizer: readonly string[] = [
  ...multiplying,
  "LambdaLR",
  "CosineAnnealingWarmRestarts",
  "SequentialLR",
];

/** The parts of a scheduler of schedulers, each by itself. */
function importParts(
  owner: string,
  parts: readonly NestedSchedule[],
  allowed: readonly string[],
  lr: number,
): ImportedSchedule[] {
  return parts.map(({ type, ...params }) => {
    // Towards a minimum other than 0 each step also adds to the rate.
    const addsToRate = type === "CosineAnnealingLR" && params.eta_min !== undefined && params.eta_min !== 0;
    if (
      Object.hasOwn(schedules, type) &&
      (!allowed.includes(type) || (allowed === multiplying && addsToRate))
    )
      throw new OptimError(
        "invalid-schedule",
        `PyTorch's ${owner} of this ${type} is no composition of both`,
        {
          expected: `one of ${allowed.join(", ")}${allowed === multiplying ? " (CosineAnnealingLR with eta_min 0)" : ""}`,
          got: briefly(type),
          fix: "compose schedules of this library instead",
        },
      );
    return importSchedule(pytorchSchedules, type, params, lr);
  });
}

/** ReduceLROnPlateau, with its own margin. */
export const reduceOnPlateau: ScheduleImport = (read, base) => {
  const { threshold_mode, min_lr, eps, ...options } = read({
    mode: choice("min", "max"),
    factor: belowOne(0.1),
    patience: whole(10),
    threshold: nonNegative(1e-4),
    threshold_mode: choice("rel", "abs"),
    cooldown: whole(0),
    min_lr: nonNegative(0),
    eps: nonNegative(1e-8),
  });
  const lr = base();
  const thresholdMode = threshold_mode === "rel" ? "relative" : "absolute";
  const rates = { minimum: min_lr / lr, eps: eps / lr };
  return { lr, schedule: onPlateau({ ...options, thresholdMode, margin: "signed", ...rates }) };
};

const schedules: Readonly<Record<string, ScheduleImport>> = {
  LambdaLR: (read, base) => {
    const { lr_lambda } = read({ lr_lambda: schedule() });
    return { lr: base(), schedule: scaled(lr_lambda, 1) };
  },
  MultiplicativeLR: (read, base) => {
    const { lr_lambda } = read({ lr_lambda: schedule() });
    return { lr: base(), schedule: multiplicative(lr_lambda) };
  },
  StepLR: (read, base) => {
    const { step_size, gamma } = read({ step_size: count(), gamma: nonNegative(0.1) });
    return { lr: base(), schedule: step({ size: step_size, gamma }) };
  },
  MultiStepLR: (read, base) => {
    const { milestones, gamma } = read({ milestones: steps(), gamma: nonNegative(0.1) });
    const ascending = [...milestones].sort((a, b) => a - b);
    return { lr: base(), schedule: multistep({ milestones: ascending, gamma }) };
  },
  // With total_iters = 0 the step that would end the factor never comes: it stays.
  ConstantLR: (read, base) => {
    const { factor, total_iters } = read({ factor: fraction(1 / 3), total_iters: whole(5) });
    return {
      lr: base(),
      schedule: constant(total_iters === 0 ? { factor } : { factor, steps: total_iters }),
    };
  },
  LinearLR: (read, base) => {
    const { start_factor, end_factor, total_iters } = read({
      start_factor: fraction(1 / 3),
      end_factor: fraction(1),
      total_iters: whole(5),
    });
    return {
      lr: base(),
      schedule:
        total_iters === 0
          ? constant({ factor: start_factor })
          : linear({ start: start_factor, end: end_factor, steps: total_iters }),
    };
  },
  ExponentialLR: (read, base) => {
    const { gamma } = read({ gamma: nonNegative() });
    return { lr: base(), schedule: exponential({ rate: gamma }) };
  },
  PolynomialLR: (read, base) => {
    const { total_iters, power } = read({ total_iters: whole(5), power: positive(1) });
    return {
      lr: base(),
      schedule: total_iters === 0 ? constant() : polynomial({ steps: total_iters, power }),
    };
  },
  CosineAnnealingLR: (read, base) => {
    const { T_max, eta_min } = read({ T_max: count(), eta_min: finite(0) });
    const lr = base();
    return { lr, schedule: cosine({ steps: T_max, alpha: eta_min / lr, periodic: true }) };
  },
  CosineAnnealingWarmRestarts: (read, base) => {
    const { T_0, T_mult, eta_min } = read({ T_0: count(), T_mult: count(1), eta_min: finite(0) });
    const lr = base();
    return { lr, schedule: cosineRestarts({ steps: T_0, lengthFactor: T_mult, alpha: eta_min / lr }) };
  },
  CyclicLR: (read) => {
    const { base_lr, max_lr, scale_fn, ...params } = read({
      base_lr: finite(),
      max_lr: finite(),
      step_size_up: count(2000),
      step_size_down: nullable(whole()),
      mode: choice("triangular", "triangular2", "exp_range"),
      gamma: nonNegative(1),
      scale_fn: nullable(schedule()),
      scale_mode: choice("cycle", "iterations"),
      cycle_momentum: flag(true),
      base_momentum: finite(0.8),
      max_momentum: finite(0.9),
    });
    const lr = baseOf(max_lr, base_lr);
    const cycle = {
      stepsUp: params.step_size_up,
      stepsDown: params.step_size_down ?? params.step_size_up,
      mode: params.mode,
      gamma: params.gamma,
      scaleBy: params.scale_mode === "cycle" ? "cycle" : "step",
      ...(scale_fn && { scale: scale_fn }),
    } as const;
    return {
      lr,
      schedule: cyclic({ ...cycle, start: base_lr / lr, peak: max_lr / lr }),
      ...(params.cycle_momentum && {
        momentum: cyclicMomentum({ ...cycle, min: params.base_momentum, max: params.max_momentum }),
      }),
    };
  },
  OneCycleLR: (read) => {
    const { max_lr, total_steps, epochs, steps_per_epoch, ...params } = read({
      max_lr: finite(),
      total_steps: nullable(count()),
      epochs: nullable(count()),
      steps_per_epoch: nullable(count()),
      pct_start: fraction(0.3),
      anneal_strategy: choice("cos", "linear"),
      cycle_momentum: flag(true),
      base_momentum: finite(0.85),
      max_momentum: finite(0.95),
      div_factor: positive(25),
      final_div_factor: positive(1e4),
      three_phase: flag(false),
    });
    const length = total_steps ?? (epochs ?? 0) * (steps_per_epoch ?? 0);
    if (length === 0)
      throw new OptimError("invalid-schedule", "PyTorch OneCycleLR does not know its length", {
        expected: "total_steps, or epochs and steps_per_epoch",
        got: "neither",
        fix: "pass total_steps",
      });
    const shape = {
      steps: length,
      pctStart: params.pct_start,
      interpolation: params.anneal_strategy === "cos" ? "cosine" : "linear",
      threePhase: params.three_phase,
    } as const;
    const start = 1 / params.div_factor;
    return {
      lr: max_lr,
      schedule: oneCycle({ ...shape, start, end: start / params.final_div_factor }),
      ...(params.cycle_momentum && {
        momentum: oneCycleMomentum({ ...shape, min: params.base_momentum, max: params.max_momentum }),
      }),
    };
  },
  ReduceLROnPlateau: reduceOnPlateau,
  SWALR: (read, base) => {
    const params = read({
      swa_lr: nonNegative(),
      anneal_epochs: whole(10),
      anneal_strategy: choice("cos", "linear"),
    });
    const lr = base();
    const interpolation = params.anneal_strategy === "cos" ? "cosine" : "linear";
    const values = [1, params.swa_lr / lr];
    return {
      lr,
      schedule: piecewiseInterpolated({ boundaries: [params.anneal_epochs], values, interpolation }),
    };
  },
  SequentialLR: (read, base) => {
    const { schedulers, milestones } = read({ schedulers: nestedSchedules(), milestones: ascendingSteps() });
    return joined(importParts("SequentialLR", schedulers, basedOnOptimizer, base()), milestones);
  },
  ChainedScheduler: (read, base) => {
    const { schedulers } = read({ schedulers: nestedSchedules() });
    const lr = base();
    return {
      lr,
      schedule: chained(
        importParts("ChainedScheduler", schedulers, multiplying, lr).map((part) => part.schedule),
      ),
    };
  },
};

/** `torch.optim.lr_scheduler` and SWALR: their names, parameters and defaults. */
const pytorchSchedules: ScheduleFramework = {
  name: "PyTorch",
  schedules,
  ignored: {
    last_epoch: { expected: "-1", holds: (value) => value === -1 },
    verbose: {
      expected: "true, false or 'deprecated'",
      holds: (value) => typeof value === "boolean" || value === "deprecated",
    },
  },
};

/**
 * The schedule of `torch.optim.lr_scheduler.NAME(optimizer, …params)`, or of `torch.optim.swa_utils.SWALR`, with PyTorch's
 * parameters and defaults.
 * Schedulers of schedulers take their parts as `{ type: NAME, …params }`; `ReduceLROnPlateau` becomes a schedule with
 * `report` and PyTorch's `margin`, best · threshold with its sign.
 * @param baseLr the optimizer's rate, for SWALR the one that it begins at; CyclicLR and OneCycleLR bring their own
 * @throws OptimError `unknown-name` for a schedule, `invalid-schedule` for a parameter that is unknown, missing, of the
 * wrong type or out of range, or a base rate that is missing
 */
export function scheduleFromPyTorch(name: string, params: object = {}, baseLr?: number): ImportedSchedule {
  return importSchedule(pytorchSchedules, name, params, baseLr);
}
