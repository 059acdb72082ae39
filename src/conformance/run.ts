import {
  rules as allRules,
  OptimError,
  type Rule,
  type RuleFactory,
  type RuleRow,
  type Schedule,
} from "../index.js";
import { VERSION } from "../version.js";
import { compensationJob, longAverageJob } from "./compensation-cases.js";
import { dialectJobs } from "./dialect-cases.js";
import type { CaseHead, Job, Place } from "./job.js";
import { histogramBounds } from "./judge.js";
import { normJob } from "./norm-cases.js";
import { addHistograms, noOutcome, type Outcome } from "./outcome.js";
import type { AdapterDescription, CaseKind, ConformanceCase, ConformanceReport } from "./report.js";
import { ruleJobs } from "./rule-cases.js";
import { scheduleJobs } from "./schedule-cases.js";
import { namedSchedules } from "./schedule-examples.js";
import { type VectorFile, vectorJobs } from "./vector-cases.js";
import { wholeJobs } from "./whole-cases.js";

/** How far a conformance run is. */
export interface ConformanceProgress {
  /** Cases done, of {@link total}. */
  readonly done: number;
  readonly total: number;
  readonly failed: number;
  /** Those that were done last. */
  readonly cases: readonly ConformanceCase[];
}

/** A rule's factory, whatever options it takes. */
export interface JudgedRule {
  (options?: never): Rule;
  readonly row: RuleRow;
}

/** Options of {@link runConformance}. */
export interface ConformanceOptions {
  /**
   * Rules to judge, with the dialects and vectors that mean them; all of this library, if left out. A rule of the
   * caller's needs a reference: see `defineRule`.
   */
  readonly rules?: readonly JudgedRule[];
  /** Files of recorded runs, in the names of their framework. */
  readonly vectors?: readonly VectorFile[];
  /** Schedules to drive beside one of each built-in kind. */
  readonly schedules?: Readonly<Record<string, Schedule>>;
  /** Kinds of cases to judge, all if left out; what the device says of them is always one. */
  readonly kinds?: readonly CaseKind[];
  readonly onProgress?: (progress: ConformanceProgress) => void;
  /** Ends the run: it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Cases under way at once, so that the GPU computes one while the host judges another. */
const AT_ONCE = 3;
/** Errors of a case that its message quotes. */
const QUOTED = 3;

/**
 * Holds rules, dialects, schedules and recorded runs against the float64 reference on a device. A failed case is part of
 * the report; nothing of it is thrown.
 * @throws OptimError `invalid-argument` for what is no rule, `no-adapter` for a device that computes nothing, `device-lost` when
 * it is, or the reason of `signal`
 */
export async function runConformance(
  device: GPUDevice,
  { rules = allRules, vectors = [], schedules: own, kinds, onProgress, signal }: ConformanceOptions = {},
): Promise<ConformanceReport> {
  for (const rule of rules as readonly unknown[])
    if (typeof rule !== "function" || typeof (rule as Partial<JudgedRule>).row?.name !== "string")
      throw new OptimError("invalid-argument", "A rule to judge is none", {
        expected: "factories, such as adam",
        got: typeof rule === "function" ? "another function" : String(JSON.stringify(rule)).slice(0, 80),
        fix: "pass adam itself, not adam() or its name",
      });
  const begin = performance.now();
  const adapterInfo = await describeAdapter(device);
  const names = new Set(rules.map(({ row }) => row.name));
  // What means no rule at all, such as a file that cannot be read, always counts.
  const isWanted = (rule: string) => rule === "" || names.has(rule);
  const schedules = namedSchedules(own);
  const jobs = distinct([
    // Every option is checked against the row's own specs.
    ...(rules as readonly RuleFactory[]).flatMap((rule) =>
      rule.row.whole ? wholeJobs(rule) : ruleJobs(rule),
    ),
    ...dialectJobs(schedules, isWanted),
    ...scheduleJobs(schedules, isWanted),
    ...vectors.flatMap((file) => vectorJobs(file, isWanted)),
    compensationJob,
    // As long as all cases of a rule or two.
    ...(allRules.every(({ row }) => names.has(row.name)) ? [longAverageJob] : []),
    normJob,
  ]).filter(({ cases }) => !kinds || cases.some(({ kind }) => kinds.includes(kind)));
  // llvmpipe's fused operations go another way by a fraction of an ULP.
  const { architecture, description } = adapterInfo;
  const place: Place = { device, software: /swiftshader/i.test(`${architecture} ${description}`) };
  const total = jobs.reduce((sum, { cases }) => sum + cases.length, 0);
  const results: (readonly ConformanceCase[])[] = [];
  const distribution: Record<string, readonly number[]> = {};
  const gpuErrors: string[] = [];
  let done = 0;
  let failed = 0;
  let next = 0;
  const work = async () => {
    while (next < jobs.length) {
      if (signal?.aborted) {
        next = jobs.length;
        throw signal.reason;
      }
      const index = next++;
      const { cases: heads } = jobs[index]!;
      const outcomes = await outcomesOf(jobs[index]!, place).catch((error: unknown) => {
        next = jobs.length;
        throw error;
      });
      const cases = heads.map((head, i) => caseOf(head, outcomes[i]!));
      results[index] = cases;
      heads.forEach(({ rule }, i) => {
        const { histogram } = outcomes[i]!;
        if (rule && histogram.length > 0)
          distribution[rule] = addHistograms(distribution[rule] ?? [], histogram);
      });
      done += cases.length;
      failed += cases.filter(({ passed }) => !passed).length;
      onProgress?.({ done, total, failed, cases });
    }
  };
  const note = ({ error }: GPUUncapturedErrorEvent) => gpuErrors.push(error.message);
  device.addEventListener("uncapturederror", note);
  try {
    const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, work));
    // One that ends the run has ended the others, and nothing of them is left on the device.
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    // Errors arrive after the work that caused them, by a task of their own.
    await device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => setTimeout(resolve));
  } finally {
    device.removeEventListener("uncapturederror", note);
  }
  const head = { id: "device/uncaptured errors", kind: "device", rule: "" } as const;
  const cases = [...results.flat(), caseOf(head, { ...noOutcome, errors: gpuErrors })];
  const passed = cases.filter((one) => one.passed).length;
  return {
    library: "webgpu-optim",
    version: VERSION,
    adapter: nameOf(adapterInfo),
    adapterInfo,
    browser: globalThis.navigator?.userAgent ?? "none",
    limits: limitsOf(device),
    seconds: (performance.now() - begin) / 1000,
    passed,
    failed: cases.length - passed,
    cases,
    distribution: {
      bounds: histogramBounds,
      rules: Object.fromEntries(
        [...new Set(cases.map(({ rule }) => rule))].flatMap((rule) =>
          distribution[rule] ? [[rule, distribution[rule]]] : [],
        ),
      ),
    },
  };
}

