import type { Range, Tensor } from "../memory/parameters.js";
import type { Width } from "../memory/spans.js";
import { Kernel, type Variant } from "./pipelines.js";
import {
  accessesOf,
  type Dispatch,
  encodeLanes,
  encodeStrips,
  type PassKind,
  type PlanContext,
  Planner,
  widthsOf,
} from "./plan.js";

/** A kernel over the tensors of a group, a lane an invocation or a strip where it keeps partial sums, and what it encodes. */
export class TensorPass {
  readonly #kernel: Kernel;
  readonly #planner: Planner;
  readonly #encode: typeof encodeLanes;
  #dispatches: readonly Dispatch[] = [];

  constructor(
    context: PlanContext,
    kind: PassKind,
    file: string,
    compose: (width: Width) => string,
    constants: Readonly<Record<string, number>> = {},
  ) {
    const { device, label } = context;
    this.#kernel = new Kernel(device, {
      label,
      file,
      compose,
      storages: accessesOf(kind.streams),
      constants,
    });
    this.#planner = new Planner(context, kind);
    this.#encode = kind.strips ? encodeStrips : encodeLanes;
  }

  /** Looks up, or makes, what it encodes for these tensors. */
  plan(tensors: readonly Tensor[], gradient?: (tensor: Tensor) => Range): void {
    this.#dispatches = this.#planner.plan(tensors, gradient);
  }

  get dispatches(): readonly Dispatch[] {
    return this.#dispatches;
  }

  /** @throws OptimError `invalid-shader` */
  compile(variants?: Iterable<Variant>): Promise<void> {
    return this.#kernel.compile(widthsOf(this.#dispatches), variants);
  }

  /** @param at dynamic offset of the group's uniforms */
  encode(pass: GPUComputePassEncoder, uniforms: GPUBindGroup, at: number, variant?: Variant): void {
    pass.setBindGroup(0, uniforms, [at, at]);
    this.encodeOver(pass, variant);
  }

  /** As {@link encode}, with the uniforms that are set. */
  encodeOver(pass: GPUComputePassEncoder, variant?: Variant): void {
    this.#encode(pass, this.#kernel, this.#dispatches, variant);
  }
}
