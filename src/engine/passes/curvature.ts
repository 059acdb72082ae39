import { composeCurvature } from "../kernels/compose.js";
import type { PlanContext } from "../kernels/plan.js";
import { stepStreams } from "../kernels/step.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import type { GroupMemory } from "../memory/group-memory.js";

/** Hands the rule of a group what stands in the place of the gradients. */
export const curvaturePass = (context: PlanContext, group: GroupMemory): TensorPass => {
  const { row, options } = group.rule;
  return new TensorPass(
    context,
    { name: "curvature", lead: ({ param }) => param, streams: stepStreams(group) },
    row.shader.file,
    (width) => composeCurvature(row.shader, width, group.fromOrigin),
    row.constants?.(options),
  );
};
