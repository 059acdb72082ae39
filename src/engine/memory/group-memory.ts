import type { Rule } from "../../rule.js";
import type { Guard } from "../guards/guard.js";
import type { StepShader } from "../kernels/compose.js";
import type { UnitwiseGuard, UnitwisePlan } from "../unitwise/guard.js";
import type { WholeMemory } from "../whole/index.js";
import { type BufferRange, gradientOf, type Range, type Tensor } from "./parameters.js";
import { sortTensors } from "./spans.js";
import { type MemoryContext, StateMemory } from "./state.js";

/** Names of the engine's memory beside the states of a rule. */
export const ORIGIN = "lookahead_origin";
export const ACCUMULATOR = "gradient_accumulator";
export const SLOW = "slow_weights";
export const AVERAGE = "average";

/** What the f32 of the parameters cannot hold. */
export const COMPENSATION = "compensation";

/** Whether a kind of memory holds what the f32 of another cannot. */
export const isCompensation = (name: string): boolean => name.endsWith(COMPENSATION);

/** A kind of memory, and what its f32 cannot hold. */
export const compensated = (name: string): readonly [string, string] => [name, `${name}_${COMPENSATION}`];

/** What a group keeps beside the states of its rule. */
export interface Extras {
  /** Names of what holds the sum of micro-batches. */
  readonly accumulator: readonly string[];
  /** Names of copies of the parameters, and of what their f32 cannot hold. */
  readonly copies: readonly string[];
  /** Whether gradients are taken after an ascent. */
  readonly sam: boolean;
  /** Where what the f32 of a parameter cannot hold is kept. */
  readonly compensation: StepShader["compensation"];
  /** What holds updates back. */
  readonly caution: StepShader["caution"];
  /** Loaded where a rule has passes over whole tensors. */
  readonly whole: typeof import("../whole/index.js") | undefined;
  /** What guards by unit ask for. */
  readonly unitwise: UnitwisePlan | undefined;
}

/** The tensors of a group and all that is kept of each. */
export class GroupMemory {
  readonly rule: Rule;
  /** That of the rule, with what its step keeps beside it. */
  readonly shader: StepShader;
  /** Every tensor of the group, in the caller's order. */
  readonly tensors: readonly Tensor[];
  /** Those with elements, in the order of memory. */
  readonly sorted: readonly Tensor[];
  /** Whether a step starts from parameters that were kept while the gradient was taken elsewhere. */
  readonly fromOrigin: boolean;
  /** Names of what a step binds of each tensor behind parameter and gradient. */
  readonly kept: readonly string[];
  /** What passes over whole tensors need, where the rule has any. */
  readonly whole: WholeMemory | undefined;
  /** Where guards by unit work, where there are any. */
  readonly unitwise: UnitwiseGuard | undefined;
  /** Where the step reads gradients. */
  readonly gradient: (tensor: Tensor) => Range;
  readonly #memory: StateMemory;
  readonly #made: { destroy(): void }[] = [];
  readonly #states: readonly string[];

  constructor(context: MemoryContext, rule: Rule, extras: Extras, tensors: readonly Tensor[]) {
    const { shader } = rule.row;
    const { accumulator, copies, sam, compensation, caution, whole, unitwise } = extras;
    this.rule = rule;
    this.shader = { ...shader, compensation, caution, ready: unitwise !== undefined };
    this.tensors = tensors;
    this.sorted = sortTensors(tensors);
    this.fromOrigin = shader.lookahead || sam;
    const own = compensation ? [COMPENSATION] : [];
    this.kept = [...shader.states, ...(this.fromOrigin ? [ORIGIN] : []), ...own];
    this.#states = [...shader.states, ...own, ...copies];
    const initial = rule.row.initial?.(rule.options) ?? {};
    const wholeKinds = rule.row.whole && whole ? whole.kindsOf(rule.row.whole) : [];
    const kinds = [...this.kept, ...copies, ...accumulator, ...wholeKinds, ...(unitwise?.kinds ?? [])];
    context.own(this);
    const keep: MemoryContext["own"] = (resource) => {
      this.#made.push(resource);
      return resource;
    };
    this.#memory = new StateMemory(
      { ...context, own: keep },
      this.sorted,
      new Map(kinds.map((name) => [name, initial[name] ?? 0])),
    );
    this.whole = rule.row.whole && whole && new whole.WholeMemory({ ...context, own: keep }, this);
    this.unitwise = unitwise?.guard({ ...context, own: keep }, this);
    this.gradient = unitwise ? this.range(unitwise.kinds[0]!) : gradientOf;
  }

  destroy(): void {
    for (const resource of this.#made) resource.destroy();
  }

  /** Where one kind of memory of each tensor lies. */
  range(name: string): (tensor: Tensor) => Range {
    return (tensor) => this.#memory.range(tensor, name);
  }

  /** Copies back the parameters of tensors that were kept while the gradient was taken elsewhere. */
  restore(encoder: GPUCommandEncoder, tensors: readonly Tensor[]): void {
    if (!this.fromOrigin) return;
    for (const tensor of tensors) {
      const { buffer, offset } = this.#memory.range(tensor, ORIGIN);
      encoder.copyBufferToBuffer(buffer, offset, tensor.param.buffer, tensor.param.offset, tensor.size);
    }
  }

  /**
   * Names of what a checkpoint keeps of each tensor: the rule's states and settled values, slow weights, average, what of
   * these and of the parameters f32 cannot hold, and of some tensors arrays of their own shape.
   */
  get states(): readonly string[] {
    return [...this.#states, ...this.rule.row.shader.settled, ...(this.whole?.names ?? [])];
  }

  /** Whether a tensor has what others of its group keep. */
  has(tensor: Tensor, name: string): boolean {
    return !this.whole?.names.includes(name) || this.whole.array(tensor, name) !== undefined;
  }

  /**
   * As {@link range}, for callers.
   * @param guard that keeps what the rule settles
   * @throws OptimError `unknown-name`
   */
  state(tensor: Tensor, name: string, guard: Guard | undefined): BufferRange {
    const index = this.rule.row.shader.settled.indexOf(name);
    const array = this.whole?.array(tensor, name);
    if (array) return array;
    return index >= 0 && guard && tensor.size > 0
      ? guard.settled(tensor, index)
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
