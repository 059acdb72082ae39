import { OptimError } from "../../errors.js";
import * as blendShader from "../../shaders/engine/blend.wgsl?engine";
import * as copyShader from "../../shaders/engine/copy.wgsl?engine";
import type { Engine } from "../engine.js";
import type { BlendWeights, PendingStep } from "../group.js";
import { overLanes, storage } from "../kernels/compose.js";
import { type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { AVERAGE, COMPENSATION, compensated, type GroupMemory, SLOW } from "../memory/group-memory.js";
import type { Tensor } from "../memory/parameters.js";
import type { Width } from "../memory/spans.js";
import { copyFresh } from "../verbs.js";
import { code as compensation } from "./compensation.js";

export { averageWeight, slowWeight } from "../options/average-options.js";

/** Names of the copies that are kept beside the parameters, and of what their f32 cannot hold. */
export const copiesOf = ({ slow, average }: BlendWeights): readonly string[] => [
  ...(slow ? compensated(SLOW) : []),
  ...(average ? compensated(AVERAGE) : []),
];

/** What a blend reads, and writes, of what the f32 of the parameters cannot hold. @param binding where that is kept */
const ownResidual = (own: boolean, binding: number): string =>
  own
    ? `${storage(binding, "read_write", "compensation")}fn own_residual(i: u32, lost: vec4f) -> vec4f {
  return engine_widen(engine_compensation[i]);
}
fn keep_own(i: u32, residual: vec4f) {
  engine_compensation[i] = engine_narrow(residual);
}
`
    : `fn own_residual(i: u32, lost: vec4f) -> vec4f {
  return lost;
}
fn keep_own(i: u32, residual: vec4f) {
}
`;

/** The text of a blend. */
export const composeBlend = (width: Width, own: boolean): string =>
  overLanes(width) + compensation + ownResidual(own, 4) + blendShader.code;

/** Copies of the parameters that a group keeps: slow weights, a running average, states of its rule. */
export class Copies {
  readonly #group: GroupMemory;
  readonly #keep: readonly TensorPass[];
  readonly #slow: TensorPass | undefined;
  readonly #average: TensorPass | undefined;
  readonly #swap: TensorPass | undefined;

  constructor(context: PlanContext, group: GroupMemory) {
    const { row } = group.rule;
    this.#group = group;
    const lead = ({ param }: Tensor) => param;
    const copy = (name: string, swaps: boolean) => {
      const pass = new TensorPass(
        context,
        { name, lead, streams: [written(lead), written(group.range(name))] },
        "engine/copy.wgsl",
        (width) => overLanes(width) + copyShader.code,
        { swaps: Number(swaps) },
      );
      // Those of frozen tensors, too: they are evaluated.
      pass.plan(group.sorted);
      return pass;
    };
    const own = group.shader.compensation !== undefined;
    const blend = (name: string) => {
      const kept = [...compensated(name), ...(own ? [COMPENSATION] : [])];
      const pass = new TensorPass(
        context,
        { name, lead, streams: [written(lead), ...kept.map((name) => written(group.range(name)))] },
        "engine/blend.wgsl",
        (width) => composeBlend(width, own),
        { slow: Number(name === SLOW) },
      );
      pass.plan(group.active);
      return pass;
    };
    const slow = group.states.includes(SLOW);
    const average = group.states.includes(AVERAGE);
    const copies = [...(slow ? [SLOW] : []), ...(average ? [AVERAGE] : []), ...(row.startsAtParameter ?? [])];
    this.#keep = copies.map((name) => copy(name, false));
    this.#slow = slow ? blend(SLOW) : undefined;
    this.#average = average ? blend(AVERAGE) : undefined;
    const evaluated = average ? AVERAGE : row.evaluate;
    this.#swap = evaluated === undefined ? undefined : copy(evaluated, true);
  }

  /** @throws OptimError `invalid-shader` */
  async compile(): Promise<void> {
    await Promise.all([...this.#keep, this.#slow, this.#average, this.#swap].map((pass) => pass?.compile()));
  }

  /** Begins what starts as a copy of the parameters; frozen tensors too. */
  begin(pass: GPUComputePassEncoder, uniforms: GPUBindGroup, isFresh: (tensor: Tensor) => boolean): void {
    const fresh = this.#group.sorted.filter(isFresh);
    for (const keep of this.#keep) {
      keep.plan(fresh);
      keep.encode(pass, uniforms, 0);
    }
  }

  /** Moves slow weights and average towards the parameters, as far as the step's uniforms say. */
  blend(
    pass: GPUComputePassEncoder,
    uniforms: GPUBindGroup,
    at: number,
    { slow, average }: Pick<PendingStep, "slow" | "average">,
  ): void {
    if (slow) this.#slow?.encode(pass, uniforms, at);
    if (average) this.#average?.encode(pass, uniforms, at);
  }

  /** Exchanges the parameters with those to evaluate at. */
  swap(pass: GPUComputePassEncoder, uniforms: GPUBindGroup): void {
    this.#swap?.encode(pass, uniforms, 0);
  }
}

/** The exchange with the parameters to evaluate at. */
export function encodeSwap(engine: Engine, encoder: GPUCommandEncoder): void {
  const { groups, label, machine } = engine;
  const average = engine.checked.blends.average !== undefined;
  if (!groups.every(({ hasAverage }) => hasAverage))
    throw new OptimError("invalid-argument", `'${label}' has no average`, {
      expected: `the option average or a schedule-free rule, and in each group a step that counts`,
      got: average ? "a group without such a step" : "a group without either, or without a step",
      fix: average ? "train on" : "pass average: {} to createOptimizer, or take a step first",
    });
  const pass = encoder.beginComputePass({ label: `${label} swap` });
  copyFresh(engine, pass);
  for (const copies of machine.copies) copies.swap(pass, machine.slots.bindGroup);
  pass.end();
  engine.averaged = !engine.averaged;
}
