import type { Optimizer } from "../../src/index.js";

const PER_SUBMIT = 100;

/**
 * Takes many steps, or what `encode` says, a hundred a submit.
 * @param encode appends what belongs to step t, from 1
 */
export async function march(
  device: GPUDevice,
  optimizer: Optimizer,
  steps: number,
  encode = (_t: number, encoder: GPUCommandEncoder) => optimizer.encode(encoder),
): Promise<void> {
  for (let t = 1, submits = 1; t <= steps; submits += 1) {
    const encoder = device.createCommandEncoder();
    const end = Math.min(t + PER_SUBMIT - 1, steps);
    for (; t <= end; t += 1) encode(t, encoder);
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
    if (submits % 2 === 0) await device.queue.onSubmittedWorkDone();
  }
}
