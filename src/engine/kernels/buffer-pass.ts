import type { MemoryContext } from "../memory/state.js";
import { USAGE } from "../memory/usage.js";
import { type Access, bindChunk, Kernel, type Variant } from "./pipelines.js";

/** A kernel over whole buffers. */
export interface BufferPassKind {
  readonly name: string;
  readonly file: string;
  readonly code: string;
  /** At most 16 bytes. */
  readonly uniform: ArrayBuffer;
  readonly buffers: readonly (readonly [access: Access, buffer: GPUBuffer | GPUBufferBinding])[];
  readonly workgroups: number;
  readonly constants?: Readonly<Record<string, number>>;
}

/** One dispatch over whole buffers. */
export class BufferPass {
  readonly #kernel: Kernel;
  readonly #bind: (buffers: BufferPassKind["buffers"]) => GPUBindGroup;
  readonly #workgroups: number;
  #bindGroup: GPUBindGroup;

  constructor({ device, label, limits, own }: MemoryContext, kind: BufferPassKind) {
    const { name, file, code, uniform, buffers, workgroups, constants = {} } = kind;
    const storages = buffers.map(([access]) => access);
    this.#kernel = new Kernel(device, { label, file, compose: () => code, storages, constants });
    const buffer = own(
      device.createBuffer({
        label: `${label} ${name} counts`,
        size: 16,
        usage: USAGE.UNIFORM | USAGE.COPY_DST,
      }),
    );
    device.queue.writeBuffer(buffer, 0, uniform);
    this.#bind = (buffers) =>
      bindChunk(device, `${label} ${name}`, storages, [
        { buffer },
        ...buffers.map(([, bound]) => ("buffer" in bound ? bound : { buffer: bound })),
      ]);
    this.#bindGroup = this.#bind(buffers);
    this.#workgroups = Math.min(Math.max(workgroups, 1), limits.maxComputeWorkgroupsPerDimension);
  }

  /** Reads and writes other buffers from now on, with the same accesses. */
  rebind(buffers: BufferPassKind["buffers"]): void {
    this.#bindGroup = this.#bind(buffers);
  }

  /** @throws OptimError `invalid-shader` */
  compile(variants?: Iterable<Variant>): Promise<void> {
    return this.#kernel.compile([4], variants);
  }

  /** @param offsets of what is bound as a window */
  encode(pass: GPUComputePassEncoder, variant?: Variant, offsets: readonly number[] = []): void {
    pass.setPipeline(this.#kernel.pipeline(4, variant));
    pass.setBindGroup(1, this.#bindGroup, [...offsets]);
    pass.dispatchWorkgroups(this.#workgroups);
  }
}