/** Two files may name a case alike; the later is told apart by a number. */
function distinct(jobs: readonly Job[]): Job[] {
  const seen = new Map<string, number>();
  return jobs.map((job) => ({
    ...job,
    cases: job.cases.map((head) => {
      const count = (seen.get(head.id) ?? 0) + 1;
      seen.set(head.id, count);
      return count === 1 ? head : { ...head, id: `${head.id} (${count})` };
    }),
  }));
}

/** What ends a run: a device that is lost, or that computes nothing. */
const FATAL: readonly string[] = ["device-lost", "no-adapter"];

/** What a job came to; one that throws fails all its cases, but for {@link FATAL}. */
async function outcomesOf(job: Job, place: Place): Promise<readonly Outcome[]> {
  try {
    return await job.run(place);
  } catch (error) {
    if (error instanceof OptimError && FATAL.includes(error.code)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    return job.cases.map(() => ({ ...noOutcome, errors: [message] }));
  }
}

function caseOf(head: CaseHead, { histogram: _, errors, ...figures }: Outcome): ConformanceCase {
  if (errors.length === 0) return { ...head, passed: true, ...figures };
  const more = errors.length > QUOTED ? [`and ${errors.length - QUOTED} more`] : [];
  return { ...head, passed: false, ...figures, error: [...errors.slice(0, QUOTED), ...more].join("; ") };
}

const nameOf = ({ vendor, architecture, device, description, software }: AdapterDescription): string =>
  `${[vendor, architecture, device, description].filter(Boolean).join(" ") || "unnamed adapter"} (${software ? "software" : "hardware"})`;

/** What the device's adapter calls itself; older browsers tell it of the default adapter only. */
async function describeAdapter(device: GPUDevice): Promise<AdapterDescription> {
  const info: GPUAdapterInfo | undefined =
    device.adapterInfo ?? (await globalThis.navigator?.gpu?.requestAdapter())?.info;
  const { vendor = "", architecture = "", device: name = "", description = "" } = info ?? {};
  return {
    vendor,
    architecture,
    device: name,
    description,
    software:
      info?.isFallbackAdapter === true ||
      /swiftshader|llvmpipe/i.test(`${architecture} ${name} ${description}`),
  };
}

/** The limits of a device as plain data: they are getters of its prototype. */
function limitsOf({ limits }: GPUDevice): Record<string, number> {
  const names: string[] = [];
  for (const name in limits) names.push(name);
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = limits[name as keyof GPUSupportedLimits];
      return typeof value === "number" ? [[name, value]] : [];
    }),
  );
}
