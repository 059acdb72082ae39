import { OptimError } from "../../errors.js";
import * as blendShader from "../../shaders/engine/blend.wgsl?engine";
import * as copyShader from "../../shaders/engine/copy.wgsl?engine";
import * as swapShader from "../../shaders/engine/swap.wgsl?engine";
import type { Engine } from "../engine.js";
import type { BlendWeights } from "../group.js";
import { overLanes, storage } from "../kernels/compose.js";
import { type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { AVERAGE, COMPENSATION, compensated, type GroupMemory, SLOW } from "../memory/group-memory.js";
import type { Tensor } from "../memory/parameters.js";
import type { Form } from "../memory/spans.js";
import type { MemoryContext } from "../memory/state.js";
import { takeMapped } from "../memory/take-mapped.js";
import { READ, USAGE } from "../memory/usage.js";
import type { PendingStep } from "../scalars.js";
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
export const composeBlend = (width: Form, own: boolean): string =>
  overLanes(width) + compensation + ownResidual(own, 4) + blendShader.code;

/** Copies of the parameters that a group keeps: slow weights, a running average, states of its rule. */
export class Copies {
  readonly #group: GroupMemory;
  readonly #keep: readonly TensorPass[];
  readonly #slow: TensorPass | undefined;
  readonly #average: TensorPass | undefined;
  readonly #swap: TensorPass | undefined;

  /** @param flag whether they have begun: `1`, in a buffer */
  constructor(context: PlanContext, group: GroupMemory, flag: GPUBuffer) {
    const { row } = group.rule;
    this.#group = group;
    const lead = ({ param }: Tensor) => param;
    const copy = (name: string) =>
      new TensorPass(
        context,
        {
          name,
          lead,
          streams: [
            { access: "read-only-storage", range: lead },
            written(group.range(name)),
            { access: "read-only-storage", whole: flag },
          ],
        },
        "engine/copy.wgsl",
        (width) => overLanes(width) + copyShader.code,
      );
    const swap = (name: string) =>
      new TensorPass(
        context,
        { name, lead, streams: [written(lead), written(group.range(name))] },
        "engine/swap.wgsl",
        (width) => overLanes(width) + swapShader.code,
      );
    const own = group.shader.compensation !== undefined;
    const blend = (name: string) => {
      const kept = [...compensated(name), ...(own ? [COMPENSATION] : [])];
      return new TensorPass(
        context,
        {
          name,
          all: group.sorted,
          lead,
          streams: [written(lead), ...kept.map((name) => written(group.range(name)))],
        },
        "engine/blend.wgsl",
        (width) => composeBlend(width, own),
        { slow: Number(name === SLOW) },
      );
    };
    const slow = group.states.includes(SLOW);
    const average = group.states.includes(AVERAGE);
    const copies = [...(slow ? [SLOW] : []), ...(average ? [AVERAGE] : []), ...(row.startsAtParameter ?? [])];
    this.#keep = copies.map(copy);
    this.#slow = slow ? blend(SLOW) : undefined;
    this.#average = average ? blend(AVERAGE) : undefined;
    const evaluated = average ? AVERAGE : row.evaluate;
    this.#swap = evaluated === undefined ? undefined : swap(evaluated);
    // Those of frozen tensors, too: they are evaluated.
    for (const pass of [...this.#keep, this.#swap]) pass?.plan(group.sorted);
  }

  /** Binds what blends encode for tensors. */
  plan(tensors: readonly Tensor[]): void {
    for (const pass of [this.#slow, this.#average]) pass?.plan(tensors);
  }

  /** @throws OptimError `invalid-shader` */
  async compile(): Promise<void> {
    await Promise.all([...this.#keep, this.#slow, this.#average, this.#swap].map((pass) => pass?.compile()));
  }

  /** Begins what starts as a copy of the parameters, where that is yet to be; frozen tensors too. */
  begin(pass: GPUComputePassEncoder, tensors: readonly Tensor[]): void {
    for (const keep of this.#keep) keep.encode(pass, tensors);
  }

  get tensors(): readonly Tensor[] {
    return this.#group.sorted;
  }

  /** Moves slow weights and average of tensors towards the parameters, as far as the step's uniforms say. */
  blend(
    pass: GPUComputePassEncoder,
    tensors: readonly Tensor[],
    { slow, average }: Pick<PendingStep, "slow" | "average">,
  ): void {
    if (slow) this.#slow?.encode(pass, tensors);
    if (average) this.#average?.encode(pass, tensors);
  }

  /** Exchanges the parameters with those to evaluate at. */
  swap(pass: GPUComputePassEncoder): void {
    this.#swap?.encode(pass, this.#group.sorted);
  }
}

/** The buffer that says whether copies have begun. */
export const flagOf = (device: GPUDevice, label: string): GPUBuffer =>
  device.createBuffer({
    label: `${label} begun`,
    size: 4,
    usage: USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST,
  });

/**
 * Gives copies of tensors before their first step what the parameters are then. The GPU keeps whether that has happened:
 * an encoder may never be submitted, and a submit may be dropped.
 */
export class Beginning {
  readonly #device: GPUDevice;
  readonly #flag: GPUBuffer;
  readonly #one: GPUBuffer;
  readonly #staging: GPUBuffer;
  readonly #copies: readonly Copies[];
  /** Of each group, tensors that are yet to begin; undefined where that is to be looked up. */
  #fresh: readonly (readonly Tensor[])[] | undefined;
  #answer: Promise<boolean> | undefined;

  constructor({ device, label, own }: MemoryContext, flag: GPUBuffer, copies: readonly Copies[]) {
    const create = (name: string, usage: number) =>
      own(device.createBuffer({ label: `${label} ${name}`, size: 4, usage: usage | USAGE.COPY_DST }));
    this.#device = device;
    this.#flag = flag;
    this.#one = create("one", USAGE.COPY_SRC);
    device.queue.writeBuffer(this.#one, 0, new Uint32Array([1]));
    this.#staging = create("begun", USAGE.MAP_READ);
    this.#copies = copies;
  }

  #lists({ begun }: Engine): readonly (readonly Tensor[])[] {
    this.#fresh ??= this.#copies.map(({ tensors }) => tensors.filter((tensor) => !begun.has(tensor)));
    return this.#fresh;
  }

  /** @param begins whether they have begun with it: before a step */
  encode(encoder: GPUCommandEncoder, engine: Engine, begins: boolean): void {
    const lists = this.#lists(engine);
    if (lists.every(({ length }) => length === 0)) return;
    const pass = encoder.beginComputePass({ label: `${engine.label} copies` });
    pass.setBindGroup(0, engine.machine.slots.bindGroup, [0, 0]);
    this.#copies.forEach((copies, index) => {
      copies.begin(pass, lists[index]!);
    });
    pass.end();
    if (begins) encoder.copyBufferToBuffer(this.#one, 0, this.#flag, 0, 4);
  }

  /** Asks whether they have begun, after a submit. */
  poll(engine: Engine): void {
    if (!this.#answer && this.#lists(engine).some(({ length }) => length > 0)) void this.learn(engine);
  }

  /** Takes down whether they have begun. */
  async learn(engine: Engine): Promise<void> {
    while (this.#answer) await this.#answer;
    const lists = this.#lists(engine);
    this.#answer = this.#read();
    const begun = await this.#answer;
    this.#answer = undefined;
    if (!begun || this.#fresh !== lists) return;
    for (const tensor of lists.flat()) engine.begun.add(tensor);
    this.#fresh = undefined;
  }

  async #read(): Promise<boolean> {
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(this.#flag, 0, this.#staging, 0, 4);
    this.#device.queue.submit([encoder.finish()]);
    try {
      await this.#staging.mapAsync(READ);
    } catch {
      // Destroyed, or the device is lost.
      return false;
    }
    const bytes = takeMapped(this.#staging);
    return bytes !== undefined && new Uint32Array(bytes)[0] === 1;
  }

  /** Begins anew with tensors that have not begun. */
  reset(): void {
    this.#fresh = undefined;
    this.#device.queue.writeBuffer(this.#flag, 0, new Uint32Array([0]));
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
  machine.beginning?.encode(encoder, engine, false);
  const pass = encoder.beginComputePass({ label: `${label} swap` });
  pass.setBindGroup(0, machine.slots.bindGroup, [0, 0]);
  for (const copies of machine.copies) copies.swap(pass);
  pass.end();
  engine.averaged = !engine.averaged;
}
