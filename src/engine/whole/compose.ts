// Writes the kernels of rules with passes over whole tensors.
import type { RuleRow } from "../../rule.js";
import type { WholePass, WholeTensor } from "../../whole-tensor.js";
import { loadLane, STAGE_STRUCT, type StepShader, stepLane, storeStates } from "../kernels/compose.js";
import type { Access } from "../kernels/pipelines.js";

/** Names of memory that is laid out like the parameters: what passes turn into directions, and the parameters. */
const DIRECTIONS = "directions";
const POINTS = "points";

/** What a rule's passes need of such memory. */
export const kindsOf = ({ parameters }: WholeTensor): readonly string[] => [
  DIRECTIONS,
  ...(parameters ? [POINTS] : []),
];

/** In the place of the step: the gradient as the passes see it, by what the file has for it. */
export function directing(shader: StepShader, kinds: readonly string[]): StepShader {
  const states = shader.states.length > 0 ? ", &engine_state" : "";
  const direction = shader.direct ? `direct(engine_parameter, engine_gradient${states})` : "engine_gradient";
  // What is kept beside the parameter is the step's that follows.
  const own: StepShader = { ...shader, compensation: undefined, beside: kinds };
  const stores = shader.direct ? storeStates(own) : "";
  return {
    ...own,
    lane: (fromOrigin, guarded) => `${loadLane(own, fromOrigin, guarded)}
  engine_directions[engine_i] = engine_narrow(engine_marked(${direction}, engine_gradient));${
    kinds.includes(POINTS) ? "\n  engine_points[engine_i] = engine_narrow(engine_parameter);" : ""
  }${stores}`,
  };
}

/** The step along the directions: stages before the rule were there already. */
export function directed(shader: StepShader): StepShader {
  const own: StepShader = { ...shader, linear: false, states: shader.stateful ? shader.states : [] };
  return { ...own, lane: (fromOrigin) => stepLane(own, fromOrigin, false) };
}

/** How passes access what they bind behind their uniform. */
export const passAccesses = (kinds: readonly string[]): readonly Access[] => [
  "read-only-storage",
  "read-only-storage",
  ...kinds.map((): Access => "storage"),
  "storage",
  "storage",
];

const RESOURCES: Readonly<Record<string, string>> = {
  engine_tensors: "read> engine_tensors: array<Tensor>",
  engine_works: "read> engine_works: array<vec2u>",
  [DIRECTIONS]: "read_write> directions: array<f32>",
  [POINTS]: "read_write> parameters: array<f32>",
  kept: "read_write> kept: array<f32>",
  scratch: "read_write> scratch: array<vec4f>",
};

/** A pass over whole tensors, as many workgroups for each as it asks for. */
export function composePass({ shader, whole }: RuleRow, { run, round, together }: WholePass): string {
  const names = ["engine_tensors", "engine_works", ...kindsOf(whole!), "kept", "scratch"];
  return `${shader.code}
${STAGE_STRUCT}@group(0) @binding(1) var<uniform> engine_stage: engine_Stage;
struct engine_Pass {
  first: u32,
  count: u32,
  round: u32,
  tensors: u32,
  batch: u32,
}
@group(1) @binding(0) var<uniform> engine_pass: engine_Pass;
${names.map((name, index) => `@group(1) @binding(${1 + index}) var<storage, ${RESOURCES[name]};\n`).join("")}${whole!.shader.code}

@compute @workgroup_size(64)
fn engine_main(
  @builtin(workgroup_id) engine_id: vec3u,
  @builtin(num_workgroups) engine_groups: vec3u,
  @builtin(local_invocation_index) engine_lane: u32,
) {
  let engine_at = engine_id.x + engine_id.y * engine_groups.x;
  // A step that is skipped leaves all as it is.
  if (engine_at >= engine_pass.count || engine_stage.skip != 0u) {
    return;
  }
  ${
    together
      ? `${run}(engine_pass.batch, engine_pass.tensors, engine_at, engine_lane);`
      : `let engine_work = engine_works[engine_pass.first + engine_at];
  ${run}(engine_tensors[engine_work.x], engine_work.y, engine_lane${round === undefined ? "" : ", engine_pass.round"});`
  }
}
${
  whole!.shared
    ? `fn tensor_at(k: u32) -> Tensor {
  return engine_tensors[engine_works[engine_pass.first + k].x];
}
`
    : ""
}`;
}
