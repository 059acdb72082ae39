import { judgeSteps, judgeTrajectory, type Run } from "../../src/conformance/judge.js";

export { keptBy as statesOf, stepBound } from "../../src/conformance/judge.js";

/** Every step by itself, from the GPU's own values before it: where it is off by more than `bound` ULP. */
export const stepErrors = (run: Run, bound: number, judged?: (i: number) => boolean): readonly string[] =>
  judgeSteps(run, bound, judged).errors;

/** The free run against the reference's own: where a parameter is off by more than `bound`·(1 + largest |θ| so far). */
export const trajectoryErrors = (run: Run, bound: number): readonly string[] =>
  judgeTrajectory(run, bound).errors;

/** The bits of f32 values, to be compared exactly. */
export const bits = (values: Float32Array) =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);
