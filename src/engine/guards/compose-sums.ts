// Writes the steps of guards: those that read values by tensor, and those that keep partial sums, a strip an invocation.
import * as guardedShader from "../../shaders/engine/guarded.wgsl?engine";
import * as oneLane from "../../shaders/engine/strips-1.wgsl?engine";
import * as fourLanes from "../../shaders/engine/strips-4.wgsl?engine";
import * as summedShader from "../../shaders/engine/summed.wgsl?engine";
import * as sumsShader from "../../shaders/engine/sums.wgsl?engine";
import { laneEntry, loadLane, type StepShader, stepHead, stepLane, storage } from "../kernels/compose.js";
import { type Form, WORKGROUP } from "../memory/spans.js";
import { SETTLED, VALUES } from "./control.js";

/** What is summed up: so many lanes, of which the first are norms and the others plain sums. */
export interface PartKind {
  readonly lanes: 2 | 4;
  readonly norms: 0 | 1 | 2;
}
/** Of gradients: their norm, and how many are not finite. */
export const GRADIENTS: PartKind = { lanes: 2, norms: 1 };
/** Of steps: the norms of parameters and updates, and how many updates were lost. */
export const CHANGES: PartKind = { lanes: 4, norms: 2 };
/** What a rule measures. */
export const RULE: PartKind = { lanes: 4, norms: 0 };

/** What kernels that add up partial sums are written with. */
export const sumsOf = ({ lanes, norms }: PartKind): string => `
alias engine_Part = vec${lanes}f;
const engine_norms = ${norms};
fn engine_third(part: engine_Part) -> f32 {
  return ${lanes === 2 ? "0.0" : "part.z"};
}
${sumsShader.code}`;

/** What kernels that know of strips are written with, behind `overLanes`. */
export const overStrips = (width: Form): string => (width === 1 ? oneLane : fourLanes).code;

/** How a guarded step is written. */
export interface GuardedForm {
  /** Whether the parameters were moved to take the gradient, and θ is what was kept. */
  readonly fromOrigin: boolean;
  /** Whether tensors have values of their own: a clip factor, or what a rule settled. */
  readonly values: boolean;
  /** Whether it binds partial sums. */
  readonly sums: boolean;
}

/** What a guarded step is written with, before its entry. */
function guardedHead(shader: StepShader, width: Form, { fromOrigin, values, sums }: GuardedForm): string {
  const { states, compensation, beside = [] } = shader;
  const next = 3 + states.length + Number(fromOrigin) + Number(compensation !== undefined) + beside.length;
  return `${stepHead(shader, width, fromOrigin)}${overStrips(width)}${guardedShader.code}${values ? storage(next, "read", "tensors", "vec4f") : ""}${
    sums ? storage(next + Number(values), "read_write", "partials", "vec4f") : ""
  }`;
}

/** Lanes of a vec4f that fields lie in. */
export const COMPONENTS = ["x", "y", "z", "w"] as const;

/** What the tensor of a strip has: a clip factor, and what a rule with sums settled. */
export const tensorValues = ({ settled, caution }: StepShader, strip: string) => `
  let engine_strip = engine_chunk.strip + ${strip};
  let engine_owner = bitcast<vec4u>(engine_tensors[engine_chunk.owners + engine_strip / 4u])[engine_strip % 4u];
  let engine_factor = engine_tensors[${VALUES / 16}u * engine_owner].xy;${
    caution ? `\n  let engine_caution = engine_tensors[${VALUES / 16}u * engine_owner + 1u].w;` : ""
  }${
    settled.length === 0
      ? ""
      : `
  let engine_kept = engine_tensors[${VALUES / 16}u * engine_owner + ${SETTLED / 16}u];
  let engine_settled = Settled(${settled.map((_, i) => `engine_kept.${COMPONENTS[i]}`).join(", ")});`
  }`;

