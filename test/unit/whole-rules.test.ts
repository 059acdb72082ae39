// What rules over whole tensors keep of a shape, and which shapes they refuse.
import { expect, test } from "vitest";
import { adafactor, fromOptax, fromPyTorch, noisySgd, type Rule, sm3 } from "../../src/index.js";
import { keptOf } from "../../src/whole-tensor.js";

const kept = ({ row, options }: Rule, ...shape: number[]) => keptOf(row, shape, options);
const refused = ({ row, options }: Rule, ...shape: number[]) => row.whole!.refuse?.(shape, options);

test("SM3 keeps an accumulator for each index of each dimension", () => {
  expect(kept(sm3(), 3, 1, 5)).toEqual({ accumulator: [8] });
  expect(kept(sm3(), 7)).toEqual({ accumulator: [7] });
  expect(kept(sm3())).toEqual({ accumulator: [1] });
  expect(refused(sm3(), 2, 2, 2, 2, 2, 2, 1)).toBeUndefined();
  expect(refused(sm3(), 2, 2, 2, 2, 2, 2, 2)).toMatch(/at most 6 dimensions/);
});

test("Adafactor keeps what PyTorch's does, under its names and in its shapes", () => {
  const rule = fromPyTorch("Adafactor");
  expect(kept(rule, 2, 3, 4)).toEqual({ row_var: [2, 3, 1], col_var: [2, 1, 4] });
  expect(kept(rule, 5)).toEqual({ variance: [5] });
});

test("Adafactor factors the two largest dimensions as optax does, or refuses", () => {
  const rule = fromOptax("adafactor", { learning_rate: 0.1 });
  expect(kept(rule, 127, 500)).toEqual({ variance: [127, 500] });
  expect(kept(rule, 3, 128, 500)).toEqual({ row_var: [3, 128, 1], col_var: [3, 1, 500] });
  expect(refused(rule, 3, 128, 500)).toBeUndefined();
  expect(refused(rule, 500, 128, 3)).toMatch(/two largest dimensions last/);
  expect(refused(adafactor(), 500, 128, 3)).toBeUndefined();
  expect(kept(fromOptax("adafactor", { factored: false }), 128, 128)).toEqual({ variance: [128, 128] });
  expect(fromOptax("adafactor", { momentum: 0.9 }).row.name).toBe("adafactor-momentum");
});

test("the noise's variance is that of optax's first step, then falls", () => {
  const { row, options } = noisySgd({ eta: 0.25, gamma: 1, seed: 2 ** 32 - 1 });
  expect(row.scalars!(options, 1, 0.1, [])).toMatchObject({
    deviation: 0.5,
    seed_low: 65535,
    seed_high: 65535,
  });
  expect(row.scalars!(options, 65537 * 4, 0.1, [])).toMatchObject({ step_low: 4, step_high: 4 });
  expect(() => fromOptax("noisy_sgd", { learning_rate: 1, key: 1, seed: 1 })).toThrow(
    /one of 'key' and 'seed'/,
  );
});
