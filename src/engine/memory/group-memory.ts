import type { Rule } from "../../rule.js";
import type { BufferRange, Range, Tensor } from "./parameters.js";
import { sortTensors } from "./spans.js";
import { type MemoryContext, StateMemory } from "./state.js";

/** Names of the engine's memory beside the states of a rule. */
export const ORIGIN = "lookahead_origin";
export const ACCUMULATOR = "gradient_accumulator";
export const SLOW = "slow_weights";
export const AVERAGE = "average";

/** What a group keeps beside the states of its rule. */
export interface Extras {
  readonly accumulation: boolean;
  readonly slow: boolean;
  readonly average: boolean;
  /** Whether gradients are taken after an ascent. */
  readonly sam: boolean;
}

/** The tensors of a group and all that is kept of each. */
export class GroupMemory {
  readonly rule: Rule;
  /** Every tensor of the group, in the caller's order. */
  readonly tensors: readonly Tensor[];
  /** Those with elements, in the order of memory. */
  readonly sorted: readonly Tensor[];
  /** Those of them that are stepped, and those that are not. */
  readonly active: readonly Tensor[];
  readonly frozen: readonly Tensor[];
  /** Whether a step starts from parameters that were kept while the gradient was taken elsewhere. */
  readonly fromOrigin: boolean;
  /** Values that a guard keeps of each tensor for the rule: one f32 for each field of `Settled`. */
  settled: ((tensor: Tensor, index: number) => BufferRange) | undefined;
  readonly #memory: StateMemory;
  readonly #states: readonly string[];

  constructor(
    context: MemoryContext,
    rule: Rule,
    extras: Extras,
    tensors: readonly Tensor[],
    frozen: ReadonlySet<Tensor>,
  ) {
    const { shader } = rule.row;
    const { accumulation, slow, average, sam } = extras;
    this.rule = rule;
    this.tensors = tensors;
    this.sorted = sortTensors(tensors);
    this.active = this.sorted.filter((tensor) => !frozen.has(tensor));
    this.frozen = this.sorted.filter((tensor) => frozen.has(tensor));
    this.fromOrigin = shader.lookahead || sam;
    this.#states = [...shader.states, ...(slow ? [SLOW] : []), ...(average ? [AVERAGE] : [])];
    const initial = rule.row.initial?.(rule.options) ?? {};
    const kinds = [
      ...this.#states,
      ...(this.fromOrigin ? [ORIGIN] : []),
      ...(accumulation ? [ACCUMULATOR] : []),
    ];
    this.#memory = new StateMemory(
      context,
      this.sorted,
      new Map(kinds.map((name) => [name, initial[name] ?? 0])),
    );
  }

  /** Where one kind of memory of each tensor lies. */
  range(name: string): (tensor: Tensor) => Range {
    return (tensor) => this.#memory.range(tensor, name);
  }

  /** Copies back the parameters that were kept while the gradient was taken elsewhere. */
  restore(encoder: GPUCommandEncoder): void {
    if (!this.fromOrigin) return;
    for (const tensor of this.active) {
      const { buffer, offset } = this.#memory.range(tensor, ORIGIN);
      encoder.copyBufferToBuffer(buffer, offset, tensor.param.buffer, tensor.param.offset, tensor.size);
    }
  }

  /** Names of what a checkpoint keeps of each tensor: the rule's states and settled values, slow weights, average. */
  get states(): readonly string[] {
    return [...this.#states, ...this.rule.row.shader.settled];
  }

  /** As {@link range}, for callers. @throws OptimError `unknown-name` */
  state(tensor: Tensor, name: string): BufferRange {
    const index = this.rule.row.shader.settled.indexOf(name);
    return index >= 0 && this.settled && tensor.size > 0
      ? this.settled(tensor, index)
      : this.#memory.bufferRange(tensor, name);
  }
}

/** A tensor and its group's memory. */
export interface GroupTensor {
  readonly tensor: Tensor;
  readonly group: GroupMemory;
}

/** Every tensor by its name. */
export const byName = (groups: readonly GroupMemory[]): ReadonlyMap<string, GroupTensor> =>
  new Map(groups.flatMap((group) => group.tensors.map((tensor) => [tensor.name, { tensor, group }])));
