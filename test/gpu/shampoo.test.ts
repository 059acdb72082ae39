// Shampoo: its directions are those of float64, whatever their size, and its roots survive what rounding does.
import { describe, expect, test } from "vitest";
import { createOptimizer, shampoo } from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { dispatchesOf, matrix } from "../support/matrices.js";
import { normals, relative } from "../support/numbers.js";
import { bits } from "../support/tensors.js";

const watched = useDevice();

type Shape = readonly [rows: number, columns: number];

const matrixOf = (shape: Shape, options: object = {}) =>
  matrix(watched(), shape, shampoo({ lr: 1, ...options }));

test.each([
  [[24, 40], {}],
  [[70, 45], { block: 40, momentum: 0.9, root: "square", accumulation: "average", eps: 1e-3 }],
  [[45, 130], { block: 64, grafting: "adagrad" }],
] as const)("%j %j: every step is that of float64 within 1e-4", async (shape, options) => {
  const tensor = await matrixOf(shape, { every: 2, ...options });
  const { row, options: all } = tensor.rule;
  const zeros = new Float64Array(shape[0] * shape[1]);
  let state = referenceState(row, all, zeros, shape);
  for (let t = 1; t <= 4; t += 1) {
    const gradient = normals(10 * shape[0] + t, zeros.length);
    const update = await tensor.step(gradient);
    const at = { t, lr: 1, shape };
    const wanted = referenceStep(row, all, at, zeros, Float64Array.from(gradient), state);
    ({ state } = wanted);
    expect(
      relative(
        update,
        wanted.parameters.map((value) => -value),
      ),
    ).toBeLessThan(1e-4);
  }
  tensor.destroy();
});

describe("from end to end of f32", () => {
  const shape: Shape = [12, 20];
  const gradient = normals(5, 240);

  test("a first direction has no size but its gradient's own over the root of it", async () => {
    let wanted: Float64Array | undefined;
    const tensor = await matrixOf(shape, { every: 1, accumulation: "average", beta: 0 });
    // L^(−1/4)·G·R^(−1/4) of one gradient alone is the same at any scale.
    for (const size of [1, 1e-15, 1e-6, 1e9, 1e16]) {
      const update = await tensor.step(gradient.map((value) => Math.fround(value * size)));
      wanted ??= Float64Array.from(update);
      expect(relative(update, wanted)).toBeLessThan(1e-4);
    }
    tensor.destroy();
  });

  test("no gradient, no update; one beyond squares stays finite", async () => {
    const tensor = await matrixOf(shape, { every: 1 });
    expect((await tensor.step(new Float32Array(240))).every((value) => value === 0)).toBe(true);
    for (const size of [1e18, 1e30, 1])
      expect((await tensor.step(gradient.map((value) => value * size))).every(Number.isFinite)).toBe(true);
    tensor.destroy();
  });

  test("a matrix that rounding made indefinite leaves the root before", async () => {
    const { device } = watched();
    const tensor = await matrixOf(shape, { every: 1 });
    await tensor.step(gradient);
    const root = tensor.optimizer.state("w", "left_root");
    const [before] = await read(device, [root]);
    write(
      device,
      tensor.optimizer.state("w", "left"),
      Float32Array.from({ length: 144 }, (_, i) => (i % 13 ? 0 : -1000)),
    );
    const update = await tensor.step(gradient);
    const [after] = await read(device, [root]);
    expect(bits([after!])).toEqual(bits([before!]));
    expect(update.every(Number.isFinite)).toBe(true);
    tensor.destroy();
  });
});

test("takes as many dispatches for many matrices as for one", async () => {
  expect(await dispatchesOf(watched(), shampoo(), 100)).toBe(await dispatchesOf(watched(), shampoo(), 1));
});

test("refuses what it cannot take before there is any memory", async () => {
  const { device, counts } = watched();
  const [param, grad] = [upload(device, new Float32Array(6)), upload(device, new Float32Array(6))];
  const before = counts.buffers;
  const create = (shape: readonly number[] | undefined, options: object = {}) =>
    createOptimizer(device, {
      rule: shampoo(options),
      parameters: [{ name: "w", param, grad, ...(shape && { shape }) }],
    });
  await expectError(() => create([6]), "invalid-argument", "expected a matrix");
  await expectError(() => create(undefined), "invalid-argument", "expected a shape");
  await expectError(() => create([2, 3], { memoryLimit: 1e-5 }), "limit-exceeded", "would keep too much");
  await expectError(() => create([2, 3], { block: 513 }), "invalid-option", "block");
  await expectError(() => create([2, 3], { block: 0 }), "invalid-option", "block");
  await expectError(() => create([2, 3], { eps: 1e-9 }), "invalid-option", "eps");
  expect(counts.buffers).toBe(before);
  param.buffer.destroy();
  grad.buffer.destroy();
});
