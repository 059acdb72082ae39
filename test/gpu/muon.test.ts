// Muon: its directions are orthogonal, and those of float64.
import { beforeAll, describe, expect, test } from "vitest";
import { createOptimizer, muon } from "../../src/index.js";
import { orthogonalized } from "../../src/reference/muon.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { long } from "../support/long.js";
import { normals, relative } from "../support/numbers.js";

const watched = useDevice();

type Shape = readonly [rows: number, columns: number];

const shapes: readonly Shape[] = [
  [64, 64],
  [65, 127],
  [127, 65],
  ...(long
    ? ([
        [200, 30],
        [256, 256],
        [256, 1024],
        [1024, 256],
      ] satisfies Shape[])
    : []),
];

/** Updates of a rule with rate 1 on a tensor that is zero before each step. */
async function directions(
  shape: Shape,
  gradients: readonly Float32Array[],
  rule = muon({ lr: 1, weightDecay: 0 }),
): Promise<Float32Array[]> {
  const { device } = watched();
  const zeros = new Float32Array(shape[0] * shape[1]);
  const [param, grad] = [upload(device, zeros), upload(device, zeros)];
  const optimizer = await createOptimizer(device, { rule, parameters: [{ name: "w", shape, param, grad }] });
  const steps: Float32Array[] = [];
  for (const gradient of gradients) {
    write(device, param, zeros);
    write(device, grad, gradient);
    optimizer.step();
    const [after] = await read(device, [param]);
    steps.push(after!.map((value) => -value));
  }
  optimizer.destroy();
  param.buffer.destroy();
  grad.buffer.destroy();
  return steps;
}

/** Singular values and right singular vectors of a matrix that is no higher than wide, by Jacobi rotations of its rows. */
function singular(values: ArrayLike<number>, [rows, columns]: Shape) {
  const all = Array.from({ length: rows }, (_, row) =>
    Float64Array.from({ length: columns }, (_, column) => values[row * columns + column]!),
  );
  const dot = (a: Float64Array, b: Float64Array) => {
    let sum = 0;
    for (let k = 0; k < a.length; k += 1) sum += a[k]! * b[k]!;
    return sum;
  };
  for (let again = true; again; ) {
    again = false;
    for (let i = 0; i < rows; i += 1)
      for (let j = i + 1; j < rows; j += 1) {
        const [a, b] = [all[i]!, all[j]!];
        const [aa, bb, ab] = [dot(a, a), dot(b, b), dot(a, b)];
        if (Math.abs(ab) <= 1e-9 * Math.sqrt(aa * bb)) continue;
        again = true;
        const zeta = (bb - aa) / (2 * ab);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, t);
        for (let k = 0; k < columns; k += 1) {
          const [x, y] = [a[k]!, b[k]!];
          a[k] = cosine * (x - t * y);
          b[k] = cosine * (y + t * x);
        }
      }
  }
  return all.map((row) => {
    const value = Math.sqrt(dot(row, row));
    return { value, vector: row.map((one) => one / value) };
  });
}

const turn = (values: ArrayLike<number>, [rows, columns]: Shape) =>
  Float64Array.from(
    { length: rows * columns },
    (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!,
  );

describe.each(shapes)("%i×%i", (...shape) => {
  const [rows, columns] = shape;

  const gradients = [1, 2].map((seed) => normals(10 * rows + seed, rows * columns));
  const rule = muon({ lr: 1, weightDecay: 0 });
  let updates: readonly Float32Array[];
  beforeAll(async () => {
    updates = await directions(shape, gradients, rule);
  });

  test("every singular value above 2 % of the largest goes to between 0.68 and 1.21", () => {
    const [gradient, update] = [gradients[0]!, updates[0]!];
    const scale = Math.sqrt(Math.max(1, rows / columns));
    const flat = rows <= columns;
    const wide: Shape = flat ? shape : [columns, rows];
    const before = singular(flat ? gradient : turn(gradient, shape), wide);
    const after = flat ? Float64Array.from(update) : turn(update, shape);
    const most = Math.max(...before.map(({ value }) => value));
    for (const { value, vector } of before) {
      // The length of the update times a right singular vector of the gradient is its singular value there.
      let squares = 0;
      for (let row = 0; row < wide[0]; row += 1) {
        let sum = 0;
        for (let k = 0; k < wide[1]; k += 1) sum += after[row * wide[1] + k]! * vector[k]!;
        squares += (sum / scale) ** 2;
      }
      const length = Math.sqrt(squares);
      expect(length).toBeLessThan(1.21);
      if (value > 0.02 * most) expect(length).toBeGreaterThan(0.68);
    }
  });

  test("every step is that of float64 within 1e-4", () => {
    const zeros = new Float64Array(rows * columns);
    let state = referenceState(rule.row, rule.options, zeros, shape);
    gradients.forEach((gradient, index) => {
      const at = { t: index + 1, lr: 1, shape };
      const step = referenceStep(rule.row, rule.options, at, zeros, Float64Array.from(gradient), state);
      ({ state } = step);
      expect(
        relative(
          updates[index]!,
          step.parameters.map((value) => -value),
        ),
      ).toBeLessThan(1e-4);
    });
  });
});

describe("from end to end of f32", () => {
  const shape: Shape = [40, 100];
  const gradient = normals(5, 4000);
  const options = { lr: 1, weightDecay: 0, nesterov: false, momentum: 0, eps: 2 ** -126 };
  const expected = orthogonalized(gradient, shape, muon(options).options as never);

  test.each([1e-34, 1e-25, 1e-12, 1, 1e12, 1e18])("gradients of %d", async (size) => {
    const scaled = gradient.map((value) => Math.fround(value * size));
    const [update] = await directions(shape, [scaled], muon(options));
    expect(relative(update!, expected)).toBeLessThan(1e-4);
  });

  test("a single large gradient", async () => {
    const scaled = gradient.map((value, i) => (i === 1234 ? 1e18 : value * 1e-3));
    const [update] = await directions(shape, [scaled], muon(options));
    expect(update![1234]).toBeGreaterThan(0.68);
    expect(update!.every(Number.isFinite)).toBe(true);
  });

  test("no gradient", async () => {
    const [update] = await directions(shape, [new Float32Array(4000)]);
    expect(update!.every((value) => value === 0)).toBe(true);
  });

  test.each([Number.NaN, Infinity])("one that is %d takes the whole matrix with it", async (value) => {
    const [update] = await directions(shape, [gradient.map((one, i) => (i === 7 ? value : one))]);
    expect(update!.some(Number.isFinite)).toBe(false);
  });
});

test("a tensor of more dimensions is a matrix of the first and the others", async () => {
  const gradient = normals(6, 8 * 27);
  const { device } = watched();
  const steps = await Promise.all(
    [
      [8, 27],
      [8, 3, 3, 3],
    ].map(async (shape) => {
      const [param, grad] = [upload(device, new Float32Array(8 * 27)), upload(device, gradient)];
      const optimizer = await createOptimizer(device, {
        rule: muon(),
        parameters: [{ name: "w", shape, param, grad }],
      });
      optimizer.step();
      const [after] = await read(device, [param]);
      optimizer.destroy();
      param.buffer.destroy();
      grad.buffer.destroy();
      return after!;
    }),
  );
  expect(steps[1]).toEqual(steps[0]);
});
