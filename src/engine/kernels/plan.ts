import { memo } from "../../memo.js";
import * as chunkShader from "../../shaders/engine/chunk.wgsl?engine";
import type { Range, Tensor } from "../memory/parameters.js";
import { BLOCK } from "../memory/slots.js";
import {
  type Chunk,
  cutChunks,
  type Form,
  joinSpans,
  type PlanLimits,
  parting,
  type Span,
  STRIP,
  type Width,
  WORKGROUP,
} from "../memory/spans.js";
import { packStruct, sizeOf } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import type { PartedSpan } from "./parted.js";
import { type Access, describeChunk, type Kernel, type Variant } from "./pipelines.js";

/** One dispatch, ready to encode. */
export interface Dispatch {
  readonly form: Form;
  readonly width: Width;
  readonly bindGroup: GPUBindGroup;
  readonly lanes: number;
  /** Place of its first partial sum, where it has one. */
  readonly strip: number;
}

const CHUNK = chunkShader.structs.engine_Chunk!;

/** Uniforms of chunks, `engine_Chunk` each; equal ones share a place. */
export class ChunkUniforms {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #places = new Map<string, { buffer: GPUBuffer; offset: number }>();
  readonly #buffers: GPUBuffer[] = [];
  readonly #parted = new Set<WeakRef<GPUBuffer>>();
  #used = 0;

  constructor(device: GPUDevice, label: string) {
    this.#device = device;
    this.#label = label;
  }

  binding(chunk: Readonly<Record<string, number>>): GPUBufferBinding {
    const place = memo(this.#places, Object.values(chunk).join(), () => {
      const place = { buffer: this.#withRoom(), offset: this.#used };
      this.#device.queue.writeBuffer(place.buffer, place.offset, packStruct(CHUNK, chunk));
      this.#used += BLOCK;
      return place;
    });
    return { ...place, size: Math.ceil(sizeOf(CHUNK) / 16) * 16 };
  }

  /** One of their own for more than that, gone with what it is bound in. */
  own(
    chunk: Readonly<Record<string, number>>,
    size: number,
    fill: (bytes: ArrayBuffer) => void,
  ): GPUBufferBinding {
    const bytes = new ArrayBuffer(size);
    new Uint8Array(bytes).set(new Uint8Array(packStruct(CHUNK, chunk)));
    fill(bytes);
    const buffer = this.#device.createBuffer({
      label: `${this.#label} parted chunk`,
      size,
      usage: USAGE.UNIFORM | USAGE.COPY_DST,
    });
    this.#device.queue.writeBuffer(buffer, 0, bytes);
    this.#parted.add(new WeakRef(buffer));
    return { buffer, size };
  }

  /** The last buffer, or one of twice its size where that is full. */
  #withRoom(): GPUBuffer {
    const last = this.#buffers.at(-1);
    if (last && this.#used < last.size) return last;
    const buffer = this.#device.createBuffer({
      label: `${this.#label} chunks ${this.#buffers.length}`,
      size: last ? last.size * 2 : 16 * BLOCK,
      usage: USAGE.UNIFORM | USAGE.COPY_DST,
    });
    this.#buffers.push(buffer);
    this.#used = 0;
    return buffer;
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    for (const buffer of this.#parted) buffer.deref()?.destroy();
  }
}

/** What plans are made with. */
export interface PlanContext {
  readonly device: GPUDevice;
  readonly label: string;
  readonly limits: PlanLimits;
  readonly uniforms: ChunkUniforms;
  readonly bound: BoundDispatches;
}

/** A dispatch but for where its gradient lies. Chunks that lie alike share it: a fresh gradient costs a bind group. */
interface CutChunk extends Omit<Dispatch, "bindGroup"> {
  readonly chunk: Chunk;
  readonly descriptor: GPUBindGroupDescriptor;
  /** The gradient's part, filled in where it is bound. */
  readonly gradient?: { buffer: GPUBuffer; offset?: number };
}

/** The chunks of a span, by how its gradient is aligned. */
type Cuts = Map<number, readonly CutChunk[]>;

/** Dispatches of a span, and for which place of its gradient and which of its tensors. */
interface BoundPlace {
  readonly offset: number;
  readonly without: string;
  readonly dispatches: readonly Dispatch[];
}

/** What was bound for a span, by gradient buffer, which holds it weakly: autodiff libraries recycle a handful. */
export type BoundDispatches = WeakMap<GPUBuffer, Map<Cuts, BoundPlace[]>>;

/** How many places of a span's gradient in one buffer stay bound: some libraries suballocate it anew each step. */
const KEPT_PLACES = 8;

/** What a pass binds: a part of a range of each tensor, of its gradient, or a whole buffer. */
export type Stream =
  | { readonly access: Access; readonly range: (tensor: Tensor) => Range }
  | { readonly access: Access; readonly gradient: true }
  | { readonly access: Access; readonly whole: GPUBuffer };

