import { describe, expect, test } from "vitest";
import { readTrajectories, type Trajectory } from "../../src/conformance/index.js";
import { referenceRun } from "../../src/conformance/reference-run.js";
import { fromFramework } from "../../src/frameworks/index.js";
import { largest } from "../../src/reference/summands.js";
import { checkOptions, type Rule } from "../../src/rule.js";
import { trajectories } from "../vectors/trajectories.js";

/** Runs a trajectory from its start, by itself, and gives the worst error over 1 + max|θ|. */
function worstError(
  run: Trajectory,
  rule: Rule = fromFramework(run.framework, run.optimizer, run.config),
): number {
  let worst = 0;
  let compared = 0;
  for (const [tensor, after] of Object.entries(referenceRun(run, rule)))
    for (const [t, values] of run.expected) {
      const expected = values[tensor]!;
      const scale = 1 + largest([...expected]);
      for (const [i, value] of expected.entries()) {
        const error = Math.abs(after[t - 1]![i]! - value) / scale;
        worst = Number.isNaN(error) ? Infinity : Math.max(worst, error);
        compared++;
      }
    }
  if (compared === 0) throw new Error(`${run.id} compares nothing`);
  return worst;
}

test("the vectors are those of the frameworks and the textbook", () => {
  const count = (framework: string) => trajectories.filter((run) => run.framework === framework).length;
  expect(count("pytorch")).toBe(37);
  expect(count("textbook")).toBe(12);
  expect(count("keras")).toBe(26);
  expect(count("tensorflow1")).toBe(19);
  expect(count("optax")).toBe(61);
  for (const run of trajectories) expect(run.expected.has(run.steps), run.id).toBe(true);
});

describe("the reference follows", () => {
  // Both sides are float64 and differ only in the order of operations: some 25 steps of a few roundings of 1.1e-16.
  // ASGD apart: PyTorch keeps its eta as an f32 tensor even there, off by up to 6e-8 of every step's size.
  test.each(trajectories.map((run) => [run.id, run] as const))("%s", (_id, run) => {
    expect(worstError(run)).toBeLessThanOrEqual(run.optimizer === "ASGD" ? 6e-8 : 1e-12);
  });
});

