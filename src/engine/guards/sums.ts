import sumShader from "../../shaders/engine/sum.wgsl?engine";
import { type PartLanes, partsOf } from "../kernels/compose.js";
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

/** Where runs begin, and where the last one ends. @param runs that follow each other */
function firstsOf({ device, label, own }: MemoryContext, name: string, runs: readonly Run[]): GPUBuffer {
  const last = runs.at(-1);
  const firsts = Uint32Array.from([...runs.map(({ first }) => first), last ? last.first + last.count : 0]);
  const buffer = own(
    device.createBuffer({
      label: `${label} ${name}`,
      size: firsts.byteLength,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST,
    }),
  );
  device.queue.writeBuffer(buffer, 0, firsts);
  return buffer;
}

/** Adds up runs of partial sums, one an invocation, in a fixed order. */
export class Sums {
  readonly buffer: GPUBuffer;
  readonly #kernel: Kernel;
  readonly #bindGroup: GPUBindGroup;
  readonly #workgroups: number;

  /** @param runs that follow each other */
  constructor(
    context: MemoryContext,
    name: string,
    lanes: PartLanes,
    parts: GPUBuffer,
    runs: readonly Run[],
  ) {
    const { device, label, limits, own } = context;
    this.#kernel = new Kernel(device, {
      label,
      file: "engine/sum.wgsl",
      compose: () => partsOf(lanes) + sumShader.code,
      storages: STORAGES,
    });
    const bytes = 4 * lanes;
    this.buffer = own(
      device.createBuffer({
        label: `${label} ${name} sums`,
        size: Math.max(runs.length, 1) * bytes,
        usage: GPUBufferUsage.STORAGE,
      }),
    );
    const count = own(
      device.createBuffer({
        label: `${label} ${name} count`,
        size: 16,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      }),
    );
    device.queue.writeBuffer(count, 0, packStruct(sumShader.structs.Sum!, { count: runs.length }));
    this.#bindGroup = bindChunk(
      device,
      `${label} ${name}`,
      STORAGES,
      [count, firstsOf(context, `${name} runs`, runs), parts, this.buffer].map((buffer) => ({ buffer })),
    );
    this.#workgroups = Math.min(
      Math.max(1, Math.ceil(runs.length / WORKGROUP)),
      limits.maxComputeWorkgroupsPerDimension,
    );
  }

  compile(): Promise<void> {
    return this.#kernel.compile([4]);
  }

  encode(pass: GPUComputePassEncoder): void {
    pass.setPipeline(this.#kernel.pipeline(4));
    pass.setBindGroup(1, this.#bindGroup);
    pass.dispatchWorkgroups(this.#workgroups);
  }
}

/** Sums of the pieces of runs; whoever needs the sum of a run adds up its pieces, which are few. */
export class PieceSums extends Sums {
  /** Where the pieces of each run begin, and where the last ones end. */
  readonly firsts: GPUBuffer;
  readonly of: readonly Run[];

  constructor(
    context: MemoryContext,
    name: string,
    lanes: PartLanes,
    parts: GPUBuffer,
    runs: readonly Run[],
  ) {
    const { pieces, of } = cutRuns(runs);
    super(context, name, lanes, parts, pieces);
    this.firsts = firstsOf(context, `${name} pieces`, of);
    this.of = of;
  }
}
