// Writes the kernels around a rule: bindings, loads, the stages before and after the rule, stores. The rule's text comes
// first, so that line numbers are the file's.

import { memo } from "../../memo.js";
import type { RuleShader } from "../../rule.js";
import * as chunkShader from "../../shaders/engine/chunk.wgsl?engine";
import * as oneLane from "../../shaders/engine/lanes-1.wgsl?engine";
import * as fourLanes from "../../shaders/engine/lanes-4.wgsl?engine";
import * as stageShader from "../../shaders/engine/stage.wgsl?engine";
import * as stepShader from "../../shaders/engine/step.wgsl?engine";
import { QUICK } from "../../shaders/prelude.js";
import { type Form, parting, WORKGROUP } from "../memory/spans.js";
import { offsetsOf } from "../memory/struct.js";
import type { Variant } from "./pipelines.js";

/** Byte offsets of the fields of `engine_Stage`. */
export const STAGE = offsetsOf(stageShader.structs.engine_Stage!);

/** The text of `engine_Stage`. */
export const STAGE_STRUCT = stageShader.code;

/** What every kernel over tensors is written with. */
export const overLanes = (form: Form): string =>
  `${form === 1 ? oneLane.code : fourLanes.code}${stageShader.code}${form === "parted" ? parting.how!.code : chunkShader.code}`;

/** Loaded where something is compensated. */
type Compensation = typeof import("../passes/compensation.js");

/** Loaded where updates are cautious. */
type Caution = typeof import("../passes/caution.js");

/** A rule's shader, what holds its updates back, and what keeps beside a parameter what its f32 cannot hold. */
export interface StepShader extends RuleShader {
  readonly compensation?: Compensation | undefined;
  /** What it binds behind all that. */
  readonly beside?: readonly string[];
  /** What stands in the place of the update. */
  readonly lane?: (fromOrigin: boolean, guarded: boolean) => string;
  readonly caution?: Caution | undefined;
  /** Whether what it reads as gradients has been scaled and guarded. */
  readonly ready?: boolean;
}

/** What of the stages around a rule a step needs. */
export interface Stages {
  readonly decay: "none" | "coupled" | "subtracted" | "proximal" | "cautious";
  readonly scaled: boolean;
  /** Whether averages may be kept by three quarters or less, of rules that have any. */
  readonly quick?: boolean | undefined;
  /** What guards ask for, in steps that they decide about. */
  readonly guards?: Variant;
}

const variants = new Map<string, Variant>();

/** The constants of a step; equal stages give the same object. */
export function stepVariant({ decay, scaled, quick, guards }: Stages): Variant {
  const key = `${decay} ${scaled} ${quick} ${guards ? Object.values(guards) : ""}`;
  return memo(variants, key, () => ({
    engine_decay_style: stepShader.constants[`engine_${decay.toUpperCase()}`] ?? 0,
    engine_scaled: Number(scaled),
    ...(quick === undefined ? {} : { [QUICK]: Number(quick) }),
    ...guards,
  }));
}

export const storage = (
  binding: number,
  access: "read" | "read_write",
  name: string,
  type = "engine_Lanes",
) => `@group(1) @binding(${binding}) var<storage, ${access}> engine_${name}: array<${type}>;\n`;

/** The bindings of a step. What of them a kernel does not use, it need not name. */
export const stepBindings = (
  { states, compensation, beside = [] }: StepShader,
  fromOrigin: boolean,
): string =>
  storage(1, "read_write", "parameters") +
  storage(2, "read", "gradients", "engine_Bits") +
  [
    ...states.map((name) => `state_${name}`),
    ...(fromOrigin ? ["origin"] : []),
    ...(compensation ? ["compensation"] : []),
    ...beside,
  ]
    .map((name, index) => storage(3 + index, "read_write", name))
    .join("");

export const declareState = ({ states }: RuleShader) =>
  states.length > 0 ? "\n  var engine_state: State;" : "";
export const loadStates = ({ states }: RuleShader) =>
  states.map((name) => `\n  engine_state.${name} = engine_widen(engine_state_${name}[engine_i]);`).join("");
export const storeStates = ({ states }: RuleShader, value = (name: string) => `engine_state.${name}`) =>
  states.map((name) => `\n  engine_state_${name}[engine_i] = engine_narrow(${value(name)});`).join("");

/** The body of a kernel with a lane an invocation. */
export const laneEntry = (body: string, lane = "engine_id.x") => `
@compute @workgroup_size(${WORKGROUP})
fn engine_main(@builtin(global_invocation_id) engine_id: vec3u) {
  if (engine_outside(${lane})) {
    return;
  }
  let engine_lane = engine_id.x;
  let engine_i = engine_chunk.first + engine_lane;${body}
}
`;

/** Parameter, gradient with all stages before the rule, and state of a lane. @param guarded whether guards limit the gradient */
export const loadLane = (shader: StepShader, fromOrigin: boolean, guarded: boolean) => `
  let engine_point = engine_widen(engine_parameters[engine_i]);
  let engine_parameter = ${fromOrigin ? "engine_widen(engine_origin[engine_i])" : "engine_point"};
  let engine_read = ${shader.ready ? "bitcast<vec4f>" : "engine_gradient_of"}(engine_widen_bits(engine_gradients[engine_chunk.gradient_first + engine_lane]));
  let engine_gradient = engine_coupled(${guarded && !shader.ready ? "engine_limited(engine_read, engine_factor)" : "engine_read"}, engine_point);${declareState(shader)}${loadStates(shader)}`;

/** What the rule gives for a lane. */
export const updateOf = ({ stateful, sums }: RuleShader) => {
  const given = [
    "engine_parameter",
    "engine_gradient",
    ...(stateful ? ["&engine_state"] : []),
    ...(sums.length > 0 ? ["engine_settled"] : []),
  ];
  return `update(${given.join(", ")})`;
};

/** The update of a lane. */
export const stepLane = (shader: StepShader, fromOrigin: boolean, guarded: boolean): string => {
  if (shader.lane) return shader.lane(fromOrigin, guarded);
  const { caution, linear } = shader;
  const update = updateOf(shader);
  const plain = { load: "", next: "engine_parameter - engine_change", store: "" };
  const { load, next, store } = shader.compensation ?? plain;
  return `${loadLane(shader, fromOrigin, guarded)}
  let engine_change = engine_decayed(engine_parameter, ${caution?.keep(update) ?? update});${load}
  let engine_next = ${linear && !caution ? next : `engine_marked(${next}, engine_gradient)`};
  engine_parameters[engine_i] = engine_narrow(engine_next);${store}${storeStates(shader)}`;
};

/** What a step is written with, before its entry. */
export const stepHead = (shader: StepShader, width: Form, fromOrigin: boolean): string =>
  `${shader.code}\n${overLanes(width)}${stepShader.code}${shader.compensation?.code ?? ""}${shader.caution?.code ?? ""}${stepBindings(shader, fromOrigin)}`;

/**
 * The step: θ ← θ − (update + decay).
 * @param fromOrigin whether the parameters were moved to take the gradient, and θ is what was kept
 */
export const composeStep = (shader: StepShader, width: Form, fromOrigin: boolean): string =>
  stepHead(shader, width, fromOrigin) + laneEntry(stepLane(shader, fromOrigin, false));
