// SOAP: its bases are orthonormal and come to eigenvectors, its directions are those of float64 between them.
import { expect, test } from "vitest";
import { adam, createOptimizer, type Rule, soap } from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { upload } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { dispatchesOf, matrix } from "../support/matrices.js";
import { normals, relative } from "../support/numbers.js";

const watched = useDevice();

const tensorOf = (shape: readonly number[], rule: Rule) => matrix(watched(), shape, rule);

const names = ["exp_avg", "exp_avg_sq", "left", "right", "left_basis", "right_basis"];

test.each([
  [12, 20],
  [70, 20],
])("%i×%i: every step is that of float64 within 1e-4, between orthonormal bases", async (...shape) => {
  const rule = soap({ lr: 1, every: 2, weightDecay: 0 });
  const tensor = await tensorOf(shape, rule);
  const { row, options } = rule;
  const zeros = new Float64Array(tensor.count);
  let state = referenceState(row, options, zeros, shape);
  for (let t = 1; t <= 5; t += 1) {
    const gradient = normals(10 * shape[0]! + t, tensor.count);
    const update = await tensor.step(gradient);
    const at = { t, lr: 1, shape };
    const wanted = referenceStep(row, options, at, zeros, Float64Array.from(gradient), state);
    if (t === 1) expect(update.every((value) => value === 0)).toBe(true);
    else
      expect(
        relative(
          update,
          wanted.parameters.map((value) => -value),
        ),
      ).toBeLessThan(1e-4);
    // Of what no gradient has told of, any basis will do: the next step goes on from this one.
    state = await tensor.kept(names);
    for (const [side, size] of shape.entries()) {
      const basis = state[side === 0 ? "left_basis" : "right_basis"]!;
      for (let i = 0; i < size; i += 1)
        for (let k = 0; k <= i; k += 1) {
          let product = 0;
          for (let r = 0; r < size; r += 1) product += basis[r * size + i]! * basis[r * size + k]!;
          expect(Math.abs(product - Number(i === k))).toBeLessThan(1e-5);
        }
    }
  }
  tensor.destroy();
});

test("bases come to eigenvectors", async () => {
  const shape = [6, 9];
  const tensor = await tensorOf(shape, soap({ every: 1, shampooBeta: 0.5 }));
  // Rows of sizes apart, so that eigenvalues are.
  const gradient = normals(3, 54).map((value, i) => value * 3 ** -Math.floor(i / 9));
  for (let t = 1; t <= 40; t += 1) await tensor.step(gradient);
  const { left, left_basis: basis } = await tensor.kept(["left", "left_basis"]);
  const inside = (i: number, k: number) => {
    let sum = 0;
    for (let r = 0; r < 6; r += 1)
      for (let c = 0; c < 6; c += 1) sum += basis![r * 6 + i]! * left![r * 6 + c]! * basis![c * 6 + k]!;
    return sum;
  };
  for (let i = 0; i < 6; i += 1)
    for (let k = 0; k < i; k += 1) expect(Math.abs(inside(i, k))).toBeLessThan(1e-5 * inside(0, 0));
  tensor.destroy();
});

test.each([
  ["a vector", [30], {}],
  ["sides that are too long", [5, 6], { maxDimension: 4 }],
])("%s: Adam, one step later", async (_, shape, options) => {
  const common = { lr: 1, beta1: 0.9, beta2: 0.99 };
  const own = await tensorOf(shape, soap({ ...common, weightDecay: 0, ...options }));
  const other = await tensorOf(shape, adam(common));
  await own.step(normals(1, 30));
  for (let t = 2; t <= 4; t += 1) {
    const gradient = normals(t, 30);
    // ε joins the root before the bias correction here, and behind it there.
    expect(relative(await own.step(gradient), Float64Array.from(await other.step(gradient)))).toBeLessThan(
      1e-5,
    );
  }
  own.destroy();
  other.destroy();
});

test("no gradient leaves the axes, and no update", async () => {
  const tensor = await tensorOf([4, 6], soap({ every: 1 }));
  for (let t = 1; t <= 3; t += 1)
    expect((await tensor.step(new Float32Array(24))).every((value) => value === 0)).toBe(true);
  const { left_basis: basis } = await tensor.kept(["left_basis"]);
  expect([...basis!]).toEqual(Array.from({ length: 16 }, (_, i) => Number(i % 5 === 0)));
  tensor.destroy();
});

test("takes as many dispatches for many matrices as for one, and refuses what it cannot take", async () => {
  const { device, counts } = watched();
  expect(await dispatchesOf(watched(), soap(), 50)).toBe(await dispatchesOf(watched(), soap(), 1));
  const [param, grad] = [upload(device, new Float32Array(6)), upload(device, new Float32Array(6))];
  const before = counts.buffers;
  const create = (shape: readonly number[] | undefined, options: object = {}) =>
    createOptimizer(device, {
      rule: soap(options),
      parameters: [{ name: "w", param, grad, ...(shape && { shape }) }],
    });
  await expectError(() => create(undefined), "invalid-argument", "expected a shape");
  await expectError(() => create([2, 3], { memoryLimit: 1e-5 }), "limit-exceeded", "would keep too much");
  await expectError(() => create([2, 3], { maxDimension: 1025 }), "invalid-option", "maxDimension");
  expect(counts.buffers).toBe(before);
  param.buffer.destroy();
  grad.buffer.destroy();
});
