import { lossError } from "../device.js";
import { packChunks } from "./chunks.js";
import type { BufferRange } from "./parameters.js";
import { scoped } from "./scoped.js";
import { READ, USAGE } from "./usage.js";

/**
 * Copies ranges as they are now, by one encoder submitted at once, into buffers that can be mapped. They are read later,
 * one buffer at a time, and freed as they are read; `release` frees what is left.
 */
export class ReadBack {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #staged: GPUBuffer[] = [];
  readonly #copied: Promise<void>;

  /** @param lists each begins a buffer of its own */
  constructor(device: GPUDevice, label: string, lists: readonly (readonly BufferRange[])[]) {
    this.#device = device;
    this.#label = label;
    this.#copied = scoped(device, label, "checkpoint", this.#staged, () => {
      const encoder = device.createCommandEncoder({ label: `${label} checkpoint` });
      for (const ranges of lists) {
        const sizes = ranges.map(({ size }) => size);
        for (const { size, pieces } of packChunks(sizes, device.limits.maxBufferSize)) {
          const usage = USAGE.MAP_READ | USAGE.COPY_DST;
          const name = `${label} checkpoint ${this.#staged.length}`;
          const buffer = device.createBuffer({ label: name, size, usage });
          this.#staged.push(buffer);
          for (const { item, from, to, size } of pieces) {
            const range = ranges[item]!;
            encoder.copyBufferToBuffer(range.buffer, range.offset + from, buffer, to, size);
          }
        }
      }
      device.queue.submit([encoder.finish()]);
    });
    // Told to whoever reads.
    this.#copied.catch(() => {});
  }

  /** The next buffer's bytes; undefined after the last. @throws OptimError as above */
  async next(): Promise<Uint8Array | undefined> {
    await this.#copied;
    const buffer = this.#staged[0];
    if (!buffer) return undefined;
    try {
      await buffer.mapAsync(READ);
    } catch (cause) {
      this.release();
      throw lossError(this.#device, this.#label, { cause });
    }
    const bytes = new Uint8Array(buffer.getMappedRange().slice(0));
    this.#staged.shift();
    buffer.destroy();
    return bytes;
  }

  release(): void {
    for (const buffer of this.#staged.splice(0)) buffer.destroy();
  }
}
