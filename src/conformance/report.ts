import type { StepFigures } from "./judge.js";

/** What a case is about: a rule and its options, a framework's name for it, a schedule, a file of vectors. */
export type CaseKind = "rule" | "dialect" | "schedule" | "vector" | "device";

/** One judged case. */
export interface ConformanceCase {
  /** Unique in the report, such as `rule/adam/eps=1e-7`. */
  readonly id: string;
  readonly kind: CaseKind;
  /** Name of the rule's row; of a case that could not be read, empty. */
  readonly rule: string;
  /** Framework whose names the case is in. */
  readonly dialect?: string;
  /** Kind of the schedule that drives the rate. */
  readonly schedule?: string;
  readonly passed: boolean;
  /** Worst error of a single step in ULP of the largest summand, over parameters and states. */
  readonly worstUlp: number;
  /** Worst error of a parameter of the free run over 1 + its largest magnitude so far. */
  readonly worstError: number;
  /** Worst error of the parameters in a single step, beyond the rounding of what is stored, over the largest update. */
  readonly worstUpdateError: number;
  /** The figures of single steps apart: of the parameters, `θ`, and of each state. */
  readonly quantities: Readonly<Record<string, StepFigures>>;
  /** Where the worst is. */
  readonly at: string;
  /** Why the case failed. */
  readonly error?: string;
}

/** The adapter that ran, as it describes itself. */
export interface AdapterDescription {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  /** Whether it computes on the CPU. */
  readonly software: boolean;
}

/** How errors of single steps are distributed. */
export interface ErrorDistribution {
  /** Upper ends of the bins in ULP; one more bin is open. */
  readonly bounds: readonly number[];
  /** Values in each bin, by rule. */
  readonly rules: Readonly<Record<string, readonly number[]>>;
}

/** All that a conformance run found, as plain data. A figure that is not finite is the largest number there is. */
export interface ConformanceReport {
  readonly library: "webgpu-optim";
  readonly version: string;
  /** What the adapter calls itself, and `(software)` or `(hardware)`. */
  readonly adapter: string;
  readonly adapterInfo: AdapterDescription;
  /** The browser's user agent. */
  readonly browser: string;
  /** Limits of the device. */
  readonly limits: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly passed: number;
  readonly failed: number;
  readonly cases: readonly ConformanceCase[];
  readonly distribution: ErrorDistribution;
}

/** What a case is listed under: its rule, or what it is about where there is none. */
export const groupOf = ({
  rule,
  schedule,
  kind,
}: Pick<ConformanceCase, "rule" | "schedule" | "kind">): string =>
  rule || (schedule === undefined ? `(${kind})` : "(schedules)");

/** The cases of one group in a line. */
export interface ConformanceSummary {
  readonly rule: string;
  readonly cases: number;
  readonly failed: number;
  readonly worstUlp: number;
  readonly worstError: number;
  readonly worstUpdateError: number;
}

/** One line a group ({@link groupOf}), in the order of the report. */
export function summarize(cases: readonly ConformanceCase[]): ConformanceSummary[] {
  const lines = new Map<string, ConformanceSummary>();
  for (const one of cases) {
    const { passed, worstUlp, worstError, worstUpdateError } = one;
    const name = groupOf(one);
    const line = lines.get(name);
    lines.set(name, {
      rule: name,
      cases: (line?.cases ?? 0) + 1,
      failed: (line?.failed ?? 0) + (passed ? 0 : 1),
      worstUlp: Math.max(line?.worstUlp ?? 0, worstUlp),
      worstError: Math.max(line?.worstError ?? 0, worstError),
      worstUpdateError: Math.max(line?.worstUpdateError ?? 0, worstUpdateError),
    });
  }
  return [...lines.values()];
}
