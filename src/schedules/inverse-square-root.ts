import { checkOptions, count } from "./arguments.js";
import { type BuiltinSchedule, builtinSchedule } from "./schedule.js";

/** Options of {@link inverseSquareRoot}. */
export interface InverseSquareRootOptions {
  /** Steps N before the decay, at the full rate. */
  readonly steps: number;
}

/** Options of {@link noam}. */
export interface NoamOptions {
  /** Width of the model, d_model. */
  readonly modelSize: number;
  /** Warm-up steps. */
  readonly warmup: number;
}

/**
 * 1/√(max(s, N)/N): the full rate for N steps, then a fall with the root of the step (Raffel et al. 2020, sec. 3.1.2,
 * scaled to 1). With a rise before it: `warmup(N, inverseSquareRoot({ steps: N }), { count: "including" })`.
 * @throws OptimError `invalid-schedule`
 */
export function inverseSquareRoot(options: InverseSquareRootOptions): BuiltinSchedule {
  const checked = checkOptions("inverseSquareRoot", options, { steps: count() });
  const { steps } = checked;
  return builtinSchedule({ kind: "inverseSquareRoot", ...checked }, (s) =>
    s <= steps ? 1 : Math.sqrt(steps / s),
  );
}

/**
 * d^−½ · min(n^−½, n·w^−3/2) with n = s + 1, since the paper counts steps from 1 (Vaswani et al. 2017, eq. 3). It is
 * the rate itself, so the base rate is 1, or a factor on the paper's.
 * @throws OptimError `invalid-schedule`
 */
export function noam(options: NoamOptions): BuiltinSchedule {
  const checked = checkOptions("noam", options, { modelSize: count(), warmup: count() });
  const { modelSize, warmup } = checked;
  return builtinSchedule(
    { kind: "noam", ...checked },
    (s) => Math.min((s + 1) ** -0.5, (s + 1) * warmup ** -1.5) / Math.sqrt(modelSize),
  );
}
