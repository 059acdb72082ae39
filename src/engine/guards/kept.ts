import type { MemoryContext } from "../memory/state.js";
import { sizeOf } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import { CONTROL, RECORD } from "./control.js";

/** What the GPU counts, the loss scale, and the records of the last steps. */
export interface Kept {
  readonly control: GPUBuffer;
  readonly history: GPUBuffer;
  /** How many records there are. */
  readonly records: number;
  destroy(): void;
}

/** Records that are kept at least. */
const RECORDS = 64;

/** Makes it. @param create makes a storage buffer */
export function keep(
  { own, device }: MemoryContext,
  create: (name: string, size: number, usage?: number) => GPUBuffer,
  stepsInFlight: number,
  lossScale: number,
): Kept {
  // All that may be submitted at once, and the one before.
  const records = Math.max(RECORDS, stepsInFlight + 2);
  const kept: { -readonly [K in keyof Kept]?: Kept[K] } & { destroy(): void } = {
    records,
    destroy() {
      this.control?.destroy();
      this.history?.destroy();
    },
  };
  // Owned before the second buffer may fail.
  own(kept);
  const control = create("control", sizeOf(CONTROL), USAGE.UNIFORM);
  kept.control = control;
  kept.history = create("history", records * sizeOf(RECORD));
  device.queue.writeBuffer(control, 0, new Float32Array([lossScale]));
  return kept as Kept;
}
