import { packChunks } from "../engine/memory/chunks.js";
import type { BufferRange } from "../engine/memory/parameters.js";
import { scoped } from "../engine/memory/scoped.js";
import { USAGE } from "../engine/memory/usage.js";

/** Bytes on their way to a range of a GPU buffer; as many as it has. */
export interface Upload {
  readonly to: BufferRange;
  readonly data: Uint8Array;
}

/**
 * Writes bytes by copies of one submit, so that all arrive or none.
 * @param copies within the GPU, in the same submit
 * @throws OptimError `out-of-memory`, `gpu-error` or `device-lost`
 */
export async function upload(
  device: GPUDevice,
  label: string,
  uploads: readonly Upload[],
  copies: readonly (readonly [from: BufferRange, to: BufferRange])[] = [],
): Promise<void> {
  const staged: GPUBuffer[] = [];
  await scoped(device, label, "checkpoint", staged, () => {
    const encoder = device.createCommandEncoder({ label: `${label} checkpoint` });
    const chunks = packChunks(
      uploads.map(({ to }) => to.size),
      device.limits.maxBufferSize,
    );
    chunks.forEach(({ size, pieces }, index) => {
      const buffer = device.createBuffer({
        label: `${label} checkpoint ${index}`,
        size,
        usage: USAGE.COPY_SRC,
        mappedAtCreation: true,
      });
      staged.push(buffer);
      const mapped = new Uint8Array(buffer.getMappedRange());
      for (const { item, from, to, size } of pieces) {
        const { data, to: range } = uploads[item]!;
        mapped.set(data.subarray(from, from + size), to);
        encoder.copyBufferToBuffer(buffer, to, range.buffer, range.offset + from, size);
      }
      buffer.unmap();
    });
    for (const [from, to] of copies)
      encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
    device.queue.submit([encoder.finish()]);
  });
  for (const buffer of staged) buffer.destroy();
}
