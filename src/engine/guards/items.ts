// Cuts chunks into items, so that sums can be kept by tensor.
import type { Tensor } from "../memory/parameters.js";
import type { Chunk, Span } from "../memory/spans.js";

/** Invocations that share an item. */
export const ITEM_THREADS = 64;

/** Lanes of an item at most: sixteen for each invocation. One partial sum then covers 64 elements, or 16 scalars. */
const ITEM_LANES = ITEM_THREADS * 16;

/** A part of one tensor within a chunk, in lanes of the chunk's width: what one workgroup works on. */
export interface Item {
  readonly tensor: Tensor;
  /** From the start of the chunk. */
  readonly first: number;
  readonly count: number;
}

/** Whether a tensor ends where four lanes end, so that the next one may share its span and no item holds two tensors. */
export const endsWholeLanes = (end: number): boolean => end % 16 === 0;

/** The items of a chunk, in order. Padding belongs to the tensor before it. */
export function cutItems(span: Span, chunk: Chunk): readonly Item[] {
  const bytes = chunk.width * 4;
  const [origin] = span.tensors;
  const items: Item[] = [];
  span.tensors.forEach((tensor, index) => {
    const next = span.tensors[index + 1];
    const start = Math.max(tensor.param.offset - origin.param.offset, chunk.start);
    const end = Math.min(
      next ? next.param.offset - origin.param.offset : span.size,
      chunk.start + chunk.size,
    );
    for (let at = start; at < end; at += ITEM_LANES * bytes)
      items.push({
        tensor,
        first: (at - chunk.start) / bytes,
        count: Math.min(ITEM_LANES, (end - at) / bytes),
      });
  });
  return items;
}
