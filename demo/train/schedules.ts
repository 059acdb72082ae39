import { clamped } from "../../src/schedules/clamped.js";
import { constant } from "../../src/schedules/constant.js";
import { cosine, linearCosine, noisyLinearCosine } from "../../src/schedules/cosine.js";
import { cosineRestarts } from "../../src/schedules/cosine-restarts.js";
import { cyclic } from "../../src/schedules/cyclic.js";
import { exponential, inverseTime, naturalExponential } from "../../src/schedules/exponential.js";
import { inverseSquareRoot, noam } from "../../src/schedules/inverse-square-root.js";
import { oneCycle } from "../../src/schedules/one-cycle.js";
import { multistep, piecewiseConstant, step } from "../../src/schedules/piecewise.js";
import { piecewiseInterpolated } from "../../src/schedules/piecewise-interpolated.js";
import { onPlateau } from "../../src/schedules/plateau.js";
import { linear, polynomial } from "../../src/schedules/polynomial.js";
import { random } from "../../src/schedules/random.js";
import { scaled } from "../../src/schedules/scaled.js";
import type { Schedule } from "../../src/schedules/schedule.js";
import { sequential } from "../../src/schedules/sequential.js";
import { warmup } from "../../src/schedules/warmup.js";

/** A schedule, and what some want to know after each epoch: the mean training loss over it. */
type TrainingSchedule = Schedule & { readonly report?: (loss: number) => void };

/** Makes a schedule over the total number of steps. */
type MakeSchedule = (steps: number, seed: number) => TrainingSchedule;

// A twentieth of the steps; a short run has no step to give away at rate 0, so the line starts above it.
const warmUp = (steps: number, then: (rest: number) => Schedule): Schedule => {
  const length = Math.floor(steps / 20);
  return warmup(length, then(steps - length), { start: 1 / (length + 1) });
};

const schedules = {
  "warmup-cosine": (steps) => warmUp(steps, (rest) => cosine({ steps: rest })),
  warmup: (steps) => warmUp(steps, () => constant()),
  constant: () => constant(),
  linear: (steps) => linear({ end: 0.01, steps }),
  step: (steps) => step({ size: Math.ceil(steps / 4), gamma: 0.5 }),
  multistep: (steps) =>
    multistep({ milestones: [Math.ceil(steps / 2), Math.ceil(0.75 * steps)], gamma: 0.3 }),
  "piecewise-constant": (steps) =>
    piecewiseConstant({
      boundaries: [Math.ceil(steps / 2), Math.ceil(0.75 * steps)],
      values: [1, 0.3, 0.1],
    }),
  exponential: (steps) => exponential({ rate: 0.01, steps }),
  "natural-exponential": (steps) => naturalExponential({ rate: 4, steps }),
  "inverse-time": (steps) => inverseTime({ rate: 9, steps }),
  polynomial: (steps) => polynomial({ steps, power: 2 }),
  cosine: (steps) => cosine({ steps }),
  "linear-cosine": (steps) => linearCosine({ steps }),
  // The noise may take the factor below zero, which would ascend.
  "noisy-linear-cosine": (steps, seed) =>
    clamped(noisyLinearCosine({ steps, initialVariance: 0.1, seed }), { min: 0 }),
  "cosine-restarts": (steps) => cosineRestarts({ steps: Math.ceil(steps / 7), lengthFactor: 2 }),
  cyclic: (steps) => cyclic({ start: 0.1, stepsUp: Math.ceil(steps / 8), mode: "triangular2" }),
  "one-cycle": (steps) => oneCycle({ steps }),
  "piecewise-interpolated": (steps) =>
    piecewiseInterpolated({ boundaries: [Math.ceil(steps / 4), steps], values: [0.1, 1, 0.01] }),
  "inverse-square-root": (steps) => inverseSquareRoot({ steps: Math.ceil(steps / 20) }),
  // Scaled so that its highest factor, at the end of the warm-up, is 1.
  noam: (steps) => {
    const length = Math.ceil(steps / 20);
    return scaled(noam({ modelSize: 1, warmup: length }), Math.sqrt(length));
  },
  clamped: (steps) => clamped(cosine({ steps }), { min: 0.1, max: 0.9 }),
  random: (steps, seed) => random({ min: 0.1, max: 1, every: Math.ceil(steps / 50), seed }),
  sequential: (steps) =>
    sequential([constant(), cosine({ steps: Math.ceil(steps / 2) })], [Math.floor(steps / 2)]),
  // Told the mean training loss of each epoch.
  "on-plateau": () => onPlateau({ factor: 0.3, patience: 0, threshold: 0.05 }),
} as const satisfies Readonly<Record<string, MakeSchedule>>;

/** A schedule's name on the command line. */
export type ScheduleName = keyof typeof schedules;

/** All names, the default first. */
export const scheduleNames = Object.keys(schedules) as ScheduleName[];

/** The schedule of a name, with parameters that suit a run of `steps` steps. */
export function scheduleByName(name: ScheduleName, steps: number, seed: number): TrainingSchedule {
  const make: MakeSchedule = schedules[name];
  return make(steps, seed);
}
