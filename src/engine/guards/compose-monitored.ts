// Writes the kernels of monitored steps, which work item by item and keep sums for each: the measure of the gradients,
// and the step with guards.
import type { RuleShader } from "../../rule.js";
import { bindings, callUpdate, ENTRY, HEADER, lanes, loadStates } from "../kernels/compose.js";
import type { Width } from "../memory/spans.js";
import { ITEM_THREADS } from "./items.js";

/** Place of the ascent's factor among the words of the control block. */
const ASCENT_WORD = 6;

/** Gradients are read by their bits: WGSL may take NaN and infinity in a float for impossible. */
const bitLanes = (width: Width) =>
  width === 4
    ? { type: "vec4u", load: (place: string) => place, total: (lanes: string) => `dot(${lanes}, vec4f(1.0))` }
    : { type: "u32", load: (place: string) => `vec4u(${place})`, total: (lanes: string) => `${lanes}.x` };

/** @param next the binding after the pass's own */
const itemBindings = (next: number) => `
struct engine_Item {
  first: u32,
  count: u32,
  factor: u32, // index in engine_sums of the clip factor of its tensor
  sums: u32, // index in engine_sums of the partial sum of its first thread
}
@group(1) @binding(${next}) var<storage, read> engine_items: array<engine_Item>;
// A partial sum of each thread of each item: Σθ², ΣΔ², Σg², how many gradients are not finite.
@group(1) @binding(${next + 1}) var<storage, read_write> engine_sums: array<vec4f>;

fn engine_not_finite(bits: vec4u) -> vec4<bool> {
  return (bits & vec4u(0x7f800000u)) == vec4u(0x7f800000u);
}

// After unscaling and averaging: by value. NaN passes where there is no limit.
fn engine_clip(value: vec4f, limit: f32) -> vec4f {
  if (limit >= 3e38) {
    return value;
  }
  return clamp(value, vec4f(-limit), vec4f(limit));
}

@compute @workgroup_size(${ITEM_THREADS})
fn engine_main(
  @builtin(workgroup_id) engine_group: vec3u,
  @builtin(num_workgroups) engine_groups: vec3u,
  @builtin(local_invocation_index) engine_thread: u32,
) {
  for (var engine_i = engine_group.x; engine_i < engine_chunk.count; engine_i += engine_groups.x) {
    let engine_item = engine_items[engine_chunk.item + engine_i];
    let engine_partial = engine_item.sums + engine_thread;`;

/** Σg² and the count of non-finite gradients, as the clipping by norm is to see them. */
export function composeMeasure(width: Width): string {
  const { type, load, total } = bitLanes(width);
  return `struct Scalars {
  gradient_scale: f32,
  clip_value: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;
${HEADER}@group(1) @binding(1) var<storage, read> engine_gradients: array<${type}>;
@group(1) @binding(2) var<storage, read> engine_loss_scale: f32;
${itemBindings(3)}
    let engine_scale = scalars.gradient_scale / engine_loss_scale;
    var engine_squares = vec4f();
    var engine_bad = vec4f();
    for (var engine_k = engine_thread; engine_k < engine_item.count; engine_k += ${ITEM_THREADS}u) {
      let engine_bits = ${load("engine_gradients[engine_chunk.gradient_first + engine_item.first + engine_k]")};
      let engine_lost = engine_not_finite(engine_bits);
      let engine_read = select(bitcast<vec4f>(engine_bits), vec4f(), engine_lost);
      let engine_gradient = engine_clip(engine_scale * engine_read, scalars.clip_value);
      engine_bad += select(vec4f(), vec4f(1.0), engine_lost);
      engine_squares += engine_gradient * engine_gradient;
    }
    engine_sums[engine_partial].z = ${total("engine_squares")};
    engine_sums[engine_partial].w = ${total("engine_bad")};
  }
}
`;
}

/** Bindings of a monitored step, and of all that shares its bind group. */
export function stepBindings(shader: RuleShader, width: Width, fromOrigin: boolean): string {
  const storages = [
    ["read_write", "parameters"],
    ...shader.states.map((name) => ["read_write", `state_${name}`] as const),
    ...(fromOrigin ? [["read_write", "origin"] as const] : []),
  ] as const;
  return `@group(1) @binding(2) var<storage, read> engine_gradients: array<${bitLanes(width).type}>;
${bindings(width, storages, [1, ...storages.slice(1).map((_, index) => index + 3)])}${itemBindings(storages.length + 2)}`;
}

