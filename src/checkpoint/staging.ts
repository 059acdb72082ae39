import { lossError, popScopes } from "../engine/device.js";
import type { BufferRange } from "../engine/memory/parameters.js";
import { OptimError } from "../errors.js";
import { packChunks } from "./chunks.js";

const MAP_READ = 0x1; // GPUBufferUsage, absent outside browsers
const COPY_SRC = 0x4;
const COPY_DST = 0x8;

/** Bytes on their way to a range of a GPU buffer; as many as it has. */
export interface Upload {
  readonly to: BufferRange;
  readonly data: Uint8Array;
}

/**
 * Runs GPU work in error scopes.
 * @param made destroyed where it fails
 * @throws OptimError `out-of-memory`, `gpu-error` or `device-lost`
 */
async function guarded(
  device: GPUDevice,
  label: string,
  made: readonly GPUBuffer[],
  work: () => void,
): Promise<void> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  let thrown: unknown;
  try {
    work();
  } catch (error) {
    thrown = error;
  }
  const [invalid, exhausted] = await popScopes(device, label).catch((error: unknown) => {
    for (const buffer of made) buffer.destroy();
    throw error;
  });
  const failure = exhausted ?? invalid ?? thrown;
  if (!failure) return;
  for (const buffer of made) buffer.destroy();
  const memory = exhausted || thrown instanceof RangeError;
  throw new OptimError(
    memory ? "out-of-memory" : "gpu-error",
    memory ? `There is no memory to stage a checkpoint of '${label}'` : `'${label}' cannot be copied`,
    {
      got: (failure as { message?: string }).message ?? String(failure),
      fix: memory ? "free buffers" : "check that every buffer is alive and unmapped",
    },
    { cause: failure },
  );
}

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
    this.#copied = guarded(device, label, this.#staged, () => {
      const encoder = device.createCommandEncoder({ label: `${label} checkpoint` });
      for (const ranges of lists) {
        const sizes = ranges.map(({ size }) => size);
        for (const { size, pieces } of packChunks(sizes, device.limits.maxBufferSize)) {
          const usage = MAP_READ | COPY_DST;
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
      await buffer.mapAsync(GPUMapMode.READ);
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

/**
 * Writes bytes by copies of one submit, so that all arrive or none.
 * @throws OptimError `out-of-memory`, `gpu-error` or `device-lost`
 */
export async function upload(device: GPUDevice, label: string, uploads: readonly Upload[]): Promise<void> {
  const staged: GPUBuffer[] = [];
  await guarded(device, label, staged, () => {
    const encoder = device.createCommandEncoder({ label: `${label} checkpoint` });
    const chunks = packChunks(
      uploads.map(({ to }) => to.size),
      device.limits.maxBufferSize,
    );
    chunks.forEach(({ size, pieces }, index) => {
      const buffer = device.createBuffer({
        label: `${label} checkpoint ${index}`,
        size,
        usage: COPY_SRC,
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
    device.queue.submit([encoder.finish()]);
  });
  for (const buffer of staged) buffer.destroy();
}
