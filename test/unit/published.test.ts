// The numbers of public test suites against the float64 reference.
import { describe, expect, test } from "vitest";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { checkOptions } from "../../src/rule.js";
import {
  decayedByKeras,
  leftOut,
  type PublishedRun,
  publishedRuns,
  scenarios,
} from "../support/published.js";
import { type PublishedCase, published, publishedCase, readPublished } from "../vectors/published.js";

/** Every tensor after each step of a run in float64. */
function trail(run: PublishedRun, { initial, gradients }: PublishedCase): Float64Array[][] {
  const { row } = run.rule;
  const { every = 5, alpha = 0.5 } = run.slowWeights ?? {};
  const tensors = initial.map((start) => ({
    parameters: start,
    slow: start,
    state: referenceState(row.name, run.rule.options, start.length),
  }));
  return gradients.map((given, index) => {
    const t = index + 1;
    const options = { ...run.rule.options, ...run.at?.(t) };
    tensors.forEach((tensor, k) => {
      const at = { t, lr: options.lr };
      const { parameters, state } = tensor;
      Object.assign(tensor, referenceStep(row.name, options, at, parameters, given[k]!, state));
      if (!run.slowWeights || t % every !== 0) return;
      tensor.slow = tensor.slow.map((value, i) => value + alpha * (tensor.parameters[i]! - value));
      tensor.parameters = tensor.slow;
    });
    return tensors.map(({ parameters }) => parameters);
  });
}

/** The worst error over 1 + the largest |θ| of the element. */
function worstError(run: PublishedRun, one: PublishedCase): number {
  const after = trail(run, one);
  let worst = 0;
  for (const [t, tensors] of one.expected)
    tensors.forEach((values, k) => {
      values.forEach((value, i) => {
        const largest = Math.max(...after.map((step) => Math.abs(step[k]![i]!)), Math.abs(value));
        const error = Math.abs(after[t - 1]![k]![i]! - value) / (1 + largest);
        worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
      });
    });
  return worst;
}

test("every case is run, told as a scenario, or left out with a reason", () => {
  const listed = [...Object.keys(publishedRuns), ...scenarios, ...Object.keys(leftOut)];
  expect(listed.sort()).toEqual(published.map(({ id }) => id).sort());
  expect(listed.length).toBe(113);
});

test("what is marked suspect is left out", () => {
  for (const { id, quality } of published) if (quality === "suspect") expect(leftOut).toHaveProperty([id]);
});

describe("the reference follows", () => {
  // Both sides are float64; the slowest summation is 100 steps long.
  test.each(Object.entries(publishedRuns))("%s", (id, run) => {
    const one = publishedCase(id);
    expect(one.expected.size).toBeGreaterThan(0);
    expect(worstError(run, one)).toBeLessThanOrEqual(1e-12);
  });

  test.each(decayedByKeras.map((run) => [run.rule.row.name, run] as const))(
    "keras/all/decoupled_weight_decay_3x: %s",
    (_, run) => {
      expect(worstError(run, publishedCase("keras/all/decoupled_weight_decay_3x"))).toBeLessThanOrEqual(
        1e-12,
      );
    },
  );
});

describe("the vectors tell dialects apart", () => {
  test.each([
    ["keras/adamw/golden10x5", { epsHat: false }],
    ["keras/adamax/golden10x5", { beta1: 0.9 }],
    ["keras/nadam/golden10x5", { momentumDecay: 4e-3 }],
    ["keras/adagrad/golden10x5", { epsInside: false }],
    ["keras/adagrad/golden10x5", { initialAccumulatorValue: 0 }],
    ["keras/adadelta/golden10x5", { eps: 1e-7 }],
    ["tf/rmsprop/table1", { initialSquareAvg: 0 }],
    ["tf/rmsprop/table1", { epsInside: false }],
    ["tf/rmsprop/table5", { momentum: 0 }],
    ["tf/adam/basic3", { epsHat: false }],
    ["tfa/adamw/nolr", { decay: "decoupled" }],
    ["tfa/sgdw/nolr", { decay: "decoupled" }],
    ["dfdx/rmsprop/test_rmsprop_decoupled_weight_decay", { decay: "coupled" }],
    ["dfdx/adam/test_default_adam_params", { epsHat: true }],
  ])("%s is not met with %o", (id, wrong) => {
    const run = publishedRuns[id]!;
    const rule = { ...run.rule, options: checkOptions(run.rule.row, wrong, run.rule.options) };
    expect(worstError({ ...run, rule }, publishedCase(id))).toBeGreaterThan(1e-8);
  });
});

test("another file is refused", () => {
  expect(() => readPublished({ format: "schedules/1" })).toThrow(/no published cases/);
  expect(() => readPublished(null)).toThrow(/no published cases/);
  expect(() => publishedCase("keras/none")).toThrow(/no published case 'keras\/none'/);
});
