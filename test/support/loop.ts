// A training loop that needs nothing but a device, in a page and in a worker: a plain WGSL kernel computes gradients.
import {
  type Arena,
  createArena,
  createOptimizer,
  type Optimizer,
  type OptimizerOptions,
  type Rule,
} from "../../src/index.js";
import { read } from "./buffers.js";
import { normals } from "./numbers.js";

const GRADIENT = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i < arrayLength(&gradient)) {
    gradient[i] = (0.1 + 0.3 * f32(i % 7u)) * x[i] - 0.25 * f32(i % 5u) + 0.01 * x[i] * x[i];
  }
}`;

/** Parameters and states of a loop, as f32. */
export type Snapshot = readonly Float32Array[];

export type LoopOptions = Omit<OptimizerOptions, "rule" | "parameters" | "groups"> & {
  readonly rule: Rule;
  /** Of each tensor; multiples of 64, so that an arena has no padding. Default 64 and 128. */
  readonly lengths?: readonly number[];
};

/** An optimizer over an arena of tensors `x`, `x1`, …, and the kernel that computes their gradients. */
export class Loop {
  readonly device: GPUDevice;
  readonly arena: Arena;
  readonly optimizer: Optimizer;
  readonly #pipeline: GPUComputePipeline;
  readonly #bindGroup: GPUBindGroup;
  readonly #states: readonly string[];

  private constructor(
    device: GPUDevice,
    arena: Arena,
    optimizer: Optimizer,
    states: readonly string[],
    pipeline: GPUComputePipeline,
  ) {
    this.device = device;
    this.arena = arena;
    this.optimizer = optimizer;
    this.#states = states;
    this.#pipeline = pipeline;
    this.#bindGroup = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [arena.parameters, arena.gradients].map((buffer, binding) => ({
        binding,
        resource: { buffer },
      })),
    });
  }

  static async make(
    device: GPUDevice,
    { lengths = [64, 128], rule, ...options }: LoopOptions,
  ): Promise<Loop> {
    const arena = createArena(device, [
      Object.fromEntries(lengths.map((length, i) => [i === 0 ? "x" : `x${i}`, [length]])),
    ]);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    device.queue.writeBuffer(arena.parameters, 0, normals(7, total).slice());
    const pipeline = device.createComputePipeline({
      layout: "auto",
      compute: { module: device.createShaderModule({ code: GRADIENT }) },
    });
    try {
      const optimizer = await createOptimizer(device, { ...options, rule, parameters: arena.groups[0]! });
      return new Loop(device, arena, optimizer, rule.row.shader.states, pipeline);
    } catch (error) {
      arena.destroy();
      throw error;
    }
  }

  /** Computes the gradients at the current parameters. */
  encodeGradient(encoder: GPUCommandEncoder): void {
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#bindGroup);
    pass.dispatchWorkgroups(Math.ceil(this.arena.parameters.size / 256));
    pass.end();
  }

  /** Look-ahead, gradient and step. */
  encode(encoder: GPUCommandEncoder): void {
    this.optimizer.lookahead(encoder);
    this.encodeGradient(encoder);
    this.optimizer.encode(encoder);
  }

  /** Steps in one submit. */
  run(steps: number): void {
    const encoder = this.device.createCommandEncoder();
    for (let step = 0; step < steps; step += 1) this.encode(encoder);
    this.device.queue.submit([encoder.finish()]);
    this.optimizer.submitted();
  }

  get #ranges() {
    const tensors = this.arena.groups.flat();
    return tensors.flatMap(({ name, param }) => [
      param,
      ...this.#states.map((state) => this.optimizer.state(name, state)),
    ]);
  }

  /** Parameters and states after all that was submitted. */
  async snapshot(): Promise<Snapshot> {
    return await read(this.device, this.#ranges);
  }

  destroy(): void {
    this.optimizer.destroy();
    this.arena.destroy();
  }
}
