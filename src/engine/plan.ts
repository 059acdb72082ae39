import { CHUNK_SIZE } from "./compose.js";
import type { Range, Tensor } from "./parameters.js";
import { chunkLayout } from "./pipelines.js";
import { BLOCK } from "./slots.js";
import { cutChunks, joinSpans, type PlanLimits, type Span, type Width, WORKGROUP } from "./spans.js";

/** One dispatch, ready to encode. */
export interface Dispatch {
  readonly width: Width;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: number;
}

/** Uniforms of chunks, `{ first, gradient_first, count }` each; equal ones share a place. */
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

  binding(first: number, gradientFirst: number, count: number): GPUBufferBinding {
    const key = `${first},${gradientFirst},${count}`;
    let place = this.#places.get(key);
    if (!place) {
      place = { buffer: this.#withRoom(), offset: this.#used };
      this.#device.queue.writeBuffer(
        place.buffer,
        place.offset,
        new Uint32Array([first, gradientFirst, count, 0]),
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
  /** Read only; laid out as the caller likes. */
  readonly gradient?: (tensor: Tensor) => Range;
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

/**
 * Turns tensors into dispatches. Bind groups are kept by the identity of the gradient buffer, weakly: autodiff
 * libraries recycle a handful.
 */
export class Planner {
  readonly #device: GPUDevice;
  readonly #limits: PlanLimits;
  readonly #uniforms: ChunkUniforms;
  readonly #streams: Streams;
  readonly #known = new WeakMap<GPUBuffer, Map<string, readonly Dispatch[]>>();

  constructor(device: GPUDevice, limits: PlanLimits, uniforms: ChunkUniforms, streams: Streams) {
    this.#device = device;
    this.#limits = limits;
    this.#uniforms = uniforms;
    this.#streams = streams;
  }

  /** @param tensors sorted; @param gradient overrides where the gradient is read */
  plan(tensors: readonly Tensor[], gradient = this.#streams.gradient): readonly Dispatch[] {
    const { target } = this.#streams;
    const spans = joinSpans(tensors, (tensor) =>
      gradient ? [target(tensor), gradient(tensor)] : [target(tensor)],
    );
    return spans.flatMap((span) => this.#dispatches(span, gradient));
  }

  #dispatches(span: Span, gradient: Streams["gradient"]): readonly Dispatch[] {
    const [first] = span.tensors;
    const source = gradient?.(first);
    const { buffer } = source ?? this.#streams.target(first);
    let known = this.#known.get(buffer);
    if (!known) {
      known = new Map();
      this.#known.set(buffer, known);
    }
    const key = `${first.name}\n${span.size}\n${source?.offset}`;
    let dispatches = known.get(key);
    if (!dispatches) {
      dispatches = this.#bind(span, source);
      known.set(key, dispatches);
    }
    return dispatches;
  }

  #bind(span: Span, gradient: Range | undefined): readonly Dispatch[] {
    const [tensor] = span.tensors;
    const { label, target: targetOf, others } = this.#streams;
    const target = targetOf(tensor);
    const congruent = [target, ...others.map((range) => range(tensor))];
    const alignment = this.#limits.minStorageBufferOffsetAlignment;
    const offsets = gradient ? [target.offset, gradient.offset] : [target.offset];
    const layout = chunkLayout(this.#device, storageTypes(gradient !== undefined, others.length));
    return cutChunks(span.size, offsets, this.#limits).map(({ width, start, size }) => {
      const bytes = width * 4;
      const within = (range: Range) => (range.offset + start) % alignment;
      const binding = (range: Range): GPUBufferBinding => ({
        buffer: range.buffer,
        offset: range.offset + start - within(range),
        size: within(range) + size,
      });
      const storages = gradient
        ? [binding(target), binding(gradient), ...congruent.slice(1).map(binding)]
        : congruent.map(binding);
      const uniform = this.#uniforms.binding(
        within(target) / bytes,
        gradient ? within(gradient) / bytes : 0,
        size / bytes,
      );
      return {
        width,
        workgroups: Math.ceil(size / bytes / WORKGROUP),
        bindGroup: this.#device.createBindGroup({
          label: `${label} ${tensor.name}`,
          layout,
          entries: [uniform, ...storages].map((resource, index) => ({ binding: index, resource })),
        }),
      };
    });
  }
}
