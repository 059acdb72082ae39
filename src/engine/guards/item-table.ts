import type { Range, Tensor } from "../memory/parameters.js";
import { type Chunk, cutChunks, joinSpans, type PlanLimits, type Span } from "../memory/spans.js";
import { cutItems, endsWholeLanes, ITEM_THREADS } from "./items.js";

/** u32 words of `engine_Item`. */
export const ITEM_WORDS = 4;

/** A group's tensors, sorted, with where their gradients are read: the caller's buffers, or the accumulators. */
export interface Walk {
  readonly tensors: readonly Tensor[];
  readonly gradient: (tensor: Tensor) => Range;
}

/** The spans of a walk; none holds two tensors in four lanes. */
export const walkSpans = ({ tensors, gradient }: Walk): readonly Span[] =>
  joinSpans(tensors, (tensor) => [tensor.param, gradient(tensor)], endsWholeLanes);

/** The chunks of a span of a walk. */
export const walkChunks = (span: Span, { gradient }: Walk, limits: PlanLimits): readonly Chunk[] => {
  const [first] = span.tensors;
  return cutChunks(span.size, [first.param.offset, gradient(first).offset], limits);
};

/** Where a chunk's items stand in a table. */
export interface ItemPlace {
  readonly item: number;
  readonly count: number;
}

/** The items of one way through all tensors, as pure data. */
export interface ItemTable {
  /** `engine_Item`s. */
  readonly items: Uint32Array<ArrayBuffer>;
  /** Of each tensor: its first item's place among the partial sums, and how many items it has. */
  readonly ranges: Uint32Array<ArrayBuffer>;
  /** Items in all. */
  readonly count: number;
  readonly place: (span: Span, chunk: Chunk) => ItemPlace | undefined;
}

/**
 * Cuts all walks into items. Each item has a place among the partial sums, in which a tensor's items follow each other.
 * @param tensors in the order of the totals
 * @param factors index of the first tensor's clip factor in the sums, given how many items there are
 */
export function itemTable(
  walks: readonly Walk[],
  tensors: readonly Tensor[],
  limits: PlanLimits,
  factors: (count: number) => number,
): ItemTable {
  const places = new Map<string, ItemPlace>();
  const cut = walks.flatMap((walk) =>
    walkSpans(walk).flatMap((span) =>
      walkChunks(span, walk, limits).map((chunk) => ({ span, chunk, items: cutItems(span, chunk) })),
    ),
  );
  const items = cut.flatMap(({ items }) => items);
  let item = 0;
  for (const { span, chunk, items } of cut) {
    places.set(keyOf(span, chunk), { item, count: items.length });
    item += items.length;
  }
  const index = new Map(tensors.map((tensor, i) => [tensor, i]));
  const ranges = new Uint32Array(Math.max(tensors.length, 1) * 2);
  for (const { tensor } of items) ranges[index.get(tensor)! * 2 + 1]! += 1;
  let first = 0;
  for (let i = 0; i < tensors.length; i += 1) {
    ranges[i * 2] = first;
    first += ranges[i * 2 + 1]!;
  }
  const next = tensors.map((_, i) => ranges[i * 2]!);
  const words = new Uint32Array(Math.max(items.length, 1) * ITEM_WORDS);
  items.forEach(({ tensor, first, count }, i) => {
    const at = index.get(tensor)!;
    words.set([first, count, factors(items.length) + at, next[at]! * ITEM_THREADS], i * ITEM_WORDS);
    next[at]! += 1;
  });
  return {
    items: words,
    ranges,
    count: items.length,
    place: (span, chunk) => places.get(keyOf(span, chunk)),
  };
}

const keyOf = (span: Span, chunk: Chunk): string =>
  `${span.tensors[0].name}\n${chunk.width}\n${chunk.start}\n${chunk.size}`;
