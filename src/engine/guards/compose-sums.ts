// Writes the steps of guards: those that read values by tensor, and those that keep partial sums, a strip an invocation.
import type { RuleShader } from "../../rule.js";
import {
  composeStep,
  loadLane,
  noValues,
  restoreLane,
  type StepShader,
  stepHead,
  stepLane,
  storage,
} from "../kernels/compose.js";
import { type Width, WORKGROUP } from "../memory/spans.js";
import { SETTLED, VALUES } from "./control.js";

/** Lanes of a partial sum: four where a rule has sums of its own. */
export type PartLanes = 2 | 4;

/** What kernels that write or read partial sums are written with. */
export const partsOf = (lanes: PartLanes): string => `
alias engine_Part = vec${lanes}f;
fn engine_part(sums: vec2f) -> engine_Part {
  return ${lanes === 2 ? "sums" : "vec4f(sums, 0.0, 0.0)"};
}
`;

/** How a guarded step is written. */
export interface GuardedForm {
  /** Whether the parameters were moved to take the gradient, and θ is what was kept. */
  readonly fromOrigin: boolean;
  /** Whether tensors have values of their own: a clip factor, or what a rule settled. */
  readonly values: boolean;
  /** Lanes of the partial sums that it binds, if it does. */
  readonly lanes: PartLanes | undefined;
}

/** Bindings behind those of the step. */
function extraBindings(
  { states, compensation }: StepShader,
  { fromOrigin, values, lanes }: GuardedForm,
): string {
  const next = 3 + states.length + Number(fromOrigin) + Number(compensation !== undefined);
  return `${values ? storage(next, "read", "tensors", "vec4f") : ""}${
    lanes ? partsOf(lanes) + storage(next + Number(values), "read_write", "partials", "engine_Part") : ""
  }`;
}

/** Lanes of a vec4f that fields lie in. */
export const COMPONENTS = ["x", "y", "z", "w"] as const;

/** What the tensor of a strip has: a clip factor, and what a rule with sums settled. */
export const tensorValues = ({ settled }: RuleShader, strip: string) => `
  let engine_strip = engine_chunk.strip + ${strip};
  let engine_owner = bitcast<vec4u>(engine_tensors[engine_chunk.owners + engine_strip / 4u])[engine_strip % 4u];
  let engine_factor = engine_tensors[${VALUES / 16}u * engine_owner].x;${
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

/** A step that reads values by tensor, where it has them. */
export const composeGuardedStep = (shader: StepShader, width: Width, form: GuardedForm): string =>
  composeStep(
    shader,
    width,
    form.fromOrigin,
    extraBindings(shader, form),
    form.values ? tensorValues(shader, "engine_lane / engine_STRIP") : noValues,
  );

/** A step that also keeps Σθ² and ΣΔ². */
export function composeSummedStep(shader: StepShader, width: Width, form: GuardedForm): string {
  const { fromOrigin, values } = form;
  const origin = fromOrigin ? "engine_origin" : "engine_parameters";
  return `${stepHead(shader, width, fromOrigin, extraBindings(shader, form))}${stripEntry(
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
export function composeMeasure(shader: StepShader, width: Width, fromOrigin: boolean): string {
  const given = [
    "engine_alone(engine_parameter)",
    "engine_alone(engine_gradient)",
    ...(shader.states.length > 0 ? ["engine_state"] : []),
    "engine_settled",
  ];
  const alone = shader.states
    .map((name) => `\n  engine_state.${name} = engine_alone(engine_state.${name});`)
    .join("");
  const form: GuardedForm = { fromOrigin, values: true, lanes: 4 };
  return `${stepHead(shader, width, fromOrigin, extraBindings(shader, form))}${stripEntry(
    tensorValues(shader, "engine_id.x"),
    `${loadLane(shader, fromOrigin)}${alone}
    let engine_measured = measure(${given.join(", ")});
    engine_sum += ${packed(shader.sums, "engine_measured")};`,
    "engine_sum",
  )}`;
}
