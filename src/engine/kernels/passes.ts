import type { Rule } from "../../rule.js";
import type { MonitoredGroup } from "../guards/monitor.js";
import type { BufferRange, Range, Tensor } from "../memory/parameters.js";
import { type PlanLimits, sortTensors } from "../memory/spans.js";
import { StateMemory } from "../memory/state.js";
import { type Extras, type Kernel, type Kernels, stepsFromOrigin } from "./compile.js";
import { bindSpan, type ChunkUniforms, type Dispatch, Planner } from "./plan.js";

/** Engine memory beside the states of the rule. */
const ORIGIN = "lookahead_origin";
const ACCUMULATOR = "gradient_accumulator";
const SLOW = "slow_weights";
const AVERAGE = "average";

/** A tensor and the passes of its group. */
export interface GroupTensor {
  readonly tensor: Tensor;
  readonly passes: GroupPasses;
}

/** Every tensor by its name. */
export const byName = (groups: readonly GroupPasses[]): ReadonlyMap<string, GroupTensor> =>
  new Map(groups.flatMap((passes) => passes.tensors.map((tensor) => [tensor.name, { tensor, passes }])));

/** Where the caller's gradient is. */
const gradientOf = (tensor: Tensor): Range => tensor.gradient;

/** The GPU side of a group: its memory and the dispatches of each kind of pass. */
export class GroupPasses {
  /** Every tensor of the group, in the caller's order. */
  readonly tensors: readonly Tensor[];
  readonly #sorted: readonly Tensor[];
  /** Those that are stepped, sorted. */
  readonly #active: readonly Tensor[];
  readonly #rule: Rule;
  readonly #kernels: Kernels;
  readonly #fromOrigin: boolean;
  readonly #memory: StateMemory;
  readonly #states: readonly string[];
  readonly #others: readonly ((tensor: Tensor) => Range)[];
  readonly #stepPlanner: Planner<Dispatch>;
  readonly #accumulatePlanner: Planner<Dispatch>;
  readonly #lookahead: readonly Dispatch[];
  readonly #accumulatedStep: readonly Dispatch[];
  /** Of what begins as a copy of the parameters: slow weights, average, states of the rule. */
  readonly #copies: ReadonlyMap<string, Planner<Dispatch>>;
  readonly #slow: readonly Dispatch[];
  readonly #average: readonly Dispatch[];
  /** Over what the parameters are exchanged with to evaluate; frozen tensors too. */
  readonly #evaluated: readonly Dispatch[];
  #settled: ((tensor: Tensor, index: number) => BufferRange) | undefined;
  /** Over the gradients: of the step, and of an estimate of curvature in their place. */
  #step: readonly Dispatch[] = [];
  #accumulate: readonly Dispatch[] = [];

