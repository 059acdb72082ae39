/** Bytes written at once. */
const PIECE = 2 ** 20;

/** Values between -1 and 1, the same in every run. */
const noise = (() => {
  let values: Float32Array<ArrayBuffer> | undefined;
  return () => {
    let seed = 1;
    values ??= Float32Array.from({ length: PIECE / 4 }, () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 31 - 1;
    });
    return values;
  };
})();

/** Fills a buffer with values that are not zero, which a GPU may store and move more cheaply. */
export function fill(device: GPUDevice, buffer: GPUBuffer): void {
  const values = noise();
  for (let offset = 0; offset < buffer.size; offset += PIECE)
    device.queue.writeBuffer(buffer, offset, values, 0, Math.min(PIECE, buffer.size - offset) / 4);
}
