import { type RuleFactory, rules } from "../../src/index.js";

/** Rules that step by gradients alone, however noisy: Polyak's takes the loss, too, and L-BFGS goes by differences. */
export const byGradients: readonly RuleFactory[] = rules.filter(
  ({ row: { shader, scope, whole } }) => !shader.sums.includes("loss") && !(whole && scope === "all"),
);

/** Of these, rules that take tensors of any shape or none; the others have tests of their own. */
export const shapeless: readonly RuleFactory[] = byGradients.filter(({ row }) => !row.whole?.shaped);
