import { type RuleFactory, rules } from "../../src/index.js";

/** Rules that take tensors of any shape or none; the others have tests of their own. */
export const shapeless: readonly RuleFactory[] = rules.filter(({ row }) => !row.whole?.shaped);