/** Written, and laid out like the parameters. */
export const written = (range: (tensor: Tensor) => Range): Stream => ({ access: "storage", range });

/** The gradients. */
export const GRADIENT: Stream = { access: "read-only-storage", gradient: true };

export const accessesOf = (streams: readonly Stream[]): readonly Access[] =>
  streams.map(({ access }) => access);

/** Where the partial sums of tensors that follow each other lie. */
export interface StripPlace {
  readonly first: number;
  readonly count: number;
  /** Whether the first is for a head: a span may begin with a tensor that has none and end with one that has a tail. */
  readonly head: boolean;
  /** Whether the last is for a tail, or the first for a head. */
  readonly ends: boolean;
}

/** Partial sums of a pass. */
export interface Strips {
  /** Index of the owners of strips among the values of tensors. */
  readonly owners: number;
  readonly place: (span: Span) => StripPlace;
  /** As for `joinSpans`. */
  readonly mayGoOn?: (start: number, end: number) => boolean;
}

/** One kind of pass over the tensors of a group. */
export interface PassKind {
  readonly name: string;
  /** All tensors of the group, sorted. */
  readonly all?: readonly Tensor[];
  /** Its offset decides how spans are cut, and the index of all but the gradient. */
  readonly lead: (tensor: Tensor) => Range;
  readonly streams: readonly Stream[];
  readonly strips?: Strips;
}

