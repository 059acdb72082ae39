import type { RuleShader } from "../../rule.js";
import type { Engine } from "../engine.js";
import {
  declareState,
  laneEntry,
  loadStates,
  overLanes,
  stepBindings,
  storeStates,
} from "../kernels/compose.js";
import type { PlanContext } from "../kernels/plan.js";
import { stepStreams } from "../kernels/step.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import type { GroupMemory } from "../memory/group-memory.js";
import { gradientOf } from "../memory/parameters.js";
import type { Form } from "../memory/spans.js";
import { encodePasses } from "../verbs.js";

/**
 * Takes in an estimate of the Hessian's diagonal, handed in where gradients lie. It is read by its bits: an element whose
 * estimate is not finite keeps its state. The bindings are those of the step.
 */
export function composeCurvature(shader: RuleShader, width: Form, fromOrigin: boolean): string {
  return `${shader.code}
${overLanes(width)}${stepBindings(shader, fromOrigin)}${laneEntry(`
  let engine_bits = engine_widen_bits(engine_gradients[engine_chunk.gradient_first + engine_lane]);
  let engine_lost = (engine_bits & vec4u(0x7f800000u)) == vec4u(0x7f800000u);${declareState(shader)}${loadStates(shader)}
  let engine_before = engine_state;
  curvature(select(bitcast<vec4f>(engine_bits), vec4f(), engine_lost), &engine_state);${storeStates(
    shader,
    (name) => `select(engine_state.${name}, engine_before.${name}, engine_lost)`,
  )}`)}`;
}

/** Hands the rule of a group what stands in the place of the gradients. */
export const curvaturePass = (context: PlanContext, group: GroupMemory): TensorPass => {
  const { row, options } = group.rule;
  return new TensorPass(
    context,
    { name: "curvature", all: group.sorted, lead: ({ param }) => param, streams: stepStreams(group) },
    row.shader.file,
    (width) => composeCurvature(row.shader, width, group.fromOrigin),
    row.constants?.(options),
    gradientOf,
  );
};

/** An estimate of curvature. */
export function encodeCurvature(engine: Engine, encoder: GPUCommandEncoder): void {
  engine.requireOwnParameters();
  encodePasses(engine, encoder, "curvature", engine.machine.curvatures);
}
