import { briefly, OptimError } from "../errors.js";
import { chained } from "./chained.js";
import { type ClampedOptions, clamped } from "./clamped.js";
import { constant } from "./constant.js";
import { cosine, linearCosine, noisyLinearCosine } from "./cosine.js";
import { cosineRestarts } from "./cosine-restarts.js";
import { type CyclicOptions, cyclic } from "./cyclic.js";
import { every } from "./every.js";
import { exponential, inverseTime, naturalExponential } from "./exponential.js";
import { inverseSquareRoot, noam } from "./inverse-square-root.js";
import { multiplicative } from "./multiplicative.js";
import { oneCycle } from "./one-cycle.js";
import { multistep, piecewiseConstant, step } from "./piecewise.js";
import { piecewiseInterpolated } from "./piecewise-interpolated.js";
import { onPlateau, type PlateauOptions, type PlateauState } from "./plateau.js";
import { linear, polynomial } from "./polynomial.js";
import { random } from "./random.js";
import { scaled } from "./scaled.js";
import type { BuiltinSchedule } from "./schedule.js";
import { sequential } from "./sequential.js";
import { shifted } from "./shifted.js";
import { type WarmupOptions, warmup } from "./warmup.js";

type Read = (json: unknown) => BuiltinSchedule;

// Options of JSON are unchecked, and each factory checks its own. Only `never` passes to factories of all option types.
type Unchecked = never;
type Make = (options: Unchecked, read: Read) => BuiltinSchedule;

const factories: Readonly<Record<string, Make>> = {
  constant,
  linear,
  step,
  multistep,
  piecewiseConstant,
  exponential,
  naturalExponential,
  inverseTime,
  polynomial,
  cosine,
  linearCosine,
  noisyLinearCosine,
  cosineRestarts,
  oneCycle,
  noam,
  inverseSquareRoot,
  piecewiseInterpolated,
  random,
  cyclic: ({ scale, ...options }: { scale?: unknown } & CyclicOptions, read) =>
    cyclic(scale === undefined ? options : { ...options, scale: read(scale) }),
  multiplicative: ({ factor, ...rest }: { factor: unknown }, read) => {
    refuseOthers("multiplicative", rest, "factor");
    return multiplicative(read(factor));
  },
  scaled: ({ schedule, factor, ...rest }: { schedule: unknown; factor: number }, read) => {
    refuseOthers("scaled", rest, "schedule, factor");
    return scaled(read(schedule), factor);
  },
  every: ({ steps, schedule, ...rest }: { steps: number; schedule: unknown }, read) => {
    refuseOthers("every", rest, "steps, schedule");
    return every(steps, read(schedule));
  },
  shifted: ({ schedule, steps, ...rest }: { schedule: unknown; steps: number }, read) => {
    refuseOthers("shifted", rest, "schedule, steps");
    return shifted(read(schedule), steps);
  },
  chained: ({ schedules, ...rest }: { schedules: unknown[] }, read) => {
    refuseOthers("chained", rest, "schedules");
    return chained(Array.isArray(schedules) ? schedules.map(read) : schedules);
  },
  clamped: ({ schedule, ...bounds }: { schedule: unknown } & ClampedOptions, read) =>
    clamped(read(schedule), bounds),
  warmup: ({ steps, schedule, ...options }: { steps: number; schedule: unknown } & WarmupOptions, read) =>
    warmup(steps, read(schedule), options),
  sequential: ({ schedules, milestones, ...rest }: { schedules: unknown[]; milestones: number[] }, read) => {
    refuseOthers("sequential", rest, "schedules, milestones");
    return sequential(Array.isArray(schedules) ? schedules.map(read) : schedules, milestones);
  },
  onPlateau: ({ state, ...options }: { state?: PlateauState } & PlateauOptions) => {
    // Files held every option, so one with a threshold mode alone is from before there were two margins: it goes on as it
    // was.
    const older = Object.hasOwn(options, "thresholdMode") && !Object.hasOwn(options, "margin");
    const schedule = onPlateau(older ? { ...options, margin: "signed" } : options);
    if (state !== undefined) schedule.restore(state);
    return schedule;
  },
};

/** Deeper than any schedule of use, and well within the stack. */
const maximumDepth = 64;

/**
 * Makes a schedule again from what `JSON.stringify` wrote of it, parsed. A plateau schedule goes on from its state.
 * @throws OptimError `invalid-schedule` for an unknown kind and for all that the factory of the kind refuses.
 */
export function scheduleFromJSON(json: unknown): BuiltinSchedule {
  return read(json, 0);
}

function read(json: unknown, depth: number): BuiltinSchedule {
  if (depth > maximumDepth)
    throw new OptimError("invalid-schedule", "The schedule is nested too deep", {
      expected: `at most ${maximumDepth} levels`,
      got: "more",
      fix: "join nested schedules",
    });
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new OptimError("invalid-schedule", "The JSON of a schedule is not an object", {
      expected: "an object with 'kind' and options",
      got: briefly(json),
      fix: "pass what JSON.parse returns for a schedule written by JSON.stringify",
    });
  const { kind, ...options } = json as { kind?: unknown };
  const make = typeof kind === "string" && Object.hasOwn(factories, kind) ? factories[kind] : undefined;
  if (make === undefined)
    throw new OptimError("invalid-schedule", "The JSON of a schedule is of an unknown kind", {
      expected: `one of ${Object.keys(factories).join(", ")}`,
      got: briefly(kind),
      fix: "correct the kind, or read the file with the version of the library that wrote it",
    });
  return make(options as Unchecked, (inner) => read(inner, depth + 1));
}

function refuseOthers(kind: string, rest: object, known: string): void {
  const name = Object.keys(rest)[0];
  if (name !== undefined)
    throw new OptimError("invalid-schedule", `Schedule '${kind}' has no option '${name}'`, {
      expected: known,
      got: `'${name}'`,
      fix: "correct the spelling or leave it out",
    });
}
