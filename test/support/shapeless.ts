import { type RuleFactory, rules } from "../../src/index.js";

/** Rules that step by gradients alone: Polyak's takes the loss, too. */
export const byGradients: readonly RuleFactory[] = rules.filter(
  ({ row }) => !row.shader.sums.includes("loss"),
);

/** Of these, rules that take tensors of any shape or none; the others have tests of their own. */
export const shapeless: readonly RuleFactory[] = byGradients.filter(({ row }) => !row.whole?.shaped);
