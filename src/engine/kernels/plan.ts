import type { Range, Tensor } from "../memory/parameters.js";
import { BLOCK } from "../memory/slots.js";
import {
  type Chunk,
  cutChunks,
  joinSpans,
  type PlanLimits,
  type Span,
  type Width,
  WORKGROUP,
} from "../memory/spans.js";
import { CHUNK_SIZE } from "./compose.js";
import { chunkLayout } from "./pipelines.js";

/** One dispatch, ready to encode. */
export interface Dispatch {
  readonly width: Width;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: number;
}

/** Uniforms of chunks, `engine_Chunk` each; equal ones share a place. */
export class ChunkUniforms {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #places = new Map<string, { buffer: GPUBuffer; offset: number }>();
  readonly #buffers: GPUBuffer[] = [];
  #used = 0;

  constructor(device: GPUDevice, label: string) {
    this.#device = device;
    this.#label = label;
  }

  /**
   * @param item of monitored steps only
   * @param sums `settled` and `measured` of `engine_Chunk`, of rules with sums only
   */
  binding(
    first: number,
    gradientFirst: number,
    count: number,
    item = 0,
    sums: readonly [settled: number, measured: number] = [0, 0],
  ): GPUBufferBinding {
    const key = `${first},${gradientFirst},${count},${item},${sums.join()}`;
    let place = this.#places.get(key);
    if (!place) {
      place = { buffer: this.#withRoom(), offset: this.#used };
      this.#device.queue.writeBuffer(
        place.buffer,
        place.offset,
        new Uint32Array([first, gradientFirst, count, item, ...sums]),
      );
      this.#used += BLOCK;
      this.#places.set(key, place);
    }
    return { ...place, size: CHUNK_SIZE };
  }

  /** The last buffer, or one of twice its size where that is full. */
  #withRoom(): GPUBuffer {
    const last = this.#buffers.at(-1);
    if (last && this.#used < last.size) return last;
    const buffer = this.#device.createBuffer({
      label: `${this.#label} chunks ${this.#buffers.length}`,
      size: last ? last.size * 2 : 16 * BLOCK,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    this.#buffers.push(buffer);
    this.#used = 0;
    return buffer;
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
  }
}

/** The storage buffers of one kind of pass over the tensors of a group. */
export interface Streams {
  readonly label: string;
  /** What the pass writes; its offset decides the index of all but the gradient. */
  readonly target: (tensor: Tensor) => Range;
  /** Engine memory, congruent with the target. */
  readonly others: readonly ((tensor: Tensor) => Range)[];
}

/** Types of the bindings after the chunk, in order. */
export function storageTypes(gradient: boolean, others: number): readonly GPUBufferBindingType[] {
  return [
    "storage",
    ...(gradient ? ["read-only-storage" as const] : []),
    ...Array.from({ length: others }, () => "storage" as const),
  ];
}

/** A chunk's part of a range, from an offset that WebGPU can bind; `first` is the chunk's first lane in it. */
export function bindChunk(
  range: Range,
  { width, start, size }: Chunk,
  { minStorageBufferOffsetAlignment }: PlanLimits,
) {
  const within = (range.offset + start) % minStorageBufferOffsetAlignment;
  const binding: GPUBufferBinding = {
    buffer: range.buffer,
    offset: range.offset + start - within,
    size: within + size,
  };
  return { binding, first: within / (4 * width) };
}

/** Dispatches of a pass over a span, one a chunk. */
export function bindSpan(
  device: GPUDevice,
  limits: PlanLimits,
  uniforms: ChunkUniforms,
  { label, target, others }: Streams,
  span: Span,
  gradient: Range | undefined,
): readonly Dispatch[] {
  const [tensor] = span.tensors;
  const written = target(tensor);
  const offsets = gradient ? [written.offset, gradient.offset] : [written.offset];
  const layout = chunkLayout(device, storageTypes(gradient !== undefined, others.length));
  return cutChunks(span.size, offsets, limits).map((chunk) => {
    const { binding, first } = bindChunk(written, chunk, limits);
    const read = gradient && bindChunk(gradient, chunk, limits);
    const lanes = chunk.size / (4 * chunk.width);
    const resources = [
      uniforms.binding(first, read?.first ?? 0, lanes),
      binding,
      ...(read ? [read.binding] : []),
      ...others.map((range) => bindChunk(range(tensor), chunk, limits).binding),
    ];
    return {
      width: chunk.width,
      workgroups: Math.ceil(lanes / WORKGROUP),
      bindGroup: device.createBindGroup({
        label: `${label} ${tensor.name}`,
        layout,
        entries: resources.map((resource, index) => ({ binding: index, resource })),
      }),
    };
  });
}

/**
 * Turns tensors into what one pass encodes for them. What was bound for a span is kept by the identity of its gradient
 * buffer, weakly: autodiff libraries recycle a handful.
 */
export class Planner<D> {
  readonly #target: (tensor: Tensor) => Range;
  readonly #bind: (span: Span, gradient: Range | undefined) => readonly D[];
  readonly #mayGoOn: ((end: number) => boolean) | undefined;
  readonly #known = new WeakMap<GPUBuffer, Map<string, readonly D[]>>();

  /** @param mayGoOn as for `joinSpans` */
  constructor(
    target: (tensor: Tensor) => Range,
    bind: (span: Span, gradient: Range | undefined) => readonly D[],
    mayGoOn?: (end: number) => boolean,
  ) {
    this.#target = target;
    this.#bind = bind;
    this.#mayGoOn = mayGoOn;
  }

  /** @param tensors sorted */
  plan(tensors: readonly Tensor[], gradient?: (tensor: Tensor) => Range): readonly D[] {
    const ranges = (tensor: Tensor) =>
      gradient ? [this.#target(tensor), gradient(tensor)] : [this.#target(tensor)];
    return joinSpans(tensors, ranges, this.#mayGoOn).flatMap((span) => {
      const source = gradient?.(span.tensors[0]);
      return this.#bound(span, source ?? this.#target(span.tensors[0]), () => this.#bind(span, source));
    });
  }

  #bound({ tensors: [first], size }: Span, range: Range, bind: () => readonly D[]): readonly D[] {
    let known = this.#known.get(range.buffer);
    if (!known) {
      known = new Map();
      this.#known.set(range.buffer, known);
    }
    const key = `${first.name}\n${size}\n${range.offset}`;
    let bound = known.get(key);
    if (!bound) {
      bound = bind();
      known.set(key, bound);
    }
    return bound;
  }
}
