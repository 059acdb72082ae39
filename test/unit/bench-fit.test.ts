import { expect, test } from "vitest";
import { fitCost } from "../../bench/fit.js";

const rows = (cost: (parameters: number) => number) =>
  [2 ** 10, 2 ** 14, 2 ** 18, 2 ** 22, 2 ** 24].map((parameters) => ({
    parameters,
    medianMs: cost(parameters),
  }));

test("a line is found", () => {
  const cost = fitCost(rows((parameters) => 0.2 + 3e-6 * parameters))!;
  expect(cost.step).toBeCloseTo(0.2, 9);
  expect(cost.parameter / 3e-6).toBeCloseTo(1, 9);
});

test("small sizes count as much as large ones", () => {
  const cost = fitCost(rows((parameters) => (parameters > 2 ** 20 ? 1.1 : 1) * (0.2 + 3e-6 * parameters)))!;
  expect(Math.abs(cost.step - 0.2)).toBeLessThan(0.02);
  expect(Math.abs(cost.parameter / 3.3e-6 - 1)).toBeLessThan(0.05);
});

test("two sizes tell nothing", () => {
  expect(fitCost(rows((parameters) => parameters).slice(0, 2))).toBeUndefined();
});
