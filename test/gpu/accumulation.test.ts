// Micro-batches through the accumulator against one step with the weighted mean of their gradients.
import { describe, expect, test } from "vitest";
import {
  adam,
  createArena,
  createOptimizer,
  nesterovLookahead,
  type Optimizer,
  type Rule,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { bits } from "../support/judge.js";
import { normals } from "../support/numbers.js";
import type { TestTensor } from "../support/train.js";

const watched = useDevice();

const UNEQUAL = [...Array.from({ length: 59 }, () => 1000), 7];
const EQUAL = Array.from({ length: 8 }, () => 128);
const STEPS = 3;

/** Lengths with and without a tail; the first two lie in an arena, the last alone at an odd place. */
const SHAPES = { a: [4, 13], b: [256] };
const LOOSE = 37;

function model(device: GPUDevice) {
  const arena = createArena(device, [SHAPES]);
  const loose: TestTensor = {
    name: "c",
    param: upload(device, new Float32Array(LOOSE), { offset: 4 }),
    grad: upload(device, new Float32Array(LOOSE), { offset: 12 }),
  };
  const tensors: readonly TestTensor[] = [...arena.groups[0]!, loose];
  tensors.forEach(({ param }, index) => {
    write(device, param, normals(20 + index, param.size / 4));
  });
  return {
    tensors,
    destroy() {
      arena.destroy();
      loose.param.buffer.destroy();
      loose.grad.buffer.destroy();
    },
  };
}

/** Gradients of a micro-batch: its own noise on a common part that no element has near zero, so that none cancels. */
const microGradient = (step: number, batch: number, index: number, length: number) =>
  normals(1000 * step + 10 * batch + index, length).map(
    (noise, i) => (1 + (i % 4)) * (i % 2 ? 1 : -1) * (1 + 0.1 * Math.tanh(noise)),
  );

/** The mean of the micro-batches' gradients, weighted by their sizes, in float64. */
function meanGradient(step: number, sizes: readonly number[], index: number, length: number): Float64Array {
  const mean = new Float64Array(length);
  const total = sizes.reduce((sum, size) => sum + size);
  sizes.forEach((size, batch) => {
    microGradient(step, batch, index, length).forEach((value, i) => {
      mean[i]! += (size / total) * value;
    });
  });
  return mean;
}

const create = (device: GPUDevice, rule: Rule, parameters: readonly TestTensor[], stepsInFlight = 64) =>
  createOptimizer(device, { rule, parameters, accumulation: true, stepsInFlight });

const readAll = (device: GPUDevice, tensors: readonly TestTensor[]) =>
  read(
    device,
    tensors.map(({ param }) => param),
  );

const setGradients = (
  device: GPUDevice,
  tensors: readonly TestTensor[],
  of: (index: number, length: number) => ArrayLike<number>,
) => {
  tensors.forEach(({ param, grad }, index) => {
    write(device, grad, of(index, param.size / 4));
  });
};

/** A step from micro-batches, each in a submit of its own. */
function accumulatedStep(
  device: GPUDevice,
  optimizer: Optimizer,
  tensors: readonly TestTensor[],
  step: number,
  sizes: readonly number[],
): void {
  optimizer.lookahead();
  sizes.forEach((samples, batch) => {
    setGradients(device, tensors, (index, length) => microGradient(step, batch, index, length));
    optimizer.accumulate({ samples });
  });
  optimizer.step();
}

describe.each([
  ["sgd", sgd({ lr: 0.1 })],
  ["adam", adam({ lr: 0.01 })],
  ["nesterov-lookahead", nesterovLookahead({ lr: 0.05 })],
] as const)("%s", (_, rule) => {
  test.each([
    ["59 of 1 000 samples and one of 7", UNEQUAL],
    ["8 equal ones", EQUAL],
  ])("micro-batches, %s, equal one step with the mean gradient", async (_, sizes) => {
    const { device } = watched();
    const results: Float32Array[][] = [];
    for (const accumulated of [true, false]) {
      const { tensors, destroy } = model(device);
      const optimizer = await create(device, rule, tensors);
      for (let step = 1; step <= STEPS; step += 1) {
        if (accumulated) accumulatedStep(device, optimizer, tensors, step, sizes);
        else {
          optimizer.lookahead();
          setGradients(device, tensors, (index, length) => meanGradient(step, sizes, index, length));
          optimizer.step();
        }
      }
      results.push(await readAll(device, tensors));
      optimizer.destroy();
      destroy();
    }
    // A sum of k products and k − 1 additions, then the scale: at most k + 2 roundings of 2^-24 of Σ|wg|, which is |g|
    // here, since none cancels. A relative error of g enters the update once (sgd, momentum) or twice (g and √g², adam).
    // To that come the kernel's own roundings of two slightly different gradients, at most 8 in each run, and the
    // rounding of θ in each step.
    const roundings = (sizes.length + 2 + 8) * 2 ** -24;
    const [micro, once] = results;
    const errors = micro!.flatMap((values, tensor) => {
      const start = normals(20 + tensor, values.length);
      return [...values].flatMap((value, i) => {
        const expected = once![tensor]![i]!;
        // Every gradient of an element has one sign, so that |θ₃ − θ₀| is the sum of its updates.
        const moved = Math.abs(expected - start[i]!);
        const bound =
          2 * roundings * moved + 2 * STEPS * 2 ** -24 * Math.max(Math.abs(start[i]!), Math.abs(expected));
        return Math.abs(value - expected) <= bound
          ? []
          : [`${tensor}[${i}]: ${value}, expected ${expected} ± ${bound}`];
      });
    });
    expect(errors.slice(0, 5)).toEqual([]);
  });

  test("many accumulations and steps in one caller's encoder give the bits of separate submits", async () => {
    const { device } = watched();
    const sizes = [3, 1, 2];
    const results: Float32Array[][] = [];
    for (const together of [false, true]) {
      const { tensors, destroy } = model(device);
      const optimizer = await create(device, rule, tensors);
      if (together) {
        const rows = tensors.map(({ param }, index) =>
          Array.from({ length: STEPS }, (_, step) =>
            sizes.map((_, batch) => upload(device, microGradient(step + 1, batch, index, param.size / 4))),
          ),
        );
        const encoder = device.createCommandEncoder();
        for (let step = 0; step < STEPS; step += 1) {
          optimizer.lookahead(encoder);
          sizes.forEach((samples, batch) => {
            tensors.forEach(({ grad }, index) => {
              const { buffer, size } = rows[index]![step]![batch]!;
              encoder.copyBufferToBuffer(buffer, 0, grad.buffer, grad.offset, size);
            });
            optimizer.accumulate({ samples }, encoder);
          });
          optimizer.encode(encoder);
        }
        device.queue.submit([encoder.finish()]);
        optimizer.submitted();
        for (const { buffer } of rows.flat(2)) buffer.destroy();
      } else
        for (let step = 1; step <= STEPS; step += 1) accumulatedStep(device, optimizer, tensors, step, sizes);
      results.push(await readAll(device, tensors));
      optimizer.destroy();
      destroy();
    }
    expect(results[1]!.map(bits)).toEqual(results[0]!.map(bits));
  });

  test("gradients that lie elsewhere for each micro-batch give the same bits", async () => {
    const { device } = watched();
    const sizes = [3, 1, 2, 5];
    const results: Float32Array[][] = [];
    for (const moving of [false, true]) {
      const { tensors, destroy } = model(device);
      const optimizer = await create(device, rule, tensors);
      // Two buffers in turn, the second for all tensors at once at offsets congruent to those of the parameters, so
      // that every element keeps its kernel. Bind groups are made anew only the first time.
      const other = upload(device, new Float32Array(1024));
      const elsewhere = tensors.map((tensor, index) => ({
        ...tensor,
        grad: { buffer: other.buffer, offset: [0, 1280, 2572][index]!, size: tensor.param.size },
      }));
      for (let step = 1; step <= STEPS; step += 1) {
        if (!moving) {
          accumulatedStep(device, optimizer, tensors, step, sizes);
          continue;
        }
        optimizer.lookahead();
        sizes.forEach((samples, batch) => {
          const place = batch % 2 ? elsewhere : tensors;
          optimizer.setGradients(Object.fromEntries(place.map(({ name, grad }) => [name, grad])));
          setGradients(device, place, (index, length) => microGradient(step, batch, index, length));
          // What is not read any more must not count.
          setGradients(device, batch % 2 ? tensors : elsewhere, (_, length) =>
            new Float32Array(length).fill(1e9),
          );
          optimizer.accumulate({ samples });
        });
        optimizer.step();
      }
      results.push(await readAll(device, tensors));
      optimizer.destroy();
      other.buffer.destroy();
      destroy();
    }
    expect(results[1]!.map(bits)).toEqual(results[0]!.map(bits));
  });
});

test("nothing of an earlier sum is left, not even an infinity", async () => {
  const { device } = watched();
  const { tensors, destroy } = model(device);
  const optimizer = await create(device, sgd({ lr: 1 }), tensors);
  const once = async () => {
    tensors.forEach(({ param }) => {
      write(device, param, new Float32Array(param.size / 4));
    });
    accumulatedStep(device, optimizer, tensors, 1, [2, 1]);
    return readAll(device, tensors);
  };
  const poison = (samples: number) => {
    setGradients(device, tensors, (_, length) =>
      Float32Array.from({ length }, (_, i) => [Infinity, -Infinity, 3e38, 7][i % 4]!),
    );
    optimizer.accumulate({ samples });
    optimizer.accumulate({ samples });
  };
  const clean = await once();
  expect(clean.flat().every((values) => values.every(Number.isFinite))).toBe(true);
  poison(2);
  optimizer.step();
  const afterStep = await once();
  poison(5);
  // Gives the sum up.
  optimizer.restore();
  const afterRestore = await once();
  // A step without accumulation takes the gradients themselves again.
  tensors.forEach(({ param }) => {
    write(device, param, new Float32Array(param.size / 4));
  });
  setGradients(device, tensors, (_, length) => new Float32Array(length).fill(-1.5));
  optimizer.step();
  const plain = await readAll(device, tensors);
  optimizer.destroy();
  destroy();
  expect(afterStep.map(bits)).toEqual(clean.map(bits));
  expect(afterRestore.map(bits)).toEqual(clean.map(bits));
  for (const values of plain) expect(values).toEqual(new Float32Array(values.length).fill(1.5));
});
