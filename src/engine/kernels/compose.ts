// Writes the kernel around a rule: bindings, bounds, loads, the stages before and after the rule, stores.
import type { RuleShader } from "../../rule.js";
import accumulate from "../../shaders/engine/accumulate.wgsl?raw";
import { type Width, WORKGROUP } from "../memory/spans.js";

/** Byte offsets of the f32 fields of `engine_Stage`. */
export const STAGE = {
  gradient_scale: 0,
  coupled_decay: 4,
  decay: 8,
  sign: 12,
  clip_value: 16,
  clip_factor: 20,
  zero_non_finite: 24,
  skip: 28,
  slow_weight: 32,
  average_weight: 36,
  proximal: 40,
  cautious: 44,
} as const;

/** Bytes of `engine_Chunk`, rounded up to what a uniform binding takes. */
export const CHUNK_SIZE = 32;

/** What every kernel over tensors begins with, after the rule. */
export const HEADER = `
struct engine_Stage {
  gradient_scale: f32, // unscales and averages
  coupled_decay: f32, // λ
  decay: f32, // ηλ, λ, or of proximal decay ηλ / (1 + ηλ)
  sign: f32, // −1 to maximize
  // Four for monitored steps.
  clip_value: f32,
  clip_factor: f32,
  zero_non_finite: f32, // 1 or 0
  skip: u32,
  // How far slow weights and average move towards the parameters after this step.
  slow_weight: f32,
  average_weight: f32,
  proximal: f32, // 1 or 0: the decay is of the parameter after the update
  cautious: f32, // 1 or 0: no decay where the update grows the parameter
}
struct engine_Chunk {
  first: u32,
  gradient_first: u32,
  count: u32, // of elements; of items in monitored steps
  item: u32, // the first, in monitored steps
  // Of rules with sums: the way in engine_sums from a tensor's clip factor to its settled values, and from an item's
  // partial sums to the rule's own.
  settled: u32,
  measured: u32,
}
@group(0) @binding(1) var<uniform> engine_stage: engine_Stage;
@group(1) @binding(0) var<uniform> engine_chunk: engine_Chunk;

// The change of the parameter: the update and the decay.
fn engine_decayed(parameter: vec4f, update: vec4f) -> vec4f {
  let away = ((update < vec4f()) & (parameter > vec4f())) | ((update > vec4f()) & (parameter < vec4f()));
  let spared = away & vec4<bool>(engine_stage.cautious > 0.0);
  let base = select(parameter, parameter - update, engine_stage.proximal > 0.0);
  return update + engine_stage.decay * select(base, vec4f(), spared);
}
`;

/** The entry point of kernels with an element, or four, an invocation. */
export const ENTRY = `
@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u) {
  if (engine_id.x >= engine_chunk.count) {
    return;
  }
  let engine_index = engine_chunk.first + engine_id.x;`;

/** Reads and writes of one width, so that a rule always sees four lanes. */
export const lanes = (width: Width) =>
  width === 4
    ? { type: "vec4f", load: (place: string) => place, store: (value: string) => value }
    : { type: "f32", load: (place: string) => `vec4f(${place})`, store: (value: string) => `(${value}).x` };

/** The storage buffers of bind group 1, after the chunk. */
export function bindings(
  width: Width,
  storages: readonly (readonly [access: "read" | "read_write", name: string])[],
  places: readonly number[] = storages.map((_, index) => index + 1),
) {
  const { type } = lanes(width);
  return storages
    .map(
      ([access, name], index) =>
        `@group(1) @binding(${places[index]}) var<storage, ${access}> engine_${name}: array<${type}>;\n`,
    )
    .join("");
}

/** Declares the state and loads it. */
export const loadStates = ({ states }: RuleShader, load: (place: string) => string) =>
  states.length === 0
    ? ""
    : `
  var engine_state: State;${states.map((name) => `\n  engine_state.${name} = ${load(`engine_state_${name}[engine_index]`)};`).join("")}`;

/** The call of the rule. */
export const callUpdate = ({ states, sums }: RuleShader) =>
  `update(${[
    "engine_parameter",
    "engine_gradient",
    ...(states.length > 0 ? ["&engine_state"] : []),
    ...(sums.length > 0 ? ["engine_settled"] : []),
  ].join(", ")})`;

/** Constant of a step without the stages around the rule: gradient as it is, no decay. Saves their arithmetic. */
export const BARE = "engine_bare";

/**
 * The step: θ ← θ − (update + ηλθ). The rule's text comes first, so that line numbers are the file's. Rules with sums are
 * stepped by a monitor instead.
 * @param fromOrigin whether the parameters were moved to take the gradient, and θ is what was kept
 */
