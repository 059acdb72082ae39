/** A part of an item that lies in one chunk, in bytes. */
export interface Piece {
  readonly item: number;
  /** From the start of the item. */
  readonly from: number;
  /** From the start of the chunk. */
  readonly to: number;
  readonly size: number;
}

/** A run of items that one buffer holds. */
export interface PackedChunk {
  readonly size: number;
  readonly pieces: readonly Piece[];
}

/** Most bytes of one staging buffer, so that a stream needs no more memory at a time. */
const LARGEST = 64 * 2 ** 20;

/**
 * Packs items one after the other into chunks, cut where a chunk is full.
 * @param sizes bytes, multiples of 4
 * @param limit most bytes of a buffer
 */
export function packChunks(sizes: readonly number[], limit: number): readonly PackedChunk[] {
  const capacity = Math.min(LARGEST, limit - (limit % 4));
  const chunks: { size: number; pieces: Piece[] }[] = [];
  sizes.forEach((size, item) => {
    for (let from = 0; from < size; ) {
      let chunk = chunks.at(-1);
      if (!chunk || chunk.size === capacity) {
        chunk = { size: 0, pieces: [] };
        chunks.push(chunk);
      }
      const part = Math.min(size - from, capacity - chunk.size);
      chunk.pieces.push({ item, from, to: chunk.size, size: part });
      chunk.size += part;
      from += part;
    }
  });
  return chunks;
}
