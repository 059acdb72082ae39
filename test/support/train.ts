import { type BufferRange, createOptimizer, type Parameter, type Rule } from "../../src/index.js";
import { read, write } from "./buffers.js";
import type { Watched } from "./device.js";
import { statesOf } from "./judge.js";
import { gradients, normals } from "./numbers.js";

/** A parameter whose ranges are given as such. */
export interface TestTensor extends Parameter {
  readonly param: BufferRange;
  readonly grad: BufferRange;
}

/** Start and gradients of the tensor at `index`, the same wherever it lies. */
export const initialOf = (index: number, { size }: BufferRange) => normals(100 + index, size / 4);
export const gradientOf = (index: number, t: number, { size }: BufferRange) =>
  gradients(50 + index, t, size / 4);

/**
 * Takes a few steps; gives parameters and states at the end, a list for each tensor, and the dispatches of the first step
 * and of the others.
 */
export async function train(
  { device, counts }: Watched,
  rule: Rule,
  tensors: readonly TestTensor[],
): Promise<{ values: Float32Array[][]; first: number; dispatches: number }> {
  const steps = 4;
  const optimizer = await createOptimizer(device, { rule, parameters: tensors, stepsInFlight: 2 });
  tensors.forEach(({ param }, index) => {
    write(device, param, initialOf(index, param));
  });
  const taken: number[] = [];
  for (let t = 1; t <= steps; t += 1) {
    const before = counts.dispatches;
    optimizer.lookahead();
    tensors.forEach(({ param, grad }, index) => {
      write(device, grad, gradientOf(index, t, param));
    });
    optimizer.step();
    taken.push(counts.dispatches - before);
    // Time to learn that copies have begun.
    if (t > 1) continue;
    await device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const [first = 0, ...others] = taken;
  const dispatches = others.reduce((sum, count) => sum + count, 0) / others.length;
  const watchedOf = ({ name, param, shape = [param.size / 4] }: TestTensor) => [
    param,
    ...statesOf(rule, shape).map((state) => optimizer.state(name, state)),
  ];
  const ranges = tensors.map(watchedOf);
  const values = await read(device, ranges.flat());
  optimizer.destroy();
  const lists = ranges.map((own) => values.splice(0, own.length));
  return { values: lists, first, dispatches };
}
