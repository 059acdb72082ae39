import { USAGE } from "../memory/usage.js";
/** Bytes of two resolved timestamps. */
export const CLOCK_BYTES = 16;

/** Times the newest step on the GPU, where the device has timestamp queries. */
export class GpuClock {
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;

  private constructor(
    device: GPUDevice,
    label: string,
    own: <T extends { destroy(): void }>(resource: T) => T,
  ) {
    this.#queries = own(device.createQuerySet({ label: `${label} clock`, type: "timestamp", count: 2 }));
    this.#resolved = own(
      device.createBuffer({
        label: `${label} clock`,
        size: CLOCK_BYTES,
        usage: USAGE.QUERY_RESOLVE | USAGE.COPY_SRC,
      }),
    );
  }

  /** A clock, where the device has the feature `timestamp-query`. */
  static of(
    device: GPUDevice,
    label: string,
    own: <T extends { destroy(): void }>(resource: T) => T,
  ): GpuClock | undefined {
    return device.features.has("timestamp-query") ? new GpuClock(device, label, own) : undefined;
  }

  /** For the pass that is timed. */
  get timestampWrites(): GPUComputePassTimestampWrites {
    return { querySet: this.#queries, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
  }

  /** Copies begin and end of the newest timed pass. */
  copyTo(encoder: GPUCommandEncoder, target: GPUBuffer, offset: number): void {
    encoder.resolveQuerySet(this.#queries, 0, 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, target, offset, CLOCK_BYTES);
  }
}

/** Milliseconds between two timestamps in nanoseconds; undefined where the clock was reset between them. */
export function elapsed(view: DataView, offset: number): number | undefined {
  const nanoseconds = view.getBigUint64(offset + 8, true) - view.getBigUint64(offset, true);
  return nanoseconds >= 0n ? Number(nanoseconds) / 1e6 : undefined;
}