/** A chunk's part of a range, from an offset that WebGPU can bind; `first` is the chunk's first lane in it. */
function partOf(
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

/** Place of the first partial sum of a chunk. */
export function firstStrip({ end, start }: Chunk, { first, count, head }: StripPlace): number {
  if (end === "head") return first;
  return end === "tail" ? first + count - 1 : first + Number(head) + Math.floor(start / STRIP);
}

/** Cuts a span of a pass into chunks. */
function cutSpan(
  { device, label, limits, uniforms }: PlanContext,
  { name, lead, streams, strips }: PassKind,
  { span, stepped }: PartedSpan,
  gradient: Range | undefined,
): readonly CutChunk[] {
  const { how } = parting;
  const [tensor] = span.tensors;
  const leading = lead(tensor);
  const offsets = gradient ? [leading.offset, gradient.offset] : [leading.offset];
  const place = strips?.place(span);
  const within = stepped && how ? how.limited(limits) : limits;
  return cutChunks(span.size, offsets, within, place?.ends).map((chunk) => {
    const part = (range: Range) => partOf(range, chunk, limits);
    const strip = place ? firstStrip(chunk, place) : 0;
    const lanes = chunk.size / (4 * chunk.width);
    const values = {
      first: part(leading).first,
      gradient_first: gradient ? part(gradient).first : 0,
      count: lanes,
      strip,
      owners: strips?.owners ?? 0,
    };
    const uniform =
      stepped && how
        ? uniforms.own(values, how.BYTES, (bytes) =>
            how.writeStepped(bytes, span, stepped, chunk.start, chunk.size),
          )
        : uniforms.binding(values);
    const ofGradient = gradient && part(gradient).binding;
    const resources = streams.map((stream): GPUBufferBinding => {
      if ("whole" in stream) return { buffer: stream.whole };
      return "gradient" in stream ? ofGradient! : part(stream.range(tensor)).binding;
    });
    return {
      chunk,
      form: stepped ? "parted" : chunk.width,
      width: chunk.width,
      lanes,
      strip,
      descriptor: describeChunk(device, `${label} ${name} ${tensor.name}`, accessesOf(streams), [
        uniform,
        ...resources,
      ]),
      ...(ofGradient && { gradient: ofGradient }),
    };
  });
}

/** Dispatches of chunks whose gradient lies there. */
const bindCut = (
  { device, limits }: PlanContext,
  cut: readonly CutChunk[],
  range: Range | undefined,
): readonly Dispatch[] =>
  cut.map(({ chunk, form, width, lanes, strip, descriptor, gradient }) => {
    if (gradient && range) {
      const start = range.offset + chunk.start;
      gradient.buffer = range.buffer;
      gradient.offset = start - (start % limits.minStorageBufferOffsetAlignment);
    }
    return { form, width, lanes, strip, bindGroup: device.createBindGroup(descriptor) };
  });

/** Loads what joins spans over tensors that are left out. */
export async function loadParting(): Promise<void> {
  parting.how ??= await import("./parted.js");
}

/** Turns tensors into what one kind of pass encodes for them. */
export class Planner {
  readonly #context: PlanContext;
  readonly #kind: PassKind;
  /** By first tensor and size of the span. */
  readonly #cuts = new Map<Tensor, Map<number, Cuts>>();

  constructor(context: PlanContext, kind: PassKind) {
    this.#context = context;
    this.#kind = kind;
  }

  /** @param tensors sorted */
  plan(tensors: readonly Tensor[], gradient?: (tensor: Tensor) => Range): readonly Dispatch[] {
    const { lead, strips, all = [] } = this.#kind;
    const ranges = (tensor: Tensor) => (gradient ? [lead(tensor), gradient(tensor)] : [lead(tensor)]);
    const some = tensors.length > 0 && tensors.length < all.length;
    const spans: readonly PartedSpan[] =
      (some && parting.how?.joinOver(tensors, all, ranges, strips?.mayGoOn)) ||
      joinSpans(tensors, ranges, strips?.mayGoOn).map((span) => ({ span }));
    const dispatches: Dispatch[] = [];
    for (const parted of spans) dispatches.push(...this.#bound(parted, gradient?.(parted.span.tensors[0])));
    return dispatches;
  }

  #bound(parted: PartedSpan, gradient: Range | undefined): readonly Dispatch[] {
    const { span, stepped } = parted;
    const [first] = span.tensors;
    const { buffer, offset } = gradient ?? this.#kind.lead(first);
    const ofTensor = memo(this.#cuts, first, () => new Map<number, Cuts>());
    const cuts = memo(ofTensor, span.size, (): Cuts => new Map());
    const ofBuffer = memo(this.#context.bound, buffer, () => new Map<Cuts, BoundPlace[]>());
    const places = memo(ofBuffer, cuts, () => []);
    const left = stepped && span.tensors.filter((tensor) => !stepped.has(tensor));
    const without = left?.map(({ name }) => name).join("\n") ?? "";
    const known = places.findIndex((place) => place.offset === offset && place.without === without);
    const place =
      known < 0
        ? { offset, without, dispatches: this.#bind(parted, gradient, cuts) }
        : places.splice(known, 1)[0]!;
    // The newest is the last.
    places.push(place);
    if (places.length > KEPT_PLACES) places.shift();
    return place.dispatches;
  }

  #bind(parted: PartedSpan, gradient: Range | undefined, cuts: Cuts): readonly Dispatch[] {
    const cut = () => cutSpan(this.#context, this.#kind, parted, gradient);
    const aligned = (gradient?.offset ?? 0) % this.#context.limits.minStorageBufferOffsetAlignment;
    // Uniforms of spans that leave out tensors go with what they are bound in.
    return bindCut(this.#context, parted.stepped ? cut() : memo(cuts, aligned, cut), gradient);
  }
}

/** What a pass encodes for lists of tensors, worked out once a list. */
export class Plans {
  readonly #planner: Planner;
  readonly #gradient: ((tensor: Tensor) => Range) | undefined;
  #known = new WeakMap<readonly Tensor[], readonly Dispatch[]>();
  /** The forms that there have been. */
  readonly forms = new Set<Form>();
  #parting = parting.how;

  /** @param gradient where the gradient lies that the pass reads, if it reads any */
  constructor(planner: Planner, gradient?: (tensor: Tensor) => Range) {
    this.#planner = planner;
    this.#gradient = gradient;
  }

  /** @param tensors sorted */
  of(tensors: readonly Tensor[]): readonly Dispatch[] {
    if (this.#parting !== parting.how) this.forget();
    this.#parting = parting.how;
    return memo(this.#known, tensors, () => {
      const dispatches = this.#planner.plan(tensors, this.#gradient);
      for (const { form } of dispatches) this.forms.add(form);
      return dispatches;
    });
  }

  /** Looks up again what is asked for, since gradients moved. */
  forget(): void {
    this.#known = new WeakMap();
  }
}

/** Encodes a kernel over dispatches, in workgroups of as many. */
const encodeBy =
  (workgroups: (dispatch: Dispatch) => number) =>
  (pass: GPUComputePassEncoder, kernel: Kernel, dispatches: readonly Dispatch[], variant?: Variant): void => {
    let current: Form | undefined;
    for (const dispatch of dispatches) {
      const { form, bindGroup } = dispatch;
      if (form !== current) pass.setPipeline(kernel.pipeline(form, variant));
      current = form;
      pass.setBindGroup(1, bindGroup);
      pass.dispatchWorkgroups(workgroups(dispatch));
    }
  };

/** Encodes a kernel with a lane an invocation. */
export const encodeLanes = /* @__PURE__ */ encodeBy(({ lanes }) => Math.ceil(lanes / WORKGROUP));

/** Encodes a kernel with a strip an invocation. */
export const encodeStrips = /* @__PURE__ */ encodeBy(({ lanes, width }) =>
  Math.ceil((lanes * width * 4) / STRIP / WORKGROUP),
);
