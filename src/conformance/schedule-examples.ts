import { type Schedule, scheduleFromJSON } from "../index.js";

/** One schedule of each kind, with all that happens in it within some thirty steps; see `scheduleFromJSON`. */
export const scheduleExamples: readonly Readonly<Record<string, unknown>>[] = [
  { kind: "constant", factor: 0.5 },
  { kind: "linear", start: 0.1, end: 1, steps: 12 },
  { kind: "step", size: 7, gamma: 0.5 },
  { kind: "multistep", milestones: [5, 20, 20, 30], gamma: 0.1 },
  { kind: "piecewiseConstant", boundaries: [6, 18], values: [1, 0.3, 0.05] },
  { kind: "exponential", rate: 0.5, steps: 8 },
  { kind: "naturalExponential", rate: 0.1 },
  { kind: "inverseTime", rate: 0.4, steps: 5, staircase: true },
  { kind: "polynomial", steps: 15, end: 0.01, power: 2, cycle: true },
  { kind: "cosine", steps: 25, alpha: 0.05 },
  { kind: "linearCosine", steps: 25 },
  // Noise that goes below 0 now and then, where the rate is held.
  { kind: "noisyLinearCosine", steps: 25, seed: 7 },
  { kind: "cosineRestarts", steps: 6, lengthFactor: 2, peakFactor: 0.8, alpha: 0.05 },
  { kind: "oneCycle", steps: 32, threePhase: true },
  { kind: "noam", modelSize: 16, warmup: 8 },
  { kind: "inverseSquareRoot", steps: 5 },
  { kind: "piecewiseInterpolated", boundaries: [8, 20], values: [0.1, 1, 0.2] },
  { kind: "random", min: 0.2, max: 0.8, every: 4, seed: 3 },
  {
    kind: "cyclic",
    start: 0.1,
    stepsUp: 5,
    stepsDown: 4,
    mode: "triangular2",
  },
  { kind: "multiplicative", factor: { kind: "constant", factor: 0.9 } },
  { kind: "scaled", schedule: { kind: "exponential", rate: 0.9 }, factor: 0.5 },
  { kind: "every", steps: 6, schedule: { kind: "exponential", rate: 0.7 } },
  { kind: "shifted", schedule: { kind: "cosine", steps: 40 }, steps: 5 },
  {
    kind: "chained",
    schedules: [
      { kind: "exponential", rate: 0.95 },
      { kind: "step", size: 9, gamma: 0.5 },
    ],
  },
  {
    kind: "clamped",
    schedule: { kind: "exponential", rate: 0.5, steps: 4 },
    min: 0.1,
    max: 0.8,
  },
  // Not from 0: FTRL divides by the rate.
  { kind: "warmup", steps: 6, schedule: { kind: "cosine", steps: 20 }, start: 0.1, count: "after" },
  {
    kind: "sequential",
    schedules: [
      { kind: "constant", factor: 0.1 },
      { kind: "exponential", rate: 0.9 },
    ],
    milestones: [5],
  },
  { kind: "onPlateau", factor: 0.5, patience: 3, cooldown: 2 },
];

/** Whether a schedule follows a metric, as `onPlateau` does. */
const reports = (schedule: Schedule): schedule is Schedule & { report(metric: number): void } =>
  "report" in schedule && typeof schedule.report === "function";

/** Tells a schedule that follows a metric that it does not improve; others are left alone. */
export function reportPlateau(schedule: Schedule): void {
  if (reports(schedule)) schedule.report(1);
}

/** A schedule by its kind, made anew each time. */
export interface NamedSchedule {
  readonly name: string;
  readonly make: () => Schedule;
}

/** The examples and the caller's own schedules. */
export const namedSchedules = (own: Readonly<Record<string, Schedule>> = {}): NamedSchedule[] => [
  ...scheduleExamples.map((json) => ({ name: String(json.kind), make: () => scheduleFromJSON(json) })),
  ...Object.entries(own).map(([name, schedule]) => ({ name, make: () => schedule })),
];
