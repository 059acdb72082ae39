import { OptimError } from "../../errors.js";
import type { CheckedOptions } from "../options/optimizer-options.js";
import { checkWhole } from "../whole/check.js";
import { unitwisePlan } from "./guard.js";

/** @throws OptimError `invalid-argument` for guards out of range, without guards, or for tensors without a shape; `limit-exceeded` */
export function checkUnitwise(limits: GPUSupportedLimits, checked: CheckedOptions): void {
  const { label, defaults, guards } = checked;
  const groups = checked.groups.flatMap(({ guards, tensors }) => {
    const plan = unitwisePlan(defaults.guards, guards);
    return plan ? [{ rule: plan.rule, tensors }] : [];
  });
  if (groups.length > 0 && !guards)
    throw new OptimError("invalid-argument", `'${label}' was created without guards`, {
      expected: "guards or telemetry at creation, where a group has guards of its own",
      got: "none",
      fix: 'pass guards: { nonFinite: "keep" } to createOptimizer',
    });
  for (const { rule, tensors } of groups)
    for (const { name, shaped } of tensors)
      if (!shaped)
        throw new OptimError("invalid-argument", `${rule.row.name} cannot take '${name}'`, {
          expected: "a shape",
          got: "none",
          fix: "pass shape: [outputs, inputs], or [length] for a vector",
        });
  checkWhole(limits, { label, groups });
}