describe("the vectors tell rules apart", () => {
  const find = (id: string) => trajectories.find((run) => run.id === id)!;
  test.each([
    ["pytorch/adam/amsgrad", { amsgrad: false }],
    ["pytorch/adam/maximize", { maximize: false }],
    ["pytorch/adam/default", { eps: 1e-6 }],
    ["pytorch/adamw/decay", { weight_decay: 0 }],
    ["pytorch/sgd/nesterov", { nesterov: false }],
    ["pytorch/sgd/dampening", { dampening: 0 }],
    ["pytorch/rmsprop/centered", { centered: false }],
    ["pytorch/adagrad/lr_decay", { lr_decay: 0 }],
    ["pytorch/adagrad/accumulator", { initial_accumulator_value: 0 }],
    ["pytorch/nadam/momentum_decay", { momentum_decay: 4e-3 }],
    ["pytorch/radam/default", { eps: 1e-6 }],
    ["pytorch/rprop/etas", { step_sizes: [1e-6, 50] }],
    ["pytorch/rprop/default", { etas: [0.5, 1.3] }],
    ["pytorch/asgd/default", { alpha: 0.5 }],
    ["pytorch/asgd/averaging", { lambd: 0 }],
    ["keras/SGD_nesterov", { nesterov: false }],
    ["keras/SGD_weight_decay", { weight_decay: 0 }],
    ["keras/RMSprop_centered", { centered: false }],
    ["keras/Adam_amsgrad", { amsgrad: false }],
    ["keras/AdamW", { weight_decay: 0 }],
    ["tensorflow1/Momentum_nesterov", { use_nesterov: false }],
    ["tensorflow1/RMSProp_centered", { centered: false }],
    ["optax/adam_eps_root", { eps_root: 0 }],
    ["optax/adam_nesterov", { nesterov: false }],
    ["optax/rmsprop_bias_correction", { bias_correction: false }],
    ["optax/rmsprop_eps_outside", { eps_in_sqrt: true }],
    ["optax/rmsprop_initial_scale", { initial_scale: 0 }],
    ["optax/rmsprop_nesterov", { nesterov: false }],
  ])("%s is not met with %o", (id, wrong) => {
    const run = find(id);
    expect(worstError({ ...run, config: { ...run.config, ...wrong } })).toBeGreaterThan(1e-9);
  });

  test.each([
    ["keras/SGD_momentum", { form: "buffer" }],
    ["keras/SGD_nesterov", { form: "buffer" }],
    ["keras/SGD_weight_decay", { decay: "coupled" }],
    ["keras/Adagrad", { epsInside: false, initialAccumulatorValue: 0 }],
    ["keras/RMSprop_momentum", { rateInside: false }],
    ["keras/Adam_epsilon", { epsHat: false }],
    ["keras/Adam_amsgrad", { maximum: "corrected" }],
    ["keras/Adamax_epsilon", { epsOutside: false }],
    ["keras/Nadam", { momentumDecay: 4e-3 }],
    ["tensorflow1/Adagrad", { initialAccumulatorValue: 0 }],
    ["tensorflow1/RMSProp_momentum", { rateInside: false }],
    ["tensorflow1/RMSProp_epsilon", { epsInside: false }],
    ["tensorflow1/RMSProp", { initialSquareAvg: 0 }],
    ["tensorflow1/Adam_epsilon", { epsHat: false }],
    ["tensorflow1/Nadam", { form: "constant" }],
    ["tensorflow1/Nadam", { form: "scheduled" }],
    ["tensorflow1/AdaMax_epsilon", { epsOutside: false }],
    ["optax/adagrad", { epsInside: false, eps: 0.1 }],
    ["optax/rmsprop_momentum", { rateInside: false }],
    ["optax/adadelta_weight_decay", { decay: "decoupled" }],
    ["optax/amsgrad", { maximum: "raw" }],
    ["optax/nadam", { form: "scheduled" }],
    ["optax/nadam", { form: "shared" }],
    ["optax/nadamw", { decay: "coupled" }],
    ["optax/adamax_eps", { epsOutside: true }],
    ["optax/radam_threshold", { epsHat: true }],
    ["optax/lion_weight_decay", { decay: "coupled" }],
    ["optax/adabelief_eps_root", { epsRoot: 0 }],
    ["optax/yogi", { initialExpAvg: 0 }],
    ["optax/yogi", { biasCorrection: false }],
    ["optax/adan", { differenceWeight: "beta2" }],
    ["optax/adan_weight_decay", { decay: "proximal" }],
    ["optax/novograd_weight_decay", { decay: "coupled" }],
    ["optax/lars_weight_decay", { decay: "decoupled" }],
    ["optax/lars_weight_decay", { eps: 0 }],
    ["optax/lars_nesterov", { nesterov: false }],
    ["optax/lars", { form: "buffer" }],
    ["optax/lars", { adapt: false }],
    ["optax/lamb_weight_decay", { decay: "coupled" }],
    ["optax/lamb_weight_decay", { decayFirst: true }],
    ["optax/lamb_weight_decay", { epsRoot: 0 }],
    ["optax/lamb", { biasCorrection: false }],
    ["optax/fromage_min_norm", { minNorm: 0 }],
    ["keras/Lamb_weight_decay", { decayFirst: false }],
    ["optax/ademamix_weight_decay", { decay: "coupled" }],
    ["optax/schedule_free_sgd_weight_decay", { momentum: 0.9 }],
    ["optax/schedule_free_adamw", { correctedRate: true }],
    ["optax/rprop", { delayed: false }],
    ["optax/sophia_clip", { biasCorrection: false }],
    ["optax/sophia_clip", { clipThreshold: 1 }],
    ["optax/prodigy", { biasCorrection: false }],
    ["optax/prodigy_distance", { newDistance: false }],
    ["optax/prodigy_distance", { dCoef: 1 }],
    ["optax/prodigy_distance", { beta3: 0 }],
    ["optax/prodigy_safeguard", { safeguardWarmup: false }],
    ["keras/Ftrl_regularized", { beta: 0 }],
    ["tensorflow1/Ftrl_regularized", { l2Shrinkage: 0 }],
  ])("%s is not met by the rule with %o", (id, wrong) => {
    const run = find(id);
    const { row, options } = fromFramework(run.framework, run.optimizer, run.config);
    const other = { row, options: checkOptions(row, wrong, options) };
    expect(worstError(run, other)).toBeGreaterThan(1e-9);
  });

  test("textbook/nesterov is not met with the gradient at the parameter itself", () => {
    const run = find("textbook/nesterov");
    expect(worstError({ ...run, optimizer: "momentum" })).toBeGreaterThan(1e-3);
  });
});

test("another format is refused by name", () => {
  expect(() => readTrajectories({ format: "schedules/1" }, "x.json")).toThrow(
    /x\.json holds no optimizer trajectories.*optimizer-trajectories\/1.*schedules\/1/,
  );
  expect(() => readTrajectories([], "x.json")).toThrow(/got no format/);
  const record = { id: "a", learning_rates: [1], tensors: {}, initial: {}, expected: {} };
  const file = { format: "optimizer-trajectories/1", framework: "pytorch", cases: [record] };
  expect(() => readTrajectories(file, "x.json")).toThrow(/Case 'a' of x\.json/);
});
