import type { Rule } from "../index.js";
import { referenceState, referenceStep } from "../reference/step.js";
import { finite, trajectoryBound } from "./judge.js";
import { normals } from "./numbers.js";
import { ELEMENTS, regimes, STEPS } from "./regimes.js";

/** A run for any optimizer: a start, and gradients that do not depend on the point. */
export interface SubjectRun {
  readonly initial: Float32Array;
  readonly gradients: readonly Float32Array[];
}

/** An optimizer of another library, and what it is meant to be. */
export interface SubjectOptimizer {
  /** Its name and hyperparameters, as the library spells them. */
  readonly name: string;
  readonly config: Readonly<Record<string, number | boolean>>;
  /** The rule as its paper has it, with these hyperparameters. */
  readonly paper: Rule;
  /** The rule in the form that the library means to have: with its ε at its own place, for example. */
  readonly dialect: Rule;
  /** Parameters after each step of a run from fresh state. */
  readonly run: (run: SubjectRun) => Promise<readonly Float32Array[]>;
}

/** Another library under the same judge. */
export interface Subject {
  readonly name: string;
  readonly version: string;
  /** What computes, such as `webgpu`. */
  readonly backend: string;
  readonly optimizers: readonly SubjectOptimizer[];
}

/** One optimizer against one form of its rule. */
export interface SubjectCase {
  readonly optimizer: string;
  readonly config: Readonly<Record<string, number | boolean>>;
  readonly against: "paper" | "dialect";
  /** Name and formula of that rule. */
  readonly rule: string;
  readonly formula: string;
  /** Whether every parameter stays within 2e-6 of 1 + its largest magnitude so far. */
  readonly agrees: boolean;
  /** Worst error by that measure; the largest number there is where a parameter is not finite. */
  readonly worstError: number;
  /** The first step, from 1, after which it does not agree. */
  readonly partsAt?: number;
  /** Where the worst is. */
  readonly at: string;
}

/** Where a library agrees with papers and with its own dialect, and where it does not. */
export interface SubjectReport {
  readonly library: string;
  readonly version: string;
  readonly backend: string;
  readonly cases: readonly SubjectCase[];
}

/** What gradients of the regimes are judged by: those under which any correct f32 implementation agrees. */
const runs = (): { name: string; run: SubjectRun }[] =>
  regimes
    .filter(({ free, edge }) => free && !edge)
    .map(({ name, gradients }, index) => ({
      name,
      run: {
        initial: normals(40 + index, ELEMENTS),
        gradients: Array.from({ length: STEPS }, (_, step) => gradients(step + 1)),
      },
    }));

/** Holds every optimizer of a library against the float64 reference of its paper and of its dialect. */
export async function judgeSubject(
  { name: library, version, backend, optimizers }: Subject,
  onProgress?: (done: number, total: number, optimizer: string) => void,
): Promise<SubjectReport> {
  const cases: SubjectCase[] = [];
  for (const [index, { name, config, paper, dialect, run }] of optimizers.entries()) {
    const results: { regime: string; given: SubjectRun; after: readonly Float32Array[] }[] = [];
    for (const { name: regime, run: given } of runs())
      results.push({ regime, given, after: await run(given) });
    for (const [against, rule] of [
      ["paper", paper],
      ["dialect", dialect],
    ] as const) {
      const judged = results.map(({ regime, given, after }) => compare(rule, regime, given, after));
      const worst = judged.reduce((most, one) => (one.worstError > most.worstError ? one : most));
      const parts = judged.flatMap(({ partsAt }) => (partsAt === undefined ? [] : [partsAt]));
      cases.push({
        optimizer: name,
        config,
        against,
        rule: rule.row.name,
        formula: rule.row.formula,
        agrees: parts.length === 0,
        worstError: worst.worstError,
        ...(parts.length > 0 && { partsAt: Math.min(...parts) }),
        at: worst.at,
      });
    }
    onProgress?.(index + 1, optimizers.length, name);
  }
  return { library, version, backend, cases };
}

/** A run against the rule in float64 from the same start. */
function compare(
  { row, options }: Rule,
  regime: string,
  { initial, gradients }: SubjectRun,
  after: readonly Float32Array[],
): { worstError: number; partsAt: number | undefined; at: string } {
  let parameters: Float64Array = Float64Array.from(initial);
  let state = referenceState(row, options, parameters);
  const largest = parameters.map(Math.abs);
  let worstError = 0;
  let partsAt: number | undefined;
  let at = "";
  gradients.forEach((values, index) => {
    const t = index + 1;
    const step = { t, lr: options.lr };
    ({ parameters, state } = referenceStep(row, options, step, parameters, Float64Array.from(values), state));
    parameters.forEach((expected, i) => {
      largest[i] = Math.max(largest[i]!, Math.abs(expected));
      const got = after[index]?.[i] ?? Number.NaN;
      const error = finite(Math.abs(got - expected) / (1 + largest[i]!));
      if (error > worstError) {
        worstError = error;
        at = `${regime}: θ[${i}] after step ${t}: ${got}, expected ${expected}`;
      }
      if (error > trajectoryBound) partsAt ??= t;
    });
  });
  return { worstError, partsAt, at };
}