export function composeStep(shader: RuleShader, width: Width, fromOrigin: boolean): string {
  const { load, store } = lanes(width);
  const origin = fromOrigin ? "engine_origin" : "engine_parameters";
  return `${shader.code}${HEADER}override ${BARE}: bool = false;
${bindings(width, [
  ["read_write", "parameters"],
  ["read", "gradients"],
  ...shader.states.map((name) => ["read_write", `state_${name}`] as const),
  ...(fromOrigin ? [["read_write", "origin"] as const] : []),
])}${ENTRY}
  let engine_point = ${load("engine_parameters[engine_index]")};
  let engine_parameter = ${load(`${origin}[engine_index]`)};
  let engine_read = ${load("engine_gradients[engine_chunk.gradient_first + engine_id.x]")};
  let engine_staged = engine_stage.sign * engine_stage.gradient_scale * engine_read + engine_stage.coupled_decay * engine_point;
  let engine_gradient = select(engine_staged, engine_read, ${BARE});${loadStates(shader, load)}
  let engine_update = ${callUpdate(shader)};
  let engine_change = select(engine_decayed(engine_parameter, engine_update), engine_update, ${BARE});
  engine_parameters[engine_index] = ${store("engine_parameter - engine_change")};${shader.states
    .map((name) => `\n  engine_state_${name}[engine_index] = ${store(`engine_state.${name}`)};`)
    .join("")}
}
`;
}

/** The look-ahead: keeps θ as the origin and writes the point at which the gradient is to be taken. */
export function composeLookahead(shader: RuleShader, width: Width): string {
  const { load, store } = lanes(width);
  return `${shader.code}${HEADER}${bindings(width, [
    ["read_write", "parameters"],
    ...shader.states.map((name) => ["read_write", `state_${name}`] as const),
    ["read_write", "origin"],
  ])}${ENTRY}
  let engine_parameter = ${load("engine_parameters[engine_index]")};${loadStates(shader, load)}
  engine_origin[engine_index] = ${store("engine_parameter")};
  engine_parameters[engine_index] = ${store(`lookahead(engine_parameter${shader.states.length > 0 ? ", engine_state" : ""})`)};
}
`;
}

/**
 * Takes in an estimate of the Hessian's diagonal, handed in where gradients lie. It is read by its bits: an element whose
 * estimate is not finite keeps its state. The bindings are those of the step.
 */
export function composeCurvature(shader: RuleShader, width: Width, fromOrigin: boolean): string {
  const { load, store } = lanes(width);
  const type = width === 4 ? "vec4u" : "u32";
  return `${shader.code}${HEADER}@group(1) @binding(2) var<storage, read> engine_estimates: array<${type}>;
${bindings(
  width,
  [
    ["read_write", "parameters"],
    ...shader.states.map((name) => ["read_write", `state_${name}`] as const),
    ...(fromOrigin ? [["read_write", "origin"] as const] : []),
  ],
  [1, ...shader.states.map((_, index) => index + 3), ...(fromOrigin ? [shader.states.length + 3] : [])],
)}${ENTRY}
  let engine_bits = ${width === 4 ? "" : "vec4u"}(engine_estimates[engine_chunk.gradient_first + engine_id.x]);
  let engine_lost = (engine_bits & vec4u(0x7f800000u)) == vec4u(0x7f800000u);${loadStates(shader, load)}
  let engine_before = engine_state;
  curvature(select(bitcast<vec4f>(engine_bits), vec4f(), engine_lost), &engine_state);${shader.states
    .map(
      (name) =>
        `\n  engine_state_${name}[engine_index] = ${store(`select(engine_state.${name}, engine_before.${name}, engine_lost)`)};`,
    )
    .join("")}
}
`;
}

/** What a blend does with the parameters θ and their copy a. */
export type BlendKind = "slow" | "average" | "keep" | "swap";

/** Blends a copy of the parameters with them: `average` moves the copy, `slow` the parameters too. */
export function composeBlend(kind: BlendKind, width: Width): string {
  const { load, store } = lanes(width);
  const mix = (weight: string) => `
  if (${weight} == 0.0 || engine_stage.skip != 0u) {
    return;
  }
  let engine_next = select(engine_copy + ${weight} * (engine_parameter - engine_copy), engine_parameter, ${weight} >= 1.0);`;
  const write = (place: string, value: string) => `\n  engine_${place}[engine_index] = ${store(value)};`;
  const bodies: Record<BlendKind, string> = {
    slow: `${mix("engine_stage.slow_weight")}${write("copies", "engine_next")}${write("parameters", "engine_next")}`,
    average: `${mix("engine_stage.average_weight")}${write("copies", "engine_next")}`,
    keep: write("copies", "engine_parameter"),
    swap: `${write("copies", "engine_parameter")}${write("parameters", "engine_copy")}`,
  };
  return `${HEADER}${bindings(width, [
    ["read_write", "parameters"],
    ["read_write", "copies"],
  ])}${ENTRY}
  let engine_parameter = ${load("engine_parameters[engine_index]")};
  let engine_copy = ${load("engine_copies[engine_index]")};${bodies[kind]}
}
`;
}

/** Adds the gradient to the accumulator. */
export function composeAccumulate(width: Width): string {
  const { load, store } = lanes(width);
  return `${accumulate}${HEADER}${bindings(width, [
    ["read_write", "accumulator"],
    ["read", "gradients"],
  ])}${ENTRY}
  let engine_sum = ${load("engine_accumulator[engine_index]")};
  let engine_gradient = ${load("engine_gradients[engine_chunk.gradient_first + engine_id.x]")};
  engine_accumulator[engine_index] = ${store("accumulate(engine_sum, engine_gradient)")};
}
`;
}
