import type { Range, Tensor } from "../memory/parameters.js";
import type { Form } from "../memory/spans.js";
import { Kernel, type Variant } from "./pipelines.js";
import {
  accessesOf,
  type Dispatch,
  encodeLanes,
  encodeStrips,
  type PassKind,
  type PlanContext,
  Planner,
  Plans,
} from "./plan.js";

/** A kernel over tensors of a group, a lane an invocation or a strip where it keeps partial sums. */
export class TensorPass {
  readonly #kernel: Kernel;
  readonly #plans: Plans;
  readonly #encode: typeof encodeLanes;

  /** @param gradient where the gradient lies that it reads, if it reads any */
  constructor(
    context: PlanContext,
    kind: PassKind,
    file: string,
    compose: (width: Form) => string,
    constants: Readonly<Record<string, number>> = {},
    gradient?: (tensor: Tensor) => Range,
  ) {
    const { device, label } = context;
    this.#kernel = new Kernel(device, {
      label,
      file,
      compose,
      storages: accessesOf(kind.streams),
      constants,
    });
    this.#plans = new Plans(new Planner(context, kind), gradient);
    this.#encode = kind.strips ? encodeStrips : encodeLanes;
  }

  /** What it encodes for these tensors, looked up or made. */
  plan(tensors: readonly Tensor[]): readonly Dispatch[] {
    return this.#plans.of(tensors);
  }

  /** Gradients of tensors moved. */
  gradientsMoved(): void {
    this.#plans.forget();
  }

  /** @throws OptimError `invalid-shader` */
  compile(variants?: Iterable<Variant>): Promise<void> {
    return this.#kernel.compile(this.#plans.forms, variants);
  }

  /** Encodes it over tensors, with the uniforms that are set as bind group 0. */
  encode(pass: GPUComputePassEncoder, tensors: readonly Tensor[], variant?: Variant): void {
    this.#encode(pass, this.#kernel, this.plan(tensors), variant);
  }
}
