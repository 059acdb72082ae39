import { isCautious, type RuleRow } from "../rule.js";
import type { OptimizerOptions } from "./options/optimizer-options.js";

/** Why parts of the engine are needed. */
export interface Needs {
  readonly rows: readonly RuleRow[];
  readonly guards: boolean;
  readonly cautious: boolean;
  readonly copies: boolean;
  readonly accumulation: boolean;
  readonly compensation: boolean;
  readonly unitwise: boolean;
}

const asksByUnit = (guards: OptimizerOptions["guards"]) =>
  guards?.adaptiveClip !== undefined || guards?.centralize !== undefined;

/** What unchecked options need. */
export function needsOf(options: OptimizerOptions): Needs {
  const { rule, groups, guards, telemetry, sam, average, slowWeights, accumulation } = options ?? {};
  const given = Array.isArray(groups) ? groups : [];
  const rules = [rule, ...given.map((group) => group?.rule)];
  const unitwise = given.some((group) => group?.guards !== undefined) || asksByUnit(guards);
  const rows = rules.flatMap((rule) => (rule?.row?.shader ? [rule.row] : []));
  return {
    rows,
    cautious: [...rules.map((rule) => rule?.options), ...given].some(isCautious),
    guards: unitwise || [guards, telemetry, sam].some((option) => option !== undefined),
    copies: [average, slowWeights].some((option) => option !== undefined),
    accumulation: accumulation === true,
    compensation: [options, ...given].some((part) => part?.compensated),
    unitwise,
  };
}

/** The parts of the engine that not every run needs, where this one does. */
export async function loadParts(needs: Needs) {
  const { rows, guards, cautious, copies, accumulation, compensation: compensated, unitwise: byUnit } = needs;
  const some = (part: (row: RuleRow) => unknown) => rows.some((row) => Boolean(part(row)));
  const [guard, copying, accumulating, lookahead, curvature, compensation, caution, whole, unitwise, loss] =
    await Promise.all([
      guards || cautious || some(({ shader }) => shader.sums.length)
        ? import("./guards/index.js")
        : undefined,
      copies || some((row) => row.startsAtParameter ?? row.evaluate)
        ? import("./passes/copies.js")
        : undefined,
      accumulation ? import("./passes/accumulation.js") : undefined,
      some(({ shader }) => shader.lookahead) ? import("./passes/lookahead.js") : undefined,
      some(({ shader }) => shader.curvature) ? import("./passes/curvature.js") : undefined,
      compensated ? import("./passes/compensation.js") : undefined,
      cautious ? import("./passes/caution.js") : undefined,
      some((row) => row.whole) ? import("./whole/index.js") : undefined,
      byUnit ? import("./unitwise/index.js") : undefined,
      some(({ shader }) => shader.sums.includes("loss")) ? import("./passes/loss.js") : undefined,
    ]);
  return { guard, copying, accumulating, lookahead, curvature, compensation, caution, whole, unitwise, loss };
}

/** What was loaded. */
export type Parts = Awaited<ReturnType<typeof loadParts>>;
