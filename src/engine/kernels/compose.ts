// Writes the kernels around a rule: bindings, loads, the stages before and after the rule, stores. The rule's text comes
// first, so that line numbers are the file's.
import type { RuleShader } from "../../rule.js";
import chunkShader from "../../shaders/engine/chunk.wgsl?engine";
import oneLane from "../../shaders/engine/lanes-1.wgsl?engine";
import fourLanes from "../../shaders/engine/lanes-4.wgsl?engine";
import stageShader from "../../shaders/engine/stage.wgsl?engine";
import stepShader from "../../shaders/engine/step.wgsl?engine";
import { type Width, WORKGROUP } from "../memory/spans.js";
import { offsetsOf } from "../memory/struct.js";
import type { Variant } from "./pipelines.js";

/** Byte offsets of the fields of `engine_Stage`. */
export const STAGE = offsetsOf(stageShader.structs.engine_Stage!);

/** The text of `engine_Stage`. */
export const STAGE_STRUCT = stageShader.code;

/** What every kernel over tensors is written with. */
export const overLanes = (width: Width): string =>
  `${(width === 4 ? fourLanes : oneLane).code}${stageShader.code}${chunkShader.code}`;

/** Lanes of a partial sum: four where a rule has sums of its own. */
export type PartLanes = 2 | 4;

/** What kernels that write or read partial sums are written with. */
export const partsOf = (lanes: PartLanes): string => `
alias engine_Part = vec${lanes}f;
fn engine_part(sums: vec2f) -> engine_Part {
  return ${lanes === 2 ? "sums" : "vec4f(sums, 0.0, 0.0)"};
}
`;

/** How a step is written. */
export interface StepForm {
  /** Whether the parameters were moved to take the gradient, and θ is what was kept. */
  readonly fromOrigin: boolean;
  /** Whether tensors have values of their own: a clip factor, or what a rule settled. */
  readonly values: boolean;
  /** Whether Σθ² and ΣΔ², or whatever else a strip sums up, are kept, and in partial sums of how many lanes. */
  readonly summed: PartLanes | undefined;
}

/** Styles of decay as the kernels know them. */
export const DECAY_STYLES = { none: 0, coupled: 1, subtracted: 2, proximal: 3, cautious: 4 } as const;

/** What of the stages around a rule a step needs. */
export interface Stages {
  readonly decay: keyof typeof DECAY_STYLES;
  readonly scaled: boolean;
  readonly guarded?: boolean;
  readonly clipped?: boolean;
  readonly zeroed?: boolean;
  readonly byTensor?: boolean;
}

const variants = new Map<string, Variant>();

/** The constants of a step; equal stages give the same object. */
export function stepVariant({ decay, scaled, guarded, clipped, zeroed, byTensor }: Stages): Variant {
  const flags = {
    engine_decay_style: DECAY_STYLES[decay],
    engine_scaled: Number(scaled),
    engine_guarded: Number(guarded ?? false),
    engine_clipped: Number(clipped ?? false),
    engine_zeroed: Number(zeroed ?? false),
    engine_by_tensor: Number(byTensor ?? false),
  };
  const key = Object.values(flags).join("");
  const variant = variants.get(key) ?? flags;
  variants.set(key, variant);
  return variant;
}

const storage = (binding: number, access: "read" | "read_write", name: string, type = "engine_Lanes") =>
  `@group(1) @binding(${binding}) var<storage, ${access}> engine_${name}: array<${type}>;\n`;

/** The bindings of a step. What of them a kernel does not use, it need not name. */
function stepBindings({ states }: RuleShader, { fromOrigin, values, summed }: StepForm): string {
  const others = [...states.map((name) => `state_${name}`), ...(fromOrigin ? ["origin"] : [])];
  const next = 3 + others.length;
  return `${storage(1, "read_write", "parameters")}${storage(2, "read", "gradients", "engine_Bits")}${others
    .map((name, index) => storage(3 + index, "read_write", name))
    .join("")}${values ? storage(next, "read", "tensors", "vec4f") : ""}${
    summed ? partsOf(summed) + storage(next + Number(values), "read_write", "partials", "engine_Part") : ""
  }`;
}

