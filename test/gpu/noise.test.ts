// The noise of noisy SGD: how it is distributed, and that nothing but seed, name, step and index decides about it.
import { expect, test } from "vitest";
import { createOptimizer, noisySgd } from "../../src/index.js";
import { read, upload } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { bits } from "../support/judge.js";

const watched = useDevice();

interface Given {
  readonly seed?: number;
  readonly steps?: number;
  /** Tensors by name, in order. */
  readonly lengths: Readonly<Record<string, number>>;
  /** Byte offset of each parameter. */
  readonly offset?: number;
}

/** What the noise of variance 1 alone adds up to, by tensor. */
async function noiseOf({ seed = 0, steps = 1, lengths, offset = 0 }: Given): Promise<Float32Array[]> {
  const { device } = watched();
  const tensors = Object.entries(lengths).map(([name, length]) => ({
    name,
    param: upload(device, new Float32Array(length), { offset, label: name }),
    grad: upload(device, new Float32Array(length), { label: name }),
  }));
  const rule = noisySgd({ lr: 1, eta: 1, gamma: 0, seed });
  const optimizer = await createOptimizer(device, { rule, parameters: tensors });
  for (let t = 0; t < steps; t += 1) optimizer.step();
  const values = await read(
    device,
    tensors.map(({ param }) => param),
  );
  optimizer.destroy();
  for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
  return values;
}

const mean = (values: Float32Array, of: (value: number) => number) =>
  values.reduce((sum, value) => sum + of(value), 0) / values.length;

const LENGTH = 2 ** 18;

test("is normal", async () => {
  const [values] = await noiseOf({ lengths: { w: LENGTH } });
  const error = (variance: number) => 4 * Math.sqrt(variance / LENGTH);
  // Moments of a normal value, each within four standard errors.
  expect(Math.abs(mean(values!, (x) => x))).toBeLessThan(error(1));
  expect(Math.abs(mean(values!, (x) => x ** 2) - 1)).toBeLessThan(error(2));
  expect(Math.abs(mean(values!, (x) => x ** 3))).toBeLessThan(error(15));
  expect(Math.abs(mean(values!, (x) => x ** 4) - 3)).toBeLessThan(error(96));
  // Shares below some values, and in the tails.
  for (const [bound, share] of [
    [-3, 0.0013499],
    [-2, 0.0227501],
    [-1, 0.1586553],
    [-0.1, 0.4601722],
    [0, 0.5],
    [0.5, 0.6914625],
    [1, 0.8413447],
    [2, 0.9772499],
    [3, 0.9986501],
    [4, 0.9999683],
  ] as const)
    expect(Math.abs(mean(values!, (x) => Number(x < bound)) - share)).toBeLessThan(
      error(share * (1 - share)),
    );
  const most = mean(values!, (x) => Number(Math.abs(x) > 6.7));
  expect(most).toBe(0);
  // Neighbours have nothing to do with each other.
  for (const lag of [1, 2, 3, 4, 64, 256])
    expect(
      Math.abs(
        mean(
          values!.slice(lag).map((x, i) => x * values![i]!),
          (x) => x,
        ),
      ),
    ).toBeLessThan(error(1));
});

test("follows from seed, name, step and index alone", async () => {
  const [alone] = await noiseOf({ lengths: { w: 1001 } });
  const among = await noiseOf({ lengths: { v: 70, w: 1001, u: 5 }, offset: 4 });
  expect(bits(among[1]!)).toEqual(bits(alone!));
  const [longer] = await noiseOf({ lengths: { w: 1004 } });
  expect(bits(longer!.slice(0, 1001))).toEqual(bits(alone!));
  const equal = (a: Float32Array, b: Float32Array) => a.filter((value, i) => value === b[i]).length;
  const [seeded] = await noiseOf({ lengths: { w: 1001 }, seed: 1 });
  const [far] = await noiseOf({ lengths: { w: 1001 }, seed: 2 ** 32 - 1 });
  const [named] = await noiseOf({ lengths: { w2: 1001 } });
  const [two] = await noiseOf({ lengths: { w: 1001 }, steps: 2 });
  for (const other of [seeded!, far!, named!, two!]) expect(equal(alone!, other)).toBeLessThan(3);
  // The second step's noise is not that of the first.
  expect(
    equal(
      two!,
      alone!.map((value) => 2 * value),
    ),
  ).toBeLessThan(3);
});
