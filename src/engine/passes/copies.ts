import { OptimError } from "../../errors.js";
import * as blendShader from "../../shaders/engine/blend.wgsl?engine";
import type { Engine } from "../engine.js";
import type { PendingStep } from "../group.js";
import { overLanes } from "../kernels/compose.js";
import { type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { AVERAGE, type GroupMemory, SLOW } from "../memory/group-memory.js";
import type { Tensor } from "../memory/parameters.js";
import { copyFresh } from "../verbs.js";

export { averageWeight, slowWeight } from "../options/average-options.js";

/** What a blend does with the parameters and their copy. */
type BlendKind = "KEEP" | "SLOW" | "AVERAGE" | "SWAP";

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
    const blend = (kind: BlendKind, name: string, tensors: readonly Tensor[]) => {
      const pass = new TensorPass(
        context,
        {
          name,
          lead: ({ param }) => param,
          streams: [written(({ param }) => param), written(group.range(name))],
        },
        "engine/blend.wgsl",
        (width) => overLanes(width) + blendShader.code,
        { kind: blendShader.constants[kind]! },
      );
      pass.plan(tensors);
      return pass;
    };
    const slow = group.states.includes(SLOW);
    const average = group.states.includes(AVERAGE);
    const copies = [...(slow ? [SLOW] : []), ...(average ? [AVERAGE] : []), ...(row.startsAtParameter ?? [])];
    this.#keep = copies.map((name) => blend("KEEP", name, group.sorted));
    this.#slow = slow ? blend("SLOW", SLOW, group.active) : undefined;
    this.#average = average ? blend("AVERAGE", AVERAGE, group.active) : undefined;
    // Frozen tensors are evaluated, too.
    const evaluated = average ? AVERAGE : row.evaluate;
    this.#swap = evaluated === undefined ? undefined : blend("SWAP", evaluated, group.sorted);
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
