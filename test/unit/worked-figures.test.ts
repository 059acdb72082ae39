import { describe, expect, test } from "vitest";
import { fromOptax } from "../../src/frameworks/optax.js";
import { fromPyTorch } from "../../src/frameworks/pytorch.js";
import { adam } from "../../src/kernels.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { type Rule, scalarsAt } from "../../src/rule.js";
import table from "../vectors/textbook/bias-correction.json";

describe("bias correction at β1 = 0.9, β2 = 0.999", () => {
  test.each(table.bias_correction.map((row) => [row.t, row] as const))("t = %i", (t, row) => {
    const { beta1, beta2 } = row;
    const rule = adam({ beta1, beta2 });
    const scalars = scalarsAt(rule.row, rule.options, t, 0.5, []);
    // 1 − β2 loses three digits of the last place of β2ᵗ, where two implementations of the power may differ.
    expect(Math.abs(scalars.step_size! / 0.5 / row.one_over_1_minus_beta1_t - 1)).toBeLessThan(1e-12);
    expect(Math.abs(scalars.inverse_bias_correction2! / row.one_over_1_minus_beta2_t - 1)).toBeLessThan(
      1e-12,
    );
  });

  test("the table holds the four steps, with the figures known by hand", () => {
    expect(table.bias_correction.map(({ t }) => t)).toEqual([1, 5, 50, 100]);
    const [first, fifth] = table.bias_correction;
    expect(first!.one_over_1_minus_beta1_t).toBeCloseTo(10, 12);
    expect(first!.one_over_1_minus_beta2_t).toBeCloseTo(1000, 10);
    // 0.9⁵ = 0.59049.
    expect(fifth!.one_over_1_minus_beta1_t).toBeCloseTo(1 / 0.40951, 12);
  });
});

/** Runs y = w²/2 from w = 1, where the gradient is w itself; w after every step. */
function minimize({ row, options }: Rule, steps: number): number[] {
  let parameters: Float64Array = Float64Array.of(1);
  let state = referenceState(row.name, options, 1);
  return Array.from({ length: steps }, (_, i) => {
    const at = { t: i + 1, lr: options.lr };
    ({ parameters, state } = referenceStep(row.name, options, at, parameters, parameters, state));
    return parameters[0]!;
  });
}

/** The figures are those of PyTorch 1.13 in float64: w = ones(1), y = w²/2, backward, step, w.item() after each. */
const pytorchAdam = [
  0.9900000001, 0.98000274609637, 0.97001009952905, 0.9600239399243292, 0.9500461605403154,
  0.9400786640860456, 0.9301233584472535, 0.9201821524511644, 0.9102569517015602, 0.9003496545137929,
  0.8904621479774613, 0.8805963041721543, 0.8707539765590684, 0.8609369965684812, 0.8511471704000815,
  0.8413862760500711, 0.8316560605758406, 0.8219582376059286, 0.8122944850999642, 0.8026664433604095,
  0.7930757132952079, 0.7835238549279367, 0.7740123861497921, 0.7645427817057087, 0.7551164724051662,
  0.7457348445467453, 0.736399239544282, 0.7271109537415203, 0.7178712384014622, 0.7086812998561565,
];

// A few roundings of 1.1e-16 in each of at most thirty steps.
const digits = 14;

describe("w = 1, y = w²/2, as PyTorch gives it", () => {
  test("SGD with momentum 0.9 at rate 0.01, three steps", () => {
    // By hand: b = 1, 0.9 + 0.99 = 1.89, 1.701 + 0.9711 = 2.6721; w = 0.99, 0.99 − 0.0189, 0.9711 − 0.026721.
    const w = minimize(fromPyTorch("SGD", { lr: 0.01, momentum: 0.9 }), 3);
    for (const [i, expected] of [0.99, 0.9711, 0.944379].entries())
      expect(w[i]).toBeCloseTo(expected, digits);
  });

  test("Adam at rate 0.01, thirty steps", () => {
    const w = minimize(fromPyTorch("Adam", { lr: 0.01 }), 30);
    expect(w).toHaveLength(pytorchAdam.length);
    for (const [i, expected] of pytorchAdam.entries()) expect(w[i]).toBeCloseTo(expected, digits);
  });

  test("Adam's figures follow from the algorithm as printed", () => {
    let [w, m, v, power1, power2] = [1, 0, 0, 1, 1];
    for (const expected of pytorchAdam) {
      m = 0.9 * m + 0.1 * w;
      v = 0.999 * v + 0.001 * w * w;
      power1 *= 0.9;
      power2 *= 0.999;
      w -= (0.01 * (m / (1 - power1))) / (Math.sqrt(v / (1 - power2)) + 1e-8);
      // 1 − 0.999 and its powers, multiplied up, are good to 1e-13; the step is 1e-2.
      expect(w).toBeCloseTo(expected, 13);
    }
  });
});

/** Runs on gradients of the parameters; the parameters before every step, and at last. */
function follow(
  { row, options }: Rule,
  start: readonly number[],
  steps: number,
  gradient: (x: Float64Array) => number[],
) {
  let parameters: Float64Array = Float64Array.from(start);
  let state = referenceState(row.name, options, start.length);
  const path = [parameters];
  for (let t = 1; t <= steps; t += 1) {
    const gradients = Float64Array.from(gradient(parameters));
    ({ parameters, state } = referenceStep(
      row.name,
      options,
      { t, lr: options.lr },
      parameters,
      gradients,
      state,
    ));
    path.push(parameters);
  }
  return path;
}

describe("the optimistic rules, as optax's documentation prints them", () => {
  test("gradient descent on Σx² from (1, 2, 3)", () => {
    const rule = fromOptax("optimistic_gradient_descent", { learning_rate: 0.003 });
    const path = follow(rule, [1, 2, 3], 5, (x) => [...x].map((value) => 2 * value));
    const objectives = path.map((x) => x.reduce((total, value) => total + value ** 2, 0));
    expect(objectives.map((value) => value.toFixed(1))).toEqual([
      "14.0",
      "13.8",
      "13.7",
      "13.5",
      "13.3",
      "13.2",
    ]);
  });

  test.each([
    ["optimistic_adam", { learning_rate: 1e-2, optimism: 1 }],
    ["optimistic_adam_v2", { learning_rate: 1, alpha: 1e-2, beta: 1 }],
  ])("%s of the game xy, which gradient descent would circle", (name, kwargs) => {
    const path = follow(fromOptax(name, kwargs), [1, 2], 1024, ([x, y]) => [y!, -x!]);
    const printed = { 1: 2.243, 4: 2.195, 16: 2.161, 64: 2.055, 256: 0.796, 1024: 0.001 };
    // Half a unit of the last digit, and as much for optax's f32.
    for (const [step, distance] of Object.entries(printed))
      expect(Math.abs(Math.hypot(...path[Number(step)]!) - distance)).toBeLessThan(1e-3);
  });
});
