import { READ, USAGE } from "../engine/memory/usage.js";
import type { BufferRange, Optimizer, RuleRow } from "../index.js";

/** A run whose gradients are known beforehand. */
export interface RecordOptions {
  readonly steps: number;
  /** Where the optimizer reads its gradients. */
  readonly grads: readonly BufferRange[];
  /** Gradients of step t (from 1), one list of values for each of `grads`. */
  readonly gradients: (t: number) => readonly ArrayLike<number>[];
  /** Estimates of the Hessian's diagonal that are handed in before step t, in the form of `gradients`; none at most steps. */
  readonly estimates?: (t: number) => readonly ArrayLike<number>[] | undefined;
  /** Gradients of outputs that are handed over after step t, each in the form of `gradients`. */
  readonly outputs?: (t: number) => readonly (readonly ArrayLike<number>[])[];
  /** The loss that is handed in with step t, for rules that take it. */
  readonly losses?: ((t: number) => number) | undefined;
  /** What is kept after each step. */
  readonly watch: readonly BufferRange[];
  /** Called before step t is encoded, to set its rate for example. */
  readonly before?: (t: number, encoder: GPUCommandEncoder) => void;
}

/** The loss that is handed in with step t of a judged run, from 1: of both signs, from far below to far above the gradients. */
export const lossAt = (t: number): number => Math.fround([30, 4, 1e4, 0.07, -3, 1e-6, 2][t % 7]! * 1.1 ** t);

/** Those of a rule that takes them. */
export const lossesOf = ({ shader }: RuleRow) => (shader.sums.includes("loss") ? lossAt : undefined);

/** What a run left behind. */
export interface Recorded {
  /** The rate of each step. */
  readonly rates: readonly number[];
  /** After each step, the values of each watched range. */
  readonly after: readonly (readonly Float32Array[])[];
}

/** The same bytes as fewer ranges: neighbours in one buffer become one. */
function joined(ranges: readonly BufferRange[]): BufferRange[] {
  const result: BufferRange[] = [];
  for (const range of ranges) {
    const last = result.at(-1);
    if (last && last.buffer === range.buffer && last.offset + last.size === range.offset)
      result[result.length - 1] = { ...last, size: last.size + range.size };
    else result.push(range);
  }
  return result;
}

/** Encodes look-ahead, gradient, step and copies of what is watched, step after step, in one submit with one read-back. */
export async function record(
  device: GPUDevice,
  optimizer: Optimizer,
  { steps, grads, gradients, estimates, outputs, losses, watch, before }: RecordOptions,
): Promise<Recorded> {
  const total = (ranges: readonly BufferRange[]) => ranges.reduce((sum, { size }) => sum + size, 0);
  const rows = device.createBuffer({
    label: "gradients of all steps",
    size:
      steps * total(grads) * (1 + Number(estimates !== undefined) + (outputs?.(1).length ?? 0)) + steps * 4,
    usage: USAGE.COPY_SRC | USAGE.STORAGE,
    mappedAtCreation: true,
  });
  const kept = device.createBuffer({
    label: "history",
    size: steps * total(watch),
    usage: USAGE.COPY_DST | USAGE.MAP_READ,
  });
  let all: Float32Array;
  const rates: number[] = [];
  try {
    const mapped = new Float32Array(rows.getMappedRange());
    const encoder = device.createCommandEncoder();
    const targets = joined(grads);
    const sources = joined(watch);
    let row = 0;
    let at = 0;
    const copyRow = (values: readonly ArrayLike<number>[]) => {
      let filled = row / 4;
      for (const list of values) {
        mapped.set(list, filled);
        filled += list.length;
      }
      for (const { buffer, offset, size } of targets) {
        encoder.copyBufferToBuffer(rows, row, buffer, offset, size);
        row += size;
      }
    };
    for (let t = 1; t <= steps; t += 1) {
      before?.(t, encoder);
      const estimate = estimates?.(t);
      if (estimate) {
        copyRow(estimate);
        optimizer.curvature(encoder);
      }
      optimizer.lookahead(encoder);
      copyRow(gradients(t));
      if (losses) mapped[row / 4] = losses(t);
      optimizer.encode(encoder, losses && { loss: { buffer: rows, offset: row, size: 4 } });
      if (losses) row += 4;
      rates.push(optimizer.groups[0]!.rate);
      for (const output of outputs?.(t) ?? []) {
        copyRow(output);
        optimizer.outputGradient(encoder);
      }
      for (const { buffer, offset, size } of sources) {
        encoder.copyBufferToBuffer(buffer, offset, kept, at, size);
        at += size;
      }
    }
    rows.unmap();
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
    await kept.mapAsync(READ);
    all = new Float32Array(kept.getMappedRange().slice(0));
  } finally {
    rows.destroy();
    kept.destroy();
  }
  let start = 0;
  const after = rates.map(() =>
    watch.map(({ size }) => {
      start += size / 4;
      return all.slice(start - size / 4, start);
    }),
  );
  return { rates, after };
}