const declareState = ({ states }: RuleShader) => (states.length > 0 ? "\n  var engine_state: State;" : "");
const loadStates = ({ states }: RuleShader) =>
  states.map((name) => `\n  engine_state.${name} = engine_widen(engine_state_${name}[engine_i]);`).join("");
const storeStates = ({ states }: RuleShader, value = (name: string) => `engine_state.${name}`) =>
  states.map((name) => `\n  engine_state_${name}[engine_i] = engine_narrow(${value(name)});`).join("");

/** The body of a kernel with a lane an invocation. */
const laneEntry = (body: string, count = "engine_chunk.count") => `
@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u) {
  if (engine_id.x >= ${count}) {
    return;
  }
  let engine_lane = engine_id.x;
  let engine_i = engine_chunk.first + engine_lane;${body}
}
`;

/** The body of a kernel with a strip an invocation, run for each lane, before its sum is written. */
const stripEntry = (before: string, body: string, sum: string) => `
@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u) {
  let engine_begin = engine_id.x * engine_STRIP;
  if (engine_begin >= engine_chunk.count) {
    return;
  }
  let engine_end = min(engine_begin + engine_STRIP, engine_chunk.count);${before}
  var engine_sum = vec4f();
  for (var engine_lane = engine_begin; engine_lane < engine_end; engine_lane++) {
    let engine_i = engine_chunk.first + engine_lane;${body}
  }
  engine_partials[engine_chunk.strip + engine_id.x] = ${sum};
}
`;

/** Lanes of a vec4f that fields lie in. */
export const COMPONENTS = ["x", "y", "z", "w"] as const;

/** What the tensor of a strip has: a clip factor, and what a rule with sums settled. */
const tensorValues = ({ settled }: RuleShader, strip: string) => `
  let engine_strip = engine_chunk.strip + ${strip};
  let engine_owner = bitcast<vec4u>(engine_tensors[engine_chunk.owners + engine_strip / 4u])[engine_strip % 4u];
  let engine_factor = engine_tensors[3u * engine_owner].x;${
    settled.length === 0
      ? ""
      : `
  let engine_kept = engine_tensors[3u * engine_owner + 2u];
  let engine_settled = Settled(${settled.map((_, i) => `engine_kept.${COMPONENTS[i]}`).join(", ")});`
  }`;

const noValues = "\n  let engine_factor = 1.0;";

/** Parameter, gradient with all stages before the rule, and state of a lane. */
const loadLane = (shader: RuleShader, fromOrigin: boolean) => `
  let engine_point = engine_widen(engine_parameters[engine_i]);
  let engine_parameter = ${fromOrigin ? "engine_widen(engine_origin[engine_i])" : "engine_point"};
  let engine_read = engine_widen_bits(engine_gradients[engine_chunk.gradient_first + engine_lane]);
  let engine_gradient = engine_prepared(engine_read, engine_point, engine_factor);${declareState(shader)}${loadStates(shader)}`;

const stepLane = (shader: RuleShader, fromOrigin: boolean) => {
  const given = [
    "engine_parameter",
    "engine_gradient",
    ...(shader.states.length > 0 ? ["&engine_state"] : []),
    ...(shader.sums.length > 0 ? ["engine_settled"] : []),
  ];
  return `${loadLane(shader, fromOrigin)}
  let engine_change = engine_decayed(engine_parameter, update(${given.join(", ")}));
  let engine_next = engine_parameter - engine_change;
  engine_parameters[engine_i] = engine_narrow(engine_next);${storeStates(shader)}`;
};

/** What a skipped step leaves is what it found; a look-ahead or an ascent is undone. */
const restoreLane = (fromOrigin: boolean) =>
  fromOrigin ? "\n  engine_parameters[engine_i] = engine_origin[engine_i];" : "";

