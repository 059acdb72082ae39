// The plan of a dispatch, as pure arithmetic: tensors to spans, spans to chunks.
import type { Range, Tensor } from "./parameters.js";

/** Invocations per workgroup of every kernel that works on tensors. */
export const WORKGROUP = 256;

/** The device limits that a plan depends on. */
export type PlanLimits = Pick<
  GPUSupportedLimits,
  | "minStorageBufferOffsetAlignment"
  | "maxStorageBufferBindingSize"
  | "maxComputeWorkgroupsPerDimension"
  | "maxBufferSize"
>;

/** Tensors that follow each other, padding included, in all ranges that matter. Sizes in bytes. */
export interface Span {
  readonly tensors: readonly [Tensor, ...Tensor[]];
  readonly size: number;
}

/** Elements per invocation: four, or one where the ranges do not allow it. */
export type Width = 4 | 1;

/** Texts of a kernel: by width, and over a span some tensors of which are left out. */
export type Form = Width | "parted";

/** What joins spans over tensors that are left out; loaded where steps leave some out. */
export const parting: { how?: typeof import("../kernels/parted.js") } = {};

/** One dispatch: a part of a span, starting `start` bytes into it. */
export interface Chunk {
  readonly width: Width;
  readonly start: number;
  readonly size: number;
  /** Whether it is what lies before or behind the aligned part. */
  readonly end?: "head" | "tail";
}

/**
 * Joins tensors into spans. Tensors must be sorted as `sortTensors` does.
 * @param rangesOf the ranges of a tensor that must be contiguous: its parameter, and its gradient where it is bound.
 * @param mayGoOn whether another tensor may follow those from one offset of the first range to another
 */
export function joinSpans(
  tensors: readonly Tensor[],
  rangesOf: (tensor: Tensor) => readonly Range[],
  mayGoOn: (start: number, end: number) => boolean = () => true,
): readonly Span[] {
  const spans: { tensors: [Tensor, ...Tensor[]]; size: number }[] = [];
  let first: readonly Range[] = [];
  for (const tensor of tensors) {
    const ranges = rangesOf(tensor);
    const size = tensor.size + ranges.reduce((least, { padding }) => Math.min(least, padding), Infinity);
    const span = spans.at(-1);
    const joins =
      span &&
      mayGoOn(first[0]!.offset, first[0]!.offset + span.size) &&
      first.every(
        (range, index) =>
          range.buffer === ranges[index]?.buffer && range.offset + span.size === ranges[index].offset,
      );
    if (joins) {
      span.tensors.push(tensor);
      span.size += size;
    } else {
      spans.push({ tensors: [tensor], size });
      first = ranges;
    }
  }
  return spans;
}

/** Non-empty tensors by buffer (in order of appearance) and offset, so that neighbours in memory are neighbours here. */
export function sortTensors(tensors: readonly Tensor[]): readonly Tensor[] {
  const order = new Map<GPUBuffer, number>();
  for (const { param } of tensors) if (!order.has(param.buffer)) order.set(param.buffer, order.size);
  return tensors
    .filter(({ size }) => size > 0)
    .sort(
      (a, b) =>
        (order.get(a.param.buffer) ?? 0) - (order.get(b.param.buffer) ?? 0) ||
        a.param.offset - b.param.offset,
    );
}

/**
 * Cuts a span into dispatches: a scalar head up to 16-byte alignment, vec4 chunks up to the binding and grid limits,
 * a scalar tail; scalar throughout where the offsets differ modulo 16.
 * @param offsets byte offsets of the span in each buffer that is bound.
 * @param ends whether a head or a tail may be by itself; else what has one is scalar throughout
 */
export function cutChunks(
  size: number,
  offsets: readonly number[],
  limits: PlanLimits,
  ends = true,
): readonly Chunk[] {
  const [reference = 0] = offsets;
  const congruent = offsets.every((offset) => (offset - reference) % 16 === 0);
  const head = Math.min(size, (16 - (reference % 16)) % 16);
  const body = size - head - ((size - head) % 16);
  if (!congruent || (!ends && body < size)) return cutPart(1, 0, size, offsets, limits);
  const end = (place: "head" | "tail", start: number, length: number) =>
    cutPart(1, start, length, offsets, limits).map((chunk) => ({ ...chunk, end: place }));
  return [
    ...end("head", 0, head),
    ...cutPart(4, head, body, offsets, limits),
    ...end("tail", head + body, size - head - body),
  ];
}

/** Bytes that a chunk's start is a multiple of, from the first of its width: strips of partial sums are as long. */
export const STRIP = 256;

/** A chunk ends a whole number of alignments after its start, so that every chunk keeps the congruence of the first. */
function cutPart(
  width: Width,
  start: number,
  size: number,
  offsets: readonly number[],
  limits: PlanLimits,
): readonly Chunk[] {
  const alignment = limits.minStorageBufferOffsetAlignment;
  // A binding starts at an aligned offset, so it may begin before the chunk does.
  const slack = Math.max(...offsets.map((offset) => (offset + start) % alignment));
  const binding = limits.maxStorageBufferBindingSize - slack;
  const grid = limits.maxComputeWorkgroupsPerDimension * WORKGROUP * width * 4;
  const largest = Math.min(binding - (binding % Math.max(alignment, STRIP)), grid);
  const chunks: Chunk[] = [];
  for (let at = 0; at < size; at += largest)
    chunks.push({ width, start: start + at, size: Math.min(largest, size - at) });
  return chunks;
}
