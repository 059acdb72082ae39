import { composeLookahead } from "../kernels/compose.js";
import { type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { type GroupMemory, ORIGIN } from "../memory/group-memory.js";

/** Keeps the parameters of a group and moves them to the point where the gradient is taken. */
export function lookaheadPass(context: PlanContext, group: GroupMemory): TensorPass {
  const { row, options } = group.rule;
  const pass = new TensorPass(
    context,
    {
      name: "lookahead",
      lead: ({ param }) => param,
      streams: [
        written(({ param }) => param),
        ...[...row.shader.states, ORIGIN].map((name) => written(group.range(name))),
      ],
    },
    row.shader.file,
    (width) => composeLookahead(row.shader, width),
    row.constants?.(options),
  );
  pass.plan(group.active);
  return pass;
}