/** The step: θ ← θ − (update + decay). */
export function composeStep(shader: RuleShader, width: Width, form: StepForm): string {
  const { fromOrigin, values, summed } = form;
  const head = `${shader.code}\n${overLanes(width)}${stepShader.code}${stepBindings(shader, form)}`;
  if (!summed) {
    const lane = `${values ? tensorValues(shader, "engine_lane / engine_STRIP") : noValues}${stepLane(shader, fromOrigin)}`;
    // One condition where it will do: a software adapter pays for each.
    if (!fromOrigin) return head + laneEntry(lane, "select(engine_chunk.count, 0u, engine_skips())");
    return `${head}${laneEntry(`
  if (engine_skips()) {${restoreLane(fromOrigin)}
    return;
  }${lane}`)}`;
  }
  const origin = fromOrigin ? "engine_origin" : "engine_parameters";
  return `${head}${stripEntry(
    values ? tensorValues(shader, "engine_id.x") : noValues,
    `
    if (engine_skips()) {${restoreLane(fromOrigin)}
      let engine_left = engine_widen(${origin}[engine_i]);
      engine_sum.x += engine_total(engine_left * engine_left);
      continue;
    }${stepLane(shader, fromOrigin)}
    engine_sum.x += engine_total(engine_next * engine_next);
    engine_sum.y += engine_total(engine_change * engine_change);`,
    "engine_part(engine_sum.xy)",
  )}`;
}

/** Fields of `Sums` or `Settled` as one vec4f. */
export const packed = (fields: readonly string[], value: string) =>
  `vec4f(${COMPONENTS.map((_, i) => (fields[i] === undefined ? "0.0" : `${value}.${fields[i]}`)).join(", ")})`;

/** What a rule with sums measures of each strip, after the stages before it. The bindings are those of the step. */
export function composeMeasure(shader: RuleShader, width: Width, fromOrigin: boolean): string {
  const given = [
    "engine_alone(engine_parameter)",
    "engine_alone(engine_gradient)",
    ...(shader.states.length > 0 ? ["engine_state"] : []),
    "engine_settled",
  ];
  const alone = shader.states
    .map((name) => `\n  engine_state.${name} = engine_alone(engine_state.${name});`)
    .join("");
  return `${shader.code}
${overLanes(width)}${stepShader.code}${stepBindings(shader, { fromOrigin, values: true, summed: 4 })}${stripEntry(
  tensorValues(shader, "engine_id.x"),
  `${loadLane(shader, fromOrigin)}${alone}
    let engine_measured = measure(${given.join(", ")});
    engine_sum += ${packed(shader.sums, "engine_measured")};`,
  "engine_sum",
)}`;
}

/** The look-ahead: keeps θ as the origin and writes the point at which the gradient is to be taken. */
export function composeLookahead(shader: RuleShader, width: Width): string {
  const others = [...shader.states.map((name) => `state_${name}`), "origin"];
  return `${shader.code}
${overLanes(width)}${storage(1, "read_write", "parameters")}${others.map((name, index) => storage(2 + index, "read_write", name)).join("")}${laneEntry(`
  let engine_parameter = engine_widen(engine_parameters[engine_i]);${declareState(shader)}${loadStates(shader)}
  engine_origin[engine_i] = engine_narrow(engine_parameter);
  engine_parameters[engine_i] = engine_narrow(lookahead(engine_parameter${shader.states.length > 0 ? ", engine_state" : ""}));`)}`;
}

/**
 * Takes in an estimate of the Hessian's diagonal, handed in where gradients lie. It is read by its bits: an element whose
 * estimate is not finite keeps its state. The bindings are those of the step.
 */
export function composeCurvature(shader: RuleShader, width: Width, fromOrigin: boolean): string {
  const form = { fromOrigin, values: false, summed: undefined };
  return `${shader.code}
${overLanes(width)}${stepBindings(shader, form)}${laneEntry(`
  let engine_bits = engine_widen_bits(engine_gradients[engine_chunk.gradient_first + engine_lane]);
  let engine_lost = (engine_bits & vec4u(0x7f800000u)) == vec4u(0x7f800000u);${declareState(shader)}${loadStates(shader)}
  let engine_before = engine_state;
  curvature(select(bitcast<vec4f>(engine_bits), vec4f(), engine_lost), &engine_state);${storeStates(
    shader,
    (name) => `select(engine_state.${name}, engine_before.${name}, engine_lost)`,
  )}`)}`;
}
