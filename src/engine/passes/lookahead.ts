import { OptimError } from "../../errors.js";
import type { RuleShader } from "../../rule.js";
import type { Engine } from "../engine.js";
import { declareState, laneEntry, loadStates, overLanes, storage } from "../kernels/compose.js";
import { type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { type GroupMemory, ORIGIN } from "../memory/group-memory.js";
import type { Form } from "../memory/spans.js";
import { encodePasses } from "../verbs.js";

/** The look-ahead: keeps θ as the origin and writes the point at which the gradient is to be taken. */
export function composeLookahead(shader: RuleShader, width: Form): string {
  const others = [...shader.states.map((name) => `state_${name}`), "origin"];
  return `${shader.code}
${overLanes(width)}${storage(1, "read_write", "parameters")}${others.map((name, index) => storage(2 + index, "read_write", name)).join("")}${laneEntry(`
  let engine_parameter = engine_widen(engine_parameters[engine_i]);${declareState(shader)}${loadStates(shader)}
  engine_origin[engine_i] = engine_narrow(engine_parameter);
  engine_parameters[engine_i] = engine_narrow(lookahead(engine_parameter${shader.states.length > 0 ? ", engine_state" : ""}));`)}`;
}

/** Keeps the parameters of a group and moves them to the point where the gradient is taken. */
export function lookaheadPass(context: PlanContext, group: GroupMemory): TensorPass {
  const { row, options } = group.rule;
  return new TensorPass(
    context,
    {
      name: "lookahead",
      all: group.sorted,
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
}

/** The move to where the gradient is taken. */
export function encodeLookahead(engine: Engine, encoder: GPUCommandEncoder): () => void {
  engine.requireOwnParameters();
  if (engine.lookedAhead)
    throw new OptimError("lookahead-order", `'${engine.label}' is at the look-ahead point already`, {
      expected: "a step, or restore(), after each look-ahead",
      got: "a second look-ahead",
      fix: "call step(), or restore() to give the step up",
    });
  encodePasses(engine, encoder, "lookahead", engine.machine.lookaheads);
  engine.lookedAhead = true;
  return () => {};
}