/** One element's parameter, gradient with all stages before the rule, and state, within the loop over an item. */
export const monitoredGradient = (
  shader: RuleShader,
  load: (place: string) => string,
  loadBits: (place: string) => string,
  origin: string,
) => `        let engine_point = ${load("engine_parameters[engine_index]")};
        let engine_parameter = ${load(`${origin}[engine_index]`)};
        let engine_bits = ${loadBits("engine_gradients[engine_chunk.gradient_first + engine_item.first + engine_k]")};
        var engine_read = bitcast<vec4f>(engine_bits);
        if (engine_stage.zero_non_finite != 0.0) {
          engine_read = select(engine_read, vec4f(), engine_not_finite(engine_bits));
        }
        let engine_clipped = engine_clip(engine_stage.gradient_scale * engine_read, engine_stage.clip_value);
        let engine_gradient = engine_factor * engine_clipped + engine_stage.coupled_decay * engine_point;${loadStates(shader, load)}`;

/** Lanes of a vec4f that fields lie in. */
export const COMPONENTS = ["x", "y", "z", "w"] as const;

/** What a rule with sums keeps of the item's tensor. */
export const loadSettled = ({ settled }: RuleShader) =>
  settled.length === 0
    ? ""
    : `
    let engine_kept = engine_sums[engine_item.factor + engine_chunk.settled];
    let engine_settled = Settled(${settled.map((_, i) => `engine_kept.${COMPONENTS[i]}`).join(", ")});`;

/** Constant of a monitored step: whether Σθ² and ΣΔ² are kept for telemetry. */
export const TELEMETRY = "engine_telemetry";

/** The step with guards. What a skipped one leaves is what it found; a look-ahead or an ascent is undone. */
export function composeMonitoredStep(shader: RuleShader, width: Width, fromOrigin: boolean): string {
  const { load, store } = lanes(width);
  const bits = bitLanes(width);
  const origin = fromOrigin ? "engine_origin" : "engine_parameters";
  return `${shader.code}${HEADER}override ${TELEMETRY}: bool = true;
${stepBindings(shader, width, fromOrigin)}
    let engine_factor = engine_stage.sign * engine_stage.clip_factor * engine_sums[engine_item.factor].x;${loadSettled(shader)}
    var engine_parameter_squares = vec4f();
    var engine_change_squares = vec4f();
    if (engine_stage.skip != 0u) {
      for (var engine_k = engine_thread; engine_k < engine_item.count; engine_k += ${ITEM_THREADS}u) {
        let engine_index = engine_chunk.first + engine_item.first + engine_k;
        let engine_parameter = ${load(`${origin}[engine_index]`)};${fromOrigin ? `\n        engine_parameters[engine_index] = ${store("engine_parameter")};` : ""}
        engine_parameter_squares += engine_parameter * engine_parameter;
      }
    } else {
      for (var engine_k = engine_thread; engine_k < engine_item.count; engine_k += ${ITEM_THREADS}u) {
        let engine_index = engine_chunk.first + engine_item.first + engine_k;
${monitoredGradient(shader, load, bits.load, origin)}
        let engine_update = ${callUpdate(shader)};
        let engine_change = engine_decayed(engine_parameter, engine_update);
        let engine_next = engine_parameter - engine_change;
        engine_parameters[engine_index] = ${store("engine_next")};${shader.states
          .map((name) => `\n        engine_state_${name}[engine_index] = ${store(`engine_state.${name}`)};`)
          .join("")}
        if (${TELEMETRY}) {
          engine_parameter_squares += engine_next * engine_next;
          engine_change_squares += engine_change * engine_change;
        }
      }
    }
    if (${TELEMETRY}) {
      engine_sums[engine_partial].x = ${bits.total("engine_parameter_squares")};
      engine_sums[engine_partial].y = ${bits.total("engine_change_squares")};
    }
  }
}
`;
}

/** SAM's ascent: keeps θ as the origin and moves it along the gradient, by the factor that the GPU worked out. */
export function composeAscent(width: Width): string {
  const { load, store } = lanes(width);
  const bits = bitLanes(width);
  return `${HEADER}@group(1) @binding(2) var<storage, read> engine_gradients: array<${bits.type}>;
@group(1) @binding(4) var<storage, read> engine_control: array<f32>;
${bindings(
  width,
  [
    ["read_write", "parameters"],
    ["read_write", "origin"],
  ],
  [1, 3],
)}${ENTRY}
  let engine_parameter = ${load("engine_parameters[engine_index]")};
  let engine_bits = ${bits.load("engine_gradients[engine_chunk.gradient_first + engine_id.x]")};
  // The norm is that of the unscaled gradient.
  let engine_factor = engine_control[${ASCENT_WORD}] / engine_control[0];
  let engine_move = select(engine_factor * bitcast<vec4f>(engine_bits), vec4f(), engine_factor == 0.0);
  engine_origin[engine_index] = ${store("engine_parameter")};
  engine_parameters[engine_index] = ${store("engine_parameter + engine_move")};
}
`;
}
