// What guards, telemetry and SAM are asked for, checked.
import { briefly, OptimError } from "../../errors.js";
import { isCautious } from "../../rule.js";
import type { TelemetryOptions } from "../guards/reports.js";
import { STRIP } from "../memory/spans.js";
import { checkNames } from "./check-names.js";
import { checkGuards, UNLIMITED } from "./guard-options.js";
import {
  type CheckedGroup,
  type CheckedOptions,
  type OptimizerOptions,
  requireAtMost,
  type SamOptions,
} from "./optimizer-options.js";

/** @throws OptimError `invalid-argument` */
export function checkGuarding(
  options: Pick<OptimizerOptions, "guards" | "telemetry" | "sam">,
  groups: readonly CheckedGroup[],
): Pick<CheckedOptions, "guards" | "telemetry" | "sam"> {
  const { guards = { nonFinite: "keep", skipsInFlight: 1 }, telemetry, sam } = options;
  if (sam !== undefined) refuseLookahead(groups);
  return {
    guards: checkGuards(guards),
    telemetry: telemetry === undefined ? undefined : checkTelemetry(telemetry),
    sam: sam === undefined ? undefined : checkSam(sam),
  };
}

function checkSam(options: SamOptions): number {
  checkNames("sam", options, ["rho"]);
  const { rho = 0.05 } = options;
  if (rho >= 0 && Number.isFinite(Math.fround(rho))) return rho;
  throw new OptimError("invalid-argument", "'sam.rho' is out of range", {
    expected: "a finite number of at least 0",
    got: briefly(rho),
    fix: "pass a radius such as 0.05",
  });
}

/** A rule that looks ahead has moved the parameters already. */
export function refuseLookahead(groups: readonly CheckedGroup[]): void {
  for (const { rule } of groups)
    if (rule.row.shader.lookahead)
      throw new OptimError("invalid-argument", `SAM does not go around ${rule.row.name}`, {
        expected: "a rule that takes its gradient at the parameters",
        got: "a look-ahead rule",
        fix: "use nesterov() instead of nesterovLookahead()",
      });
}

function checkTelemetry(options: TelemetryOptions): TelemetryOptions {
  checkNames("telemetry", options, ["onReport", "every", "perTensor"]);
  const { onReport, every = 1, perTensor = false } = options;
  if (
    (onReport === undefined || typeof onReport === "function") &&
    Number.isSafeInteger(every) &&
    every >= 1 &&
    typeof perTensor === "boolean"
  )
    return options;
  throw new OptimError("invalid-argument", "The telemetry options are ill-typed", {
    expected: "onReport a function, every a whole number of at least 1, perTensor true or false",
    got: `onReport ${typeof onReport}, every ${briefly(every)}, perTensor ${briefly(perTensor)}`,
    fix: "correct them, or leave them out",
  });
}

/** Storage buffers that a guarded step binds beside its own: values by tensor, and partial sums. */
export const extraBuffers = (
  groups: readonly CheckedGroup[],
  { guards, telemetry }: Pick<CheckedOptions, "guards" | "telemetry">,
): number => {
  const sums = groups.some(({ rule }) => rule.row.shader.sums.length > 0 || isCautious(rule.options));
  return (
    Number(sums || (guards !== undefined && guards.clipNorm < UNLIMITED)) +
    Number(sums || telemetry !== undefined)
  );
};

/** @param blocks bytes of the scalars of all steps in flight */
export function checkGuardLimits(
  { maxBufferSize, maxStorageBufferBindingSize }: GPUSupportedLimits,
  { label, groups, stepsInFlight, guards }: CheckedOptions,
  blocks: number,
): void {
  if (!guards) return;
  const rows = blocks * (guards.skipsInFlight + 1);
  const fix = "lower stepsInFlight or guards.skipsInFlight";
  requireAtMost(label, "bytes of scalars", "maxBufferSize", maxBufferSize, rows, fix);
  // Those of a step are bound at once, as are partial sums: 16 bytes for each 256 of a tensor, and for what is not aligned.
  const bound = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  const limit = bound === maxBufferSize ? "maxBufferSize" : "maxStorageBufferBindingSize";
  requireAtMost(label, "bytes of scalars", limit, bound, rows / stepsInFlight, fix);
  const strips = groups
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, { size }) => sum + Math.ceil(size / STRIP) + 3, 0);
  const larger = "request a larger limit from the adapter";
  requireAtMost(label, "bytes of partial sums", limit, bound, 16 * strips, larger);
}
