import { OptimError } from "../../errors.js";
import * as searchShader from "../../shaders/engine/search.wgsl?engine";
import { lossError } from "../device.js";
import type { BufferRange, Range, Tensor } from "../memory/parameters.js";
import { scoped } from "../memory/scoped.js";
import { packStruct, sizeOf } from "../memory/struct.js";
import { READ, USAGE } from "../memory/usage.js";

const LINE = searchShader.structs.Line!;
const LANES = searchShader.constants.LANES!;
/** Workgroups at most, each with a partial sum that the host reads. */
const WORKGROUPS = 1024;
const PARTIAL = 16;

/** What a line's gradient says. */
export interface Measure {
  /** gᵀd. */
  readonly slope: number;
  /** The largest magnitude of the gradient, and of the direction. */
  readonly gradient: number;
  readonly direction: number;
}

/** The parameters of all tensors on a line: where a step began, what it changed, and points between and beyond. */
export class Line {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #tensors: readonly Tensor[];
  readonly #made: GPUBuffer[] = [];
  readonly #uniform: GPUBuffer;
  readonly #start: GPUBuffer;
  readonly #point: GPUBuffer;
  readonly #gradient: GPUBuffer;
  readonly #partials: GPUBuffer;
  readonly #read: GPUBuffer;
  readonly #bindGroup: GPUBindGroup;
  readonly #pipelines: Readonly<Record<"direct" | "go_to" | "measure", GPUComputePipeline>>;
  readonly #count: number;
  readonly #workgroups: number;

  private constructor(device: GPUDevice, label: string, tensors: readonly Tensor[]) {
    this.#device = device;
    this.#label = label;
    this.#tensors = tensors;
    const bytes = tensors.reduce((sum, { size }) => sum + size, 0);
    this.#count = bytes / 4;
    this.#workgroups = Math.min(Math.ceil(this.#count / LANES), WORKGROUPS);
    const create = (name: string, size: number, usage: number) => {
      const buffer = device.createBuffer({ label: `${label} ${name}`, size: Math.max(size, 16), usage });
      this.#made.push(buffer);
      return buffer;
    };
    const copied = USAGE.STORAGE | USAGE.COPY_DST | USAGE.COPY_SRC;
    this.#uniform = create("line", sizeOf(LINE), USAGE.UNIFORM | USAGE.COPY_DST);
    this.#start = create("start of the line", bytes, copied);
    const direction = create("direction of the line", bytes, copied);
    this.#point = create("point of the line", bytes, copied);
    this.#gradient = create("gradient on the line", bytes, copied);
    this.#partials = create("slopes of the line", this.#workgroups * PARTIAL, copied);
    this.#read = create("slopes read", this.#workgroups * PARTIAL, USAGE.MAP_READ | USAGE.COPY_DST);
    const types = [
      "uniform",
      "read-only-storage",
      "storage",
      "storage",
      "read-only-storage",
      "storage",
    ] as const;
    const layout = device.createBindGroupLayout({
      label,
      // `GPUShaderStage.COMPUTE`
      entries: types.map((type, binding) => ({ binding, visibility: 4, buffer: { type } })),
    });
    const buffers = [this.#uniform, this.#start, direction, this.#point, this.#gradient, this.#partials];
    this.#bindGroup = device.createBindGroup({
      label,
      layout,
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const module = device.createShaderModule({ label, code: searchShader.code });
    const pipeline = (entryPoint: string) =>
      device.createComputePipeline({
        label: `${label} ${entryPoint}`,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint },
      });
    this.#pipelines = { direct: pipeline("direct"), go_to: pipeline("go_to"), measure: pipeline("measure") };
  }

  /** @throws OptimError `limit-exceeded`, `out-of-memory`, `gpu-error` or `device-lost` */
  static async over(device: GPUDevice, label: string, tensors: readonly Tensor[]): Promise<Line> {
    const bytes = tensors.reduce((sum, { size }) => sum + size, 0);
    const most = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
    if (bytes > most)
      throw new OptimError("limit-exceeded", `'${label}' has too many parameters`, {
        expected: `at most ${most} bytes (maxStorageBufferBindingSize, maxBufferSize)`,
        got: `${bytes}`,
        fix: "request the device with higher limits",
      });
    let line: Line | undefined;
    const made: GPUBuffer[] = [];
    await scoped(device, label, "stepping", made, () => {
      line = new Line(device, label, tensors);
      made.push(...line.#made);
    });
    return line!;
  }

  destroy(): void {
    for (const buffer of this.#made) buffer.destroy();
  }

  /** Copies of each tensor's range, one behind the other. */
  #each(copy: (range: BufferRange, at: number) => void, rangeOf: (tensor: Tensor) => Range): void {
    let at = 0;
    for (const tensor of this.#tensors) {
      const { buffer, offset } = rangeOf(tensor);
      copy({ buffer, offset, size: tensor.size }, at);
      at += tensor.size;
    }
  }

  #gather(encoder: GPUCommandEncoder, to: GPUBuffer, rangeOf: (tensor: Tensor) => Range): void {
    this.#each(
      ({ buffer, offset, size }, at) => encoder.copyBufferToBuffer(buffer, offset, to, at, size),
      rangeOf,
    );
  }

  #run(encoder: GPUCommandEncoder, kernel: "direct" | "go_to" | "measure"): void {
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipelines[kernel]);
    pass.setBindGroup(0, this.#bindGroup);
    pass.dispatchWorkgroups(this.#workgroups);
    pass.end();
  }

  #submit(t: number, encode: (encoder: GPUCommandEncoder) => void): void {
    this.#device.queue.writeBuffer(this.#uniform, 0, packStruct(LINE, { t, count: this.#count }));
    const encoder = this.#device.createCommandEncoder({ label: this.#label });
    encode(encoder);
    this.#device.queue.submit([encoder.finish()]);
  }

  /** The line begins where the parameters are. */
  begin(): void {
    this.#submit(0, (encoder) => this.#gather(encoder, this.#start, ({ param }) => param));
  }

  /** The line goes to where a step has moved the parameters. */
  direct(): void {
    this.#submit(1, (encoder) => {
      this.#gather(encoder, this.#point, ({ param }) => param);
      this.#run(encoder, "direct");
    });
  }

  /** Moves the parameters to a point of the line; at 0 they are what they were, bit for bit. */
  move(t: number): void {
    this.#submit(t, (encoder) => {
      if (t !== 0) this.#run(encoder, "go_to");
      this.#each(
        ({ buffer, offset, size }, at) =>
          encoder.copyBufferToBuffer(t === 0 ? this.#start : this.#point, at, buffer, offset, size),
        ({ param }) => param,
      );
    });
  }

  /** What the gradients that there are now say. @throws OptimError `device-lost` */
  async measure(): Promise<Measure> {
    this.#submit(0, (encoder) => {
      this.#gather(encoder, this.#gradient, ({ gradient }) => gradient);
      this.#run(encoder, "measure");
      encoder.copyBufferToBuffer(this.#partials, 0, this.#read, 0, this.#workgroups * PARTIAL);
    });
    try {
      await this.#read.mapAsync(READ);
    } catch (cause) {
      throw lossError(this.#device, this.#label, { cause });
    }
    const parts = new Float32Array(this.#read.getMappedRange().slice(0));
    this.#read.unmap();
    const found = { slope: 0, gradient: 0, direction: 0 };
    for (let at = 0; at < 4 * this.#workgroups; at += 4) {
      found.slope += parts[at]!;
      found.gradient = Math.max(found.gradient, parts[at + 1]!);
      found.direction = Math.max(found.direction, parts[at + 2]!);
    }
    return found;
  }
}