  constructor(
    device: GPUDevice,
    label: string,
    limits: PlanLimits,
    uniforms: ChunkUniforms,
    rule: Rule,
    kernels: Kernels,
    extras: Extras,
    tensors: readonly Tensor[],
    frozen: ReadonlySet<Tensor>,
    own: <T extends { destroy(): void }>(resource: T) => T,
  ) {
    const { row, options } = rule;
    const { slow, average } = extras;
    this.#fromOrigin = stepsFromOrigin(rule, extras);
    const origin = this.#fromOrigin ? [ORIGIN] : [];
    this.tensors = tensors;
    const sorted = sortTensors(tensors);
    this.#sorted = sorted;
    this.#active = sorted.filter((tensor) => !frozen.has(tensor));
    this.#rule = rule;
    this.#kernels = kernels;
    this.#states = [...row.shader.states, ...(slow ? [SLOW] : []), ...(average ? [AVERAGE] : [])];
    const initial = row.initial?.(options) ?? {};
    const kinds = [...this.#states, ...origin, ...(kernels.accumulate ? [ACCUMULATOR] : [])];
    const memory = new StateMemory(
      device,
      label,
      sorted,
      new Map(kinds.map((name) => [name, initial[name] ?? 0])),
      limits,
      own,
    );
    this.#memory = memory;
    const range = (name: string) => (tensor: Tensor) => memory.range(tensor, name);
    const parameter = (tensor: Tensor): Range => tensor.param;
    const others = [...row.shader.states, ...origin].map(range);
    const planner = (name: string, target: typeof parameter, others: readonly (typeof parameter)[]) =>
      new Planner(target, (span, gradient) =>
        bindSpan(device, limits, uniforms, { label: `${label} ${name}`, target, others }, span, gradient),
      );
    this.#others = others;
    this.#stepPlanner = planner("step", parameter, others);
    this.#accumulatePlanner = planner("accumulate", range(ACCUMULATOR), []);
    this.#lookahead = kernels.lookahead ? planner("lookahead", parameter, others).plan(this.#active) : [];
    this.#accumulatedStep =
      kernels.accumulate && kernels.steps ? this.#stepPlanner.plan(this.#active, range(ACCUMULATOR)) : [];
    const copies = [...(slow ? [SLOW] : []), ...(average ? [AVERAGE] : []), ...(row.startsAtParameter ?? [])];
    this.#copies = new Map(copies.map((name) => [name, planner(name, parameter, [range(name)])]));
    const plan = (name: string, tensors: readonly Tensor[]) => this.#copies.get(name)?.plan(tensors) ?? [];
    this.#slow = plan(SLOW, this.#active);
    this.#average = plan(AVERAGE, this.#active);
    this.#evaluated = plan(average ? AVERAGE : (row.evaluate ?? AVERAGE), sorted);
    this.gradientsMoved();
  }

  /** Looks the plans up again after the gradients of a tensor moved. */
  gradientsMoved(): void {
    const { steps, curvature, accumulate } = this.#kernels;
    if (steps || curvature) this.#step = this.#stepPlanner.plan(this.#active, gradientOf);
    if (accumulate) this.#accumulate = this.#accumulatePlanner.plan(this.#active, gradientOf);
  }

  /** The update, of the gradients or of what was accumulated. */
  step(
    pass: GPUComputePassEncoder,
    uniforms: GPUBindGroup,
    offset: number,
    { accumulated, bare }: { readonly accumulated: boolean; readonly bare: boolean },
  ): void {
    const { staged, bare: withoutStages } = this.#kernels.steps!;
    const kernel = bare ? withoutStages : staged;
    encode(pass, kernel, uniforms, offset, accumulated ? this.#accumulatedStep : this.#step);
  }

  /** Encodes every dispatch of the group with no workgroups: nothing runs, and the buffers are checked at the submit. */
  probe(pass: GPUComputePassEncoder, uniforms: GPUBindGroup): void {
    const kinds = [
      [this.#kernels.steps?.staged, this.#step],
      [this.#kernels.lookahead, this.#lookahead],
    ] as const;
    for (const [kernel, dispatches] of kinds)
      if (kernel) {
        const idle = dispatches.map((dispatch) => ({ ...dispatch, workgroups: 0 }));
        encode(pass, kernel, uniforms, 0, idle);
      }
  }

  /** Keeps the parameters and moves them to the point where the gradient is taken. */
  lookahead(pass: GPUComputePassEncoder, uniforms: GPUBindGroup, offset: number): void {
    if (this.#kernels.lookahead) encode(pass, this.#kernels.lookahead, uniforms, offset, this.#lookahead);
  }

  /** Adds the gradients to the accumulator. */
  accumulate(pass: GPUComputePassEncoder, uniforms: GPUBindGroup, offset: number): void {
    if (this.#kernels.accumulate) encode(pass, this.#kernels.accumulate, uniforms, offset, this.#accumulate);
  }

  /** Hands the rule what stands in the place of the gradients. */
  curvature(pass: GPUComputePassEncoder, uniforms: GPUBindGroup, offset: number): void {
    if (this.#kernels.curvature) encode(pass, this.#kernels.curvature, uniforms, offset, this.#step);
  }

  /** Begins what starts as a copy of the parameters, such as the average; frozen tensors too. */
  begin(pass: GPUComputePassEncoder, uniforms: GPUBindGroup, isFresh: (tensor: Tensor) => boolean): void {
    const { keep } = this.#kernels.blends;
    const fresh = this.#sorted.filter(isFresh);
    if (keep)
      for (const planner of this.#copies.values()) encode(pass, keep, uniforms, 0, planner.plan(fresh));
  }

  /** Moves slow weights and average towards the parameters, as far as the step's uniforms say. */
  blend(
    pass: GPUComputePassEncoder,
    uniforms: GPUBindGroup,
    offset: number,
    { slow, average }: { readonly slow: boolean; readonly average: boolean },
  ): void {
    const { blends } = this.#kernels;
    if (blends.slow && slow) encode(pass, blends.slow, uniforms, offset, this.#slow);
    if (blends.average && average) encode(pass, blends.average, uniforms, offset, this.#average);
  }

  /** Exchanges the parameters with those to evaluate at. */
  swapAverage(pass: GPUComputePassEncoder, uniforms: GPUBindGroup): void {
    const { swap } = this.#kernels.blends;
    if (swap) encode(pass, swap, uniforms, 0, this.#evaluated);
  }

  /** Copies back the parameters that the look-ahead kept. */
  restore(encoder: GPUCommandEncoder): void {
    if (!this.#fromOrigin) return;
    for (const tensor of this.#active) {
      const { buffer, offset } = this.#memory.range(tensor, ORIGIN);
      encoder.copyBufferToBuffer(buffer, offset, tensor.param.buffer, tensor.param.offset, tensor.size);
    }
  }

  /** What a monitor needs to run the group's steps instead. */
  get monitored(): MonitoredGroup {
    const memory = this.#memory;
    return {
      rule: this.#rule,
      tensors: this.#active,
      frozen: this.#sorted.filter((tensor) => !this.#active.includes(tensor)),
      others: this.#others,
      origin: this.#fromOrigin ? (tensor) => memory.range(tensor, ORIGIN) : undefined,
      accumulator: this.#kernels.accumulate && ((tensor) => memory.range(tensor, ACCUMULATOR)),
    };
  }

  /** Where the monitor keeps what the rule settles: one f32 of each tensor and field. */
  settleIn(settled: (tensor: Tensor, index: number) => BufferRange): void {
    this.#settled = settled;
  }

  /** Names of what a checkpoint keeps of each tensor: the rule's states and settled values, slow weights, average. */
  get states(): readonly string[] {
    return [...this.#states, ...this.#rule.row.shader.settled];
  }

  state(tensor: Tensor, name: string): BufferRange {
    const index = this.#rule.row.shader.settled.indexOf(name);
    return index >= 0 && this.#settled && tensor.size > 0
      ? this.#settled(tensor, index)
      : this.#memory.bufferRange(tensor, name);
  }
}

function encode(
  pass: GPUComputePassEncoder,
  kernel: Kernel,
  uniforms: GPUBindGroup,
  offset: number,
  dispatches: readonly Dispatch[],
): void {
  pass.setBindGroup(0, uniforms, [offset, offset]);
  let current = 0;
  for (const { width, bindGroup, workgroups } of dispatches) {
    if (width !== current) {
      pass.setPipeline(kernel[width]);
      current = width;
    }
    pass.setBindGroup(1, bindGroup);
    pass.dispatchWorkgroups(workgroups);
  }
}