/** The body of a kernel with a strip an invocation, run for each lane, before its sum is written. */
export const stripEntry = (before: string, body: string, sum: string) => `
@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u) {
  let engine_begin = engine_id.x * engine_STRIP;
  if (engine_outside(engine_begin)) {
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

/** Where tensors have no values of their own. */
const noValues = "\n  let engine_factor = vec2f(1.0);";

/** What a skipped step leaves is what it found; a look-ahead or an ascent is undone. */
const restoreLane = (fromOrigin: boolean) =>
  fromOrigin ? "\n  engine_parameters[engine_i] = engine_origin[engine_i];" : "";

/** A step that guards decide about. It reads values by tensor, where it has them. */
export function composeGuardedStep(shader: StepShader, width: Form, form: GuardedForm): string {
  const { fromOrigin, values } = form;
  const head = guardedHead(shader, width, form);
  const factor = values ? tensorValues(shader, "engine_lane / engine_STRIP") : noValues;
  const lane = factor + stepLane(shader, fromOrigin, true);
  // One condition where it will do: a software adapter pays for each.
  if (!fromOrigin) return head + laneEntry(lane, "select(engine_id.x, 0xffffffffu, engine_skips())");
  return `${head}${laneEntry(`
  if (engine_skips()) {${restoreLane(fromOrigin)}
    return;
  }${lane}`)}`;
}

/**
 * A step that also keeps the norms of θ and of Δ = next θ − θ as stored, and how many updates were lost in rounding. What is
 * stored goes by its bits, or a compiler may take (θ − change) − θ for −change; once changed, θ has lost Δ.
 */
export function composeSummedStep(shader: StepShader, width: Form, form: GuardedForm): string {
  const { fromOrigin, values } = form;
  return `${guardedHead(shader, width, form)}${sumsOf({ lanes: 2, norms: 1 })}${summedShader.code}${stripEntry(
    `${values ? tensorValues(shader, "engine_id.x") : noValues}
  var engine_lowered = 0.0;
  var engine_raised = 0.0;`,
    `
    if (engine_skips()) {${restoreLane(fromOrigin)}
      continue;
    }${stepLane(shader, fromOrigin, true)}
    let engine_stored = bitcast<vec4f>(bitcast<vec4u>(engine_next) | vec4u(engine_chunk.zero));
    let engine_moved = engine_stored - engine_parameter;
    let engine_lost = ${shader.compensation ? "vec4<bool>()" : "(engine_stored == engine_parameter) & (engine_change != vec4f())"};
    let engine_raise = 0x1p76f * engine_moved;
    let engine_lower = 0x1p-76f * engine_moved;
    engine_sum.x += engine_total(engine_stored * engine_stored);
    engine_sum.y += engine_total(engine_moved * engine_moved);
    engine_sum.z += engine_total(select(vec4f(), vec4f(1.0), engine_lost));
    engine_lowered += engine_total(engine_lower * engine_lower);
    engine_raised += engine_total(engine_raise * engine_raise);`,
    `vec4f(
    engine_parameter_norm(engine_sum.x, engine_begin, engine_end),
    engine_update_norm(engine_sum.y, engine_lowered, engine_raised),
    engine_sum.z,
    0.0,
  )`,
  )}`;
}

/** Fields of `Sums` or `Settled` as one vec4f. */
export const packed = (fields: readonly string[], value: string) =>
  `vec4f(${COMPONENTS.map((_, i) => (fields[i] === undefined ? "0.0" : `${value}.${fields[i]}`)).join(", ")})`;

/** A kernel that sums up over strips, with the bindings of the step. @param body that adds to `engine_sum` for a lane */
export const stripKernel = (shader: StepShader, width: Form, fromOrigin: boolean, body: string): string =>
  guardedHead(shader, width, { fromOrigin, values: true, sums: true }) +
  stripEntry(tensorValues(shader, "engine_id.x"), body, "engine_sum");

/** What a rule with sums measures of each strip, after the stages before it. */
export function composeMeasure(shader: StepShader, width: Form, fromOrigin: boolean): string {
  const given = [
    "engine_alone(engine_parameter)",
    "engine_alone(engine_gradient)",
    ...(shader.states.length > 0 ? ["engine_state"] : []),
    "engine_settled",
  ];
  const alone = shader.states
    .map((name) => `\n  engine_state.${name} = engine_alone(engine_state.${name});`)
    .join("");
  return stripKernel(
    shader,
    width,
    fromOrigin,
    `${loadLane(shader, fromOrigin, true)}${alone}
    let engine_measured = measure(${given.join(", ")});
    engine_sum += ${packed(shader.sums, "engine_measured")};`,
  );
}
