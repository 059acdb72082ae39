// The matrix product of rules over whole tensors, against float64.
import { describe, expect, test } from "vitest";
import { productWork, symmetricWork } from "../../src/product.js";
import { code as productCode } from "../../src/shaders/passes/product.wgsl?engine";
import { useDevice } from "../support/device.js";
import { long } from "../support/long.js";
import { normals } from "../support/numbers.js";
import { type Matrix, pad, padded, runPasses, unpad } from "../support/passes.js";

const watched = useDevice();

const matrix = (seed: number, rows: number, columns: number): Matrix => ({
  rows,
  columns,
  values: normals(seed, rows * columns),
});

const turn = ({ rows, columns, values }: Matrix): Matrix => ({
  rows: columns,
  columns: rows,
  values: values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!),
});

/** The product in float64, and of each element the sum of its terms' magnitudes. */
function exact(left: Matrix, right: Matrix) {
  const sums = new Float64Array(left.rows * right.columns);
  const magnitudes = sums.slice();
  for (let i = 0; i < left.rows; i += 1)
    for (let k = 0; k < left.columns; k += 1)
      for (let j = 0; j < right.columns; j += 1) {
        const term = left.values[i * left.columns + k]! * right.values[k * right.columns + j]!;
        sums[i * right.columns + j]! += term;
        magnitudes[i * right.columns + j]! += Math.abs(term);
      }
  return { sums, magnitudes };
}

interface Case {
  readonly symmetric?: boolean;
  readonly left: Matrix;
  readonly right: Matrix;
  readonly leftTurned?: boolean;
  readonly rightTurned?: boolean;
  readonly scale?: number;
  readonly share?: number;
  readonly added?: Matrix;
}

/** The product on the GPU; what lies around it in `scratch` must stay. */
async function onGpu(one: Case): Promise<Float32Array> {
  const { symmetric = false, left, right, leftTurned = false, rightTurned = false } = one;
  const { scale = 1, share = 0 } = one;
  const rows = leftTurned ? left.columns : left.rows;
  const columns = rightTurned ? right.rows : right.columns;
  const added = one.added ?? { rows, columns, values: new Float32Array(rows * columns).fill(Number.NaN) };
  const parts = [left, right, added].map(pad);
  const size = 4 * padded(rows, columns);
  const rest = new Float32Array(8).fill(7);
  const scratch = Float32Array.from([
    ...parts.flatMap((part) => [...part]),
    ...rest,
    ...new Float32Array(size).fill(Number.NaN),
    ...rest,
  ]);
  const firsts = parts.map((_, i) => parts.slice(0, i).reduce((sum, { length }) => sum + length / 4, 0));
  const result = (scratch.length - size - 8) / 4;
  const text = (m: Matrix, first: number | undefined) => `Matrix(${first}u, ${m.rows}u, ${m.columns}u)`;
  const code = `${productCode}
fn run(tensor: Tensor, work: u32, lane: u32) {
  multiply(
    Product(
      Matrix(tensor.result, tensor.rows, tensor.columns),
      ${symmetric},
      ${text(left, firsts[0])},
      ${leftTurned},
      ${text(right, firsts[1])},
      ${rightTurned},
      ${scale},
      ${text(added, firsts[2])},
      ${share},
    ),
    work,
    lane,
  );
}`;
  const work = symmetric ? symmetricWork(rows) : productWork(rows, columns);
  const after = await runPasses(
    watched().device,
    code,
    [{ name: "run", work }],
    { rows, columns, result },
    { directions: new Float32Array(1), scratch },
  );
  const { values, padding } = unpad(after.scratch.subarray(4 * result, 4 * result + size), rows, columns);
  expect(padding.every((value) => value === 0)).toBe(true);
  expect(after.scratch.subarray(0, 4 * result)).toEqual(scratch.subarray(0, 4 * result));
  expect([...after.scratch.subarray(4 * result + size)]).toEqual([...rest]);
  return values;
}

