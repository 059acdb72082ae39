import accumulateShader from "../../shaders/engine/accumulate.wgsl?engine";
import { overLanes } from "../kernels/compose.js";
import { GRADIENT, type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { ACCUMULATOR, type GroupMemory } from "../memory/group-memory.js";

/** Adds the gradients of a group to its accumulators. */
export const accumulationPass = (context: PlanContext, group: GroupMemory): TensorPass =>
  new TensorPass(
    context,
    {
      name: "accumulate",
      lead: group.range(ACCUMULATOR),
      streams: [written(group.range(ACCUMULATOR)), GRADIENT],
    },
    "engine/accumulate.wgsl",
    (width) => overLanes(width) + accumulateShader.code,
  );
