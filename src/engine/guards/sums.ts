import sumShader from "../../shaders/engine/sum.wgsl?engine";
import { bindChunk, Kernel } from "../kernels/pipelines.js";
import type { MemoryContext } from "../memory/state.js";
import { packStruct } from "../memory/struct.js";

const STORAGES = ["read-only-storage", "read-only-storage", "storage"] as const;
const WORKGROUP = 64;

/** A run of partial sums. */
export interface Run {
  readonly first: number;
  readonly count: number;
  /** Whether its first and last are beside what is counted for pieces. */
  readonly ends?: boolean;
}

/** Cuts runs into pieces: about as many as each has places, so that neither pieces nor what is left is long. */
export function cutRuns(runs: readonly Run[]): {
  readonly pieces: readonly Run[];
  readonly of: readonly Run[];
} {
  const pieces: Run[] = [];
  const of = runs.map(({ first, count, ends = false }) => {
    const start = pieces.length;
    const inner = count - (ends ? 2 : 0);
    const length = 2 ** Math.ceil(Math.log2(Math.sqrt(Math.max(inner, 1))));
    const cuts = Math.max(1, Math.ceil(inner / length));
    for (let cut = 0; cut < cuts; cut += 1) {
      const from = cut === 0 ? first : first + Number(ends) + cut * length;
      const to = cut === cuts - 1 ? first + count : first + Number(ends) + (cut + 1) * length;
      pieces.push({ first: from, count: to - from });
    }
    return { first: start, count: pieces.length - start };
  });
  return { pieces, of };
}

/** The kernel that adds up runs, and what it is made for. */
export class SumKernel {
  readonly #kernel: Kernel;

  constructor(device: GPUDevice, label: string) {
    this.#kernel = new Kernel(device, {
      label,
      file: "engine/sum.wgsl",
      compose: () => sumShader.code,
      storages: STORAGES,
    });
  }

  compile(): Promise<void> {
    return this.#kernel.compile([4]);
  }

  encode(pass: GPUComputePassEncoder, bindGroup: GPUBindGroup, workgroups: number): void {
    pass.setPipeline(this.#kernel.pipeline(4));
    pass.setBindGroup(1, bindGroup);
    pass.dispatchWorkgroups(workgroups);
  }
}

/** One pass over partial sums: a sum of each run, in a fixed order. */
class Level {
  readonly sums: GPUBuffer;
  readonly #bindGroup: GPUBindGroup;
  readonly #workgroups: number;

  /** @param runs that follow each other */
  constructor(
    { device, label, limits, own }: MemoryContext,
    name: string,
    parts: GPUBuffer,
    runs: readonly Run[],
  ) {
    const create = (what: string, size: number, usage: number) =>
      own(
        device.createBuffer({
          label: `${label} ${name} ${what}`,
          size: Math.max(size, 16),
          usage: usage | GPUBufferUsage.COPY_DST,
        }),
      );
    this.sums = create("sums", runs.length * 16, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
    const count = create("count", 16, GPUBufferUsage.UNIFORM);
    const firsts = create("runs", (runs.length + 1) * 4, GPUBufferUsage.STORAGE);
    const last = runs.at(-1);
    device.queue.writeBuffer(count, 0, packStruct(sumShader.structs.Sum!, { count: runs.length }));
    device.queue.writeBuffer(
      firsts,
      0,
      Uint32Array.from([...runs.map(({ first }) => first), last ? last.first + last.count : 0]),
    );
    this.#bindGroup = bindChunk(
      device,
      `${label} ${name}`,
      STORAGES,
      [count, firsts, parts, this.sums].map((buffer) => ({ buffer })),
    );
    this.#workgroups = Math.min(
      Math.max(1, Math.ceil(runs.length / WORKGROUP)),
      limits.maxComputeWorkgroupsPerDimension,
    );
  }

  encode(pass: GPUComputePassEncoder, kernel: SumKernel): void {
    kernel.encode(pass, this.#bindGroup, this.#workgroups);
  }
}

/** Sums of runs of strips, in two levels whatever their number: of pieces, and of the pieces of a run. */
export class Sums {
  /** vec4f each. */
  readonly buffer: GPUBuffer;
  readonly count: number;
  readonly #kernel: SumKernel;
  readonly #levels: readonly Level[];

  /** @param runs that follow each other */
  constructor(
    context: MemoryContext,
    kernel: SumKernel,
    name: string,
    partials: GPUBuffer,
    runs: readonly Run[],
  ) {
    this.#kernel = kernel;
    const { pieces, of } = cutRuns(runs);
    const level = new Level(context, `${name} pieces`, partials, pieces);
    const last = new Level(context, name, level.sums, of);
    this.#levels = [level, last];
    this.buffer = last.sums;
    this.count = runs.length;
  }

  encode(pass: GPUComputePassEncoder): void {
    for (const level of this.#levels) level.encode(pass, this.#kernel);
  }
}
