import { OptimError } from "../../errors.js";
import { elements, keptOf } from "../../whole-tensor.js";
import type { CheckedGroup } from "../options/optimizer-options.js";
import { requireAtMost } from "../options/optimizer-options.js";
import { layOut } from "./layout.js";

/** @throws OptimError `invalid-argument` for shapes that a rule cannot take, `limit-exceeded` */
export function checkWhole(
  limits: GPUSupportedLimits,
  {
    label,
    groups,
  }: { readonly label: string; readonly groups: readonly Pick<CheckedGroup, "rule" | "tensors">[] },
): void {
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = limits;
  const bound = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  for (const [index, { rule, tensors }] of groups.entries()) {
    const { row, options } = rule;
    const { whole } = row;
    if (!whole) continue;
    if (whole.shared && groups.slice(0, index).some((other) => other.rule.row === row))
      throw new OptimError("invalid-argument", `${row.name} goes over all tensors of one group`, {
        expected: `one group of '${label}' with this rule`,
        got: "two",
        fix: "put its tensors into one group",
      });
    const most = maxStorageBuffersPerShaderStage;
    const fix = "request a larger limit from the adapter";
    requireAtMost(
      label,
      "storage buffers",
      "maxStorageBuffersPerShaderStage",
      most,
      5 + Number(whole.parameters ?? 0),
      fix,
    );
    let kept = 0;
    for (const { name, shape, shaped, size } of tensors) {
      if (whole.shaped && !shaped)
        throw wrong(
          row.name,
          name,
          "a shape",
          "none",
          "pass shape: [rows, columns], or [length] for a vector",
        );
      const expected =
        shape.includes(0) && whole.shaped ? "no dimension of 0" : whole.refuse?.(shape, options);
      if (expected)
        throw wrong(
          row.name,
          name,
          expected,
          `[${shape.join(", ")}]`,
          "put it into a group with another rule, as partition() does",
        );
      if (size === 0) continue;
      kept += Object.values(keptOf(row, shape, options)).reduce((sum, own) => sum + 4 * elements(own), 0);
      const { keptBytes, scratchBytes } = layOut(whole, { shape, name }, options);
      for (const bytes of [size, keptBytes, scratchBytes])
        requireAtMost(label, `bytes for '${name}' at once`, "maxStorageBufferBindingSize", bound, bytes, fix);
    }
    const limit = whole.limit?.(options) ?? Infinity;
    if (kept > limit)
      throw new OptimError(
        "limit-exceeded",
        `${row.name} would keep too much beside the parameters of '${label}'`,
        {
          expected: `at most ${limit} bytes`,
          got: `${kept} bytes`,
          fix: "lower the size of its blocks or its history, or raise its limit",
        },
      );
  }
}

const wrong = (rule: string, tensor: string, expected: string, got: string, fix: string) =>
  new OptimError("invalid-argument", `${rule} cannot take '${tensor}'`, { expected, got, fix });