/** The largest error of an element, in roundings of the sum of its terms' magnitudes. */
function worst(values: Float32Array, expected: (i: number) => readonly [value: number, magnitude: number]) {
  let most = 0;
  for (const [i, value] of values.entries()) {
    const [exact, magnitude] = expected(i);
    const error = Math.abs(value - exact);
    most = Math.max(most, Number.isNaN(error) ? Infinity : error / (magnitude * 2 ** -24));
  }
  return most;
}

type Shape = readonly [rows: number, terms: number, columns: number];
const shapes: readonly Shape[] = [
  [3, 5, 2],
  [65, 127, 66],
  // Each is a kernel of its own to compile.
  ...(long
    ? ([
        [1, 300, 129],
        [1, 1, 1],
        [4, 4, 4],
        [64, 64, 64],
        [130, 17, 70],
        [256, 1024, 64],
      ] satisfies Shape[])
    : []),
];

describe.each(shapes)("%i×%i by %i", (rows, terms, columns) => {
  const left = matrix(1, rows, terms);
  const right = matrix(2, terms, columns);
  const { sums, magnitudes } = exact(left, right);
  const limit = 4 + Math.sqrt(terms);

  test.each([
    ["AB", { left, right }],
    ["ABᵀ", { left, right: turn(right), rightTurned: true }],
    ["AᵀB", { left: turn(left), right, leftTurned: true }],
    ["AᵀBᵀ", { left: turn(left), right: turn(right), leftTurned: true, rightTurned: true }],
  ])("%s", async (_, one) => {
    expect(worst(await onGpu(one), (i) => [sums[i]!, magnitudes[i]!])).toBeLessThan(limit);
  });

  test("¾AB − ½D", async () => {
    const added = matrix(3, rows, columns);
    const values = await onGpu({ left, right, scale: 0.75, share: -0.5, added });
    const expected = (i: number) =>
      [
        0.75 * sums[i]! - 0.5 * added.values[i]!,
        0.75 * magnitudes[i]! + 0.5 * Math.abs(added.values[i]!),
      ] as const;
    expect(worst(values, expected)).toBeLessThan(limit + 2);
  });
});

describe.each<readonly [number, number]>([
  [5, 3],
  [65, 127],
  ...(long
    ? ([
        [127, 65],
        [1, 1],
        [64, 64],
        [200, 30],
        [256, 1024],
      ] as const)
    : []),
])("%i×%i", (rows, columns) => {
  const one = matrix(4, rows, columns);
  const symmetric = (values: Float32Array) =>
    values.every((value, i) => value === values[(i % rows) * rows + Math.floor(i / rows)]);

  test("AAᵀ as the plain product, and symmetric to the last bit", async () => {
    const { sums, magnitudes } = exact(one, turn(one));
    const values = await onGpu({ symmetric: true, left: one, right: one, rightTurned: true });
    expect(worst(values, (i) => [sums[i]!, magnitudes[i]!])).toBeLessThan(4 + Math.sqrt(columns));
    expect(symmetric(values)).toBe(true);
    // GᵀG of the transpose is the same sum.
    const turned = await onGpu({ symmetric: true, left: turn(one), leftTurned: true, right: turn(one) });
    expect(turned).toEqual(values);
  });

  test("A² and A, blended", async () => {
    const gram = { rows, columns: rows, values: Float32Array.from(exact(one, turn(one)).sums) };
    const { sums, magnitudes } = exact(gram, gram);
    const values = await onGpu({
      symmetric: true,
      left: gram,
      right: gram,
      scale: 2.0315,
      share: -4.775,
      added: gram,
    });
    const expected = (i: number) =>
      [
        2.0315 * sums[i]! - 4.775 * gram.values[i]!,
        2.0315 * magnitudes[i]! + 4.775 * Math.abs(gram.values[i]!),
      ] as const;
    expect(worst(values, expected)).toBeLessThan(8 + Math.sqrt(rows));
    expect(symmetric(values)).toBe(true);
  });
});
