// One dispatch over tensors that do not lie side by side, loaded where there are such: those between are left out by strips.
import * as partedShader from "../../shaders/engine/parted.wgsl?engine";
import type { Range, Tensor } from "../memory/parameters.js";
import { joinSpans, type PlanLimits, type Span, STRIP } from "../memory/spans.js";

/** In place of the text of a chunk. */
export const { code } = partedShader;

/** Bytes of `engine_Chunk`, and where its bits lie. */
export const BYTES = 65536;
const STEPPED = 32;

/** Limits of a span whose strips have bits. */
export const limited = ({
  minStorageBufferOffsetAlignment,
  maxStorageBufferBindingSize,
  maxComputeWorkgroupsPerDimension,
  maxBufferSize,
}: PlanLimits): PlanLimits => ({
  minStorageBufferOffsetAlignment,
  maxStorageBufferBindingSize: Math.min(maxStorageBufferBindingSize, (BYTES - STEPPED) * 8 * STRIP),
  maxComputeWorkgroupsPerDimension,
  maxBufferSize,
});

/** A span, and which of its tensors are stepped where that are not all. */
export interface PartedSpan {
  readonly span: Span;
  readonly stepped?: ReadonlySet<Tensor>;
}

/** Joins spans of some tensors over those between them. @param all that there are, sorted */
export function joinOver(
  tensors: readonly Tensor[],
  all: readonly Tensor[],
  rangesOf: (tensor: Tensor) => readonly Range[],
  mayGoOn?: (start: number, end: number) => boolean,
): readonly PartedSpan[] {
  const some = new Set(tensors);
  const aligned = (tensor: Tensor) =>
    rangesOf(tensor).every(
      ({ offset, padding }) => offset % 16 === 0 && (tensor.size + padding) % 16 === 0,
    ) && rangesOf(tensor)[0]!.offset % STRIP === 0;
  return joinSpans(all, rangesOf, mayGoOn).flatMap(({ tensors: list }): readonly PartedSpan[] => {
    const own = list.filter((tensor) => some.has(tensor));
    const runs = joinSpans(own, rangesOf, mayGoOn).map((span) => ({ span }));
    if (runs.length < 2 || !list.every(aligned)) return runs;
    const within = list.slice(list.indexOf(own[0]!), list.indexOf(own.at(-1)!) + 1);
    const [span] = joinSpans(within, rangesOf, mayGoOn);
    return [{ span: span!, stepped: some }];
  });
}

/** Writes the bits of a chunk's strips. @param start of the chunk in the span, in bytes */
export function writeStepped(
  bytes: ArrayBuffer,
  { tensors }: Span,
  stepped: ReadonlySet<Tensor>,
  start: number,
  size: number,
): void {
  const words = new Uint32Array(bytes, STEPPED);
  const { offset } = tensors[0].param;
  for (const { param, size: own } of tensors.filter((tensor) => stepped.has(tensor))) {
    const first = Math.max(0, (param.offset - offset - start) / STRIP);
    const end = Math.min(size, param.offset - offset + own + param.padding - start) / STRIP;
    for (let strip = first; strip < end; strip += 1) words[strip >> 5]! |= 1 << (strip & 31);
  }
}
