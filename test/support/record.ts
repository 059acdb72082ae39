import type { BufferRange, Optimizer } from "../../src/index.js";

/** A run whose gradients are known beforehand. */
export interface RecordOptions {
  readonly steps: number;
  /** Where the optimizer reads its gradients. */
  readonly grads: readonly BufferRange[];
  /** Gradients of step t (from 1), one list of values for each of `grads`. */
  readonly gradients: (t: number) => readonly ArrayLike<number>[];
  /** What is kept after each step. */
  readonly watch: readonly BufferRange[];
  /** Called before step t is encoded, to set its rate for example. */
  readonly before?: (t: number) => void;
}

/** What a run left behind. */
export interface Recorded {
  /** The rate of each step. */
  readonly rates: readonly number[];
  /** After each step, the values of each watched range. */
  readonly after: readonly (readonly Float32Array[])[];
}

/** Encodes look-ahead, gradient, step and copies of what is watched, step after step, in one submit with one read-back. */
export async function record(
  device: GPUDevice,
  optimizer: Optimizer,
  { steps, grads, gradients, watch, before }: RecordOptions,
): Promise<Recorded> {
  const total = (ranges: readonly BufferRange[]) => ranges.reduce((sum, { size }) => sum + size, 0);
  const rows = device.createBuffer({
    label: "gradients of all steps",
    size: steps * total(grads),
    usage: GPUBufferUsage.COPY_SRC,
    mappedAtCreation: true,
  });
  const kept = device.createBuffer({
    label: "history",
    size: steps * total(watch),
    usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
  });
  const mapped = new Float32Array(rows.getMappedRange());
  const encoder = device.createCommandEncoder();
  const rates: number[] = [];
  let row = 0;
  let at = 0;
  for (let t = 1; t <= steps; t += 1) {
    before?.(t);
    optimizer.encodeLookahead(encoder);
    const values = gradients(t);
    grads.forEach(({ buffer, offset, size }, index) => {
      mapped.set(values[index]!, row / 4);
      encoder.copyBufferToBuffer(rows, row, buffer, offset, size);
      row += size;
    });
    optimizer.encode(encoder);
    rates.push(optimizer.groups[0]!.rate);
    for (const { buffer, offset, size } of watch) {
      encoder.copyBufferToBuffer(buffer, offset, kept, at, size);
      at += size;
    }
  }
  rows.unmap();
  device.queue.submit([encoder.finish()]);
  optimizer.submitted();
  await kept.mapAsync(GPUMapMode.READ);
  const all = new Float32Array(kept.getMappedRange().slice(0));
  rows.destroy();
  kept.destroy();
  let start = 0;
  const after = rates.map(() =>
    watch.map(({ size }) => {
      start += size / 4;
      return all.slice(start - size / 4, start);
    }),
  );
  return { rates, after };
}
