import {
  histogramBounds,
  judgeSteps,
  judgeTrajectory,
  type StepFigures,
  stepBound,
  trajectoryBound,
} from "./judge.js";
import type { ConformanceCase } from "./report.js";
import type { RegimeRun } from "./run-rule.js";

/** What a case came to, as the report has it. */
export type Outcome = Pick<
  ConformanceCase,
  "worstUlp" | "worstError" | "worstUpdateError" | "quantities" | "at"
> & {
  /** Values by their error, in the bins of `histogramBounds`. */
  readonly histogram: readonly number[];
  /** What is above a bound. */
  readonly errors: readonly string[];
};

/** The outcome of a case that compared nothing. */
export const noOutcome: Outcome = {
  worstUlp: 0,
  worstError: 0,
  worstUpdateError: 0,
  quantities: {},
  at: "",
  histogram: [],
  errors: [],
};

/** Two histograms as one. */
export const addHistograms = (a: readonly number[], b: readonly number[]): number[] =>
  Array.from({ length: histogramBounds.length + 1 }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0));

/** The worse of each figure. */
export function worse(a: Outcome, b: Outcome): Outcome {
  const quantities: Record<string, StepFigures> = { ...a.quantities };
  for (const [name, figures] of Object.entries(b.quantities)) {
    const other = quantities[name];
    quantities[name] = {
      worstUlp: Math.max(figures.worstUlp, other?.worstUlp ?? 0),
      worstUpdateError: Math.max(figures.worstUpdateError, other?.worstUpdateError ?? 0),
    };
  }
  return {
    worstUlp: Math.max(a.worstUlp, b.worstUlp),
    worstError: Math.max(a.worstError, b.worstError),
    worstUpdateError: Math.max(a.worstUpdateError, b.worstUpdateError),
    quantities,
    at: b.worstUlp > a.worstUlp ? b.at : a.at || b.at,
    histogram: addHistograms(a.histogram, b.histogram),
    errors: [...a.errors, ...b.errors],
  };
}

/** Judges the parts of a run: every step by itself and, where that says something, the run as a whole. */
export function judgeRuns(runs: readonly RegimeRun[], software: boolean): Outcome {
  return runs
    .map(({ name, stepwise, free, run }): Outcome => {
      const steps = judgeSteps(run, stepBound(software), () => stepwise);
      const whole = free ? judgeTrajectory(run, trajectoryBound) : undefined;
      return {
        worstUlp: steps.worstUlp,
        worstError: whole?.worstError ?? 0,
        worstUpdateError: steps.quantities.θ?.worstUpdateError ?? 0,
        quantities: steps.quantities,
        at: steps.at && `${name}: ${steps.at}`,
        histogram: steps.histogram,
        errors: [...steps.errors, ...(whole?.errors.map((error) => `free-running ${error}`) ?? [])].map(
          (error) => `${name}: ${error}`,
        ),
      };
    })
    .reduce(worse, noOutcome);
}
