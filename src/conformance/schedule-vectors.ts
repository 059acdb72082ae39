import { briefly, OptimError } from "../errors.js";
import { scheduleFromFramework } from "../frameworks/schedules/index.js";
import { isPlateauSchedule } from "../schedules/plateau.js";

/** A schedule in a framework's own terms and the rates it gave there. */
export interface ScheduleCase {
  readonly id: string;
  /** As `scheduleFromFramework` names it. */
  readonly framework: string;
  /** The framework's name for the schedule. */
  readonly schedule: string;
  readonly params: object;
  /** The optimizer's rate, where the schedule multiplies it. */
  readonly baseLr?: number;
  readonly steps: readonly number[];
  /** `rates[i]` is that of step `steps[i]`. */
  readonly rates: readonly number[];
  /** `metrics[i]` is reported after step `steps[i]`. */
  readonly metrics?: readonly number[];
}

/** A case that cannot be run, and why; the error names file and case. */
export interface InvalidScheduleCase {
  readonly id: string;
  readonly error: OptimError;
}

/** What came of a case: its worst relative error, and the step it is at. */
export interface ScheduleResult {
  readonly passed: boolean;
  readonly worstError: number;
  readonly at: number;
}

/**
 * Float64 against float64: formulas written differently part by some ulps (2.2e-16 each), and PyTorch's chained forms
 * gather about one a step. 1e-12 leaves room for some thousand of them and for nothing else.
 */
const tolerance = 1e-12;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Reads a file of the format `schedules/1`, parsed. A case that is malformed, or whose parameters the framework does
 * not know, comes back with its error and hides no other.
 * @param file its name, for errors
 * @throws OptimError `invalid-argument` where the file as a whole is not of this format
 */
export function readScheduleVectors(
  content: unknown,
  file: string,
): readonly (ScheduleCase | InvalidScheduleCase)[] {
  const refuse = (expected: string, got: unknown): never => {
    throw new OptimError("invalid-argument", `${file} is no file of schedule vectors`, {
      expected,
      got: briefly(got),
      fix: "pass a whole file of the format schedules/1",
    });
  };
  if (!isObject(content)) return refuse("an object", content);
  const { format, framework, cases } = content;
  if (format !== "schedules/1") return refuse("format 'schedules/1'", format);
  if (typeof framework !== "string") return refuse("the name of a framework", framework);
  if (!Array.isArray(cases) || cases.length === 0) return refuse("a list of cases", cases);
  return cases.map((given: unknown, index) => {
    const id = isObject(given) && typeof given.id === "string" ? given.id : `number ${index}`;
    try {
      return readCase(id, framework, content.schedule, given);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const code = cause instanceof OptimError ? cause.code : "invalid-argument";
      return { id, error: new OptimError(code, `${file}, case ${id}: ${reason}`, {}, { cause }) };
    }
  });
}

function readCase(id: string, framework: string, schedule: unknown, given: unknown): ScheduleCase {
  if (!isObject(given)) throw invalid("an object", given);
  const name = given.schedule ?? schedule;
  const { base_lr: baseLr, metrics, learning_rates: rates } = given;
  if (typeof name !== "string") throw invalid("the name of a schedule", name);
  if (!isObject(given.params)) throw invalid("params, an object", given.params);
  if (!isNumbers(rates) || rates.length === 0)
    throw invalid("learning_rates, a list of finite numbers", rates);
  const steps = given.steps ?? rates.map((_, s) => s);
  if (!isNumbers(steps) || !steps.every((s) => Number.isSafeInteger(s) && s >= 0))
    throw invalid("steps, a list of whole numbers ≥ 0", steps);
  if (steps.length !== rates.length) throw invalid(`${rates.length} steps, one for each rate`, steps);
  if (metrics !== undefined && (!isNumbers(metrics) || metrics.length !== rates.length))
    throw invalid(`${rates.length} metrics, finite numbers`, metrics);
  if (baseLr !== undefined && typeof baseLr !== "number") throw invalid("base_lr, a number", baseLr);
  const read: ScheduleCase = {
    id,
    framework,
    schedule: name,
    params: name === "SequentialLR" ? asSequence(given.params) : given.params,
    ...(baseLr !== undefined && { baseLr }),
    steps,
    rates,
    ...(metrics && { metrics }),
  };
  if (isPlateauSchedule(importCase(read).schedule) !== (metrics !== undefined))
    throw invalid("metrics for a schedule that follows a metric, and only for that", metrics);
  return read;
}

/** These files write a warm-up and an exponential decay in short. */
function asSequence(params: Record<string, unknown>): object {
  const { warmup, then, milestone, ...others } = params;
  if (!isObject(warmup) || !isObject(then)) return params;
  return {
    schedulers: [
      { ...warmup, type: "LinearLR" },
      { ...then, type: "ExponentialLR" },
    ],
    milestones: [milestone],
    ...others,
  };
}

const importCase = ({ framework, schedule, params, baseLr }: ScheduleCase) =>
  scheduleFromFramework(framework, schedule, params, baseLr);

/** Runs a case from its first step to its last, and compares each rate with the framework's. */
export function checkScheduleCase(given: ScheduleCase): ScheduleResult {
  const { lr, schedule } = importCase(given);
  let worst = { worstError: 0, at: given.steps[0] ?? 0 };
  given.steps.forEach((s, i) => {
    const expected = given.rates[i]!;
    const difference = Math.abs(lr * schedule(s) - expected);
    const error = difference === 0 ? 0 : difference / Math.abs(expected);
    // NaN is an error like no other, so it is not lost in a comparison.
    if (!(error <= worst.worstError)) worst = { worstError: Number.isNaN(error) ? Infinity : error, at: s };
    if (isPlateauSchedule(schedule)) schedule.report(given.metrics![i]!);
  });
  return { passed: worst.worstError <= tolerance, ...worst };
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(Number.isFinite);
}

const invalid = (expected: string, got: unknown) =>
  new OptimError("invalid-argument", "The case is not valid", {
    expected,
    got: briefly(got),
    fix: "correct the case",
  });
