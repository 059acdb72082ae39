import { describe, expect, test } from "vitest";
import {
  type ImportedSchedule,
  scheduleFromFramework,
  scheduleFromKeras,
  scheduleFromOptax,
  scheduleFromPyTorch,
  scheduleFromTensorFlow1,
  scheduleFromTextbook,
} from "../../src/frameworks/schedules/index.js";
import { isPlateauSchedule, scaled, scheduleFromJSON, sequential } from "../../src/schedules/index.js";
import { refused } from "../support/errors.js";

const rates = ({ lr, schedule }: ImportedSchedule, steps: readonly number[]) =>
  steps.map((s) => lr * schedule(s));

function expectRates(
  imported: ImportedSchedule,
  steps: readonly number[],
  expected: readonly number[],
): void {
  rates(imported, steps).forEach((rate, i) => {
    expect(rate, `step ${steps[i]}`).toBeCloseTo(expected[i]!, 13);
  });
}

describe("PyTorch", () => {
  test("defaults are PyTorch's", () => {
    expect(scheduleFromPyTorch("ConstantLR", {}, 0.3).schedule.spec).toMatchObject({
      factor: 1 / 3,
      steps: 5,
    });
    expect(scheduleFromPyTorch("LinearLR", {}, 0.3).schedule.spec).toMatchObject({
      start: 1 / 3,
      end: 1,
      steps: 5,
    });
    expect(scheduleFromPyTorch("PolynomialLR", {}, 0.3).schedule.spec).toMatchObject({ steps: 5, power: 1 });
    expect(scheduleFromPyTorch("StepLR", { step_size: 4 }, 0.3).schedule.spec).toMatchObject({ gamma: 0.1 });
    expect(scheduleFromPyTorch("CyclicLR", { base_lr: 0.1, max_lr: 0.2 })).toMatchObject({ lr: 0.2 });
    const { schedule, momentum } = scheduleFromPyTorch("CyclicLR", { base_lr: 0.1, max_lr: 0.2 });
    expect(schedule.spec).toMatchObject({ start: 0.5, peak: 1, stepsUp: 2000, stepsDown: 2000, gamma: 1 });
    expect(momentum!.spec).toMatchObject({ start: 0.9, peak: 0.8, stepsUp: 2000 });
    const oneCycle = scheduleFromPyTorch("OneCycleLR", { max_lr: 0.5, epochs: 3, steps_per_epoch: 10 });
    expect(oneCycle.schedule.spec).toMatchObject({
      steps: 30,
      pctStart: 0.3,
      start: 1 / 25,
      interpolation: "cosine",
    });
    expect(oneCycle.momentum!.spec).toMatchObject({ start: 0.95, peak: 0.85, end: 0.95 });
    const plateau = scheduleFromPyTorch("ReduceLROnPlateau", { min_lr: 0.025 }, 0.1).schedule;
    expect(plateau.spec).toMatchObject({
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      minimum: 0.25,
      eps: 1e-7,
    });
    expect(isPlateauSchedule(plateau)).toBe(true);
  });

  test("no momentum where it is not cycled", () => {
    const params = { base_lr: 0.1, max_lr: 0.2, cycle_momentum: false };
    expect(scheduleFromPyTorch("CyclicLR", params).momentum).toBeUndefined();
    expect(
      scheduleFromPyTorch("OneCycleLR", { max_lr: 1, total_steps: 5, cycle_momentum: false }).momentum,
    ).toBeUndefined();
  });

  test("functions of the caller's", () => {
    expect(
      rates(scheduleFromPyTorch("LambdaLR", { lr_lambda: (s: number) => 1 / (s + 1) }, 0.5), [0, 1, 3]),
    ).toEqual([0.5, 0.25, 0.125]);
    expect(rates(scheduleFromPyTorch("MultiplicativeLR", { lr_lambda: () => 0.5 }, 1), [0, 1, 3])).toEqual([
      1, 0.5, 0.125,
    ]);
    const cyclic = { base_lr: 0, max_lr: 1, step_size_up: 2, scale_fn: (cycle: number) => 1 / cycle };
    expect(rates(scheduleFromPyTorch("CyclicLR", cyclic), [2, 6])).toEqual([1, 0.5]);
  });

  test("no steps: the first factor stays", () => {
    expect(rates(scheduleFromPyTorch("ConstantLR", { factor: 0.5, total_iters: 0 }, 1), [0, 1, 9])).toEqual([
      0.5, 0.5, 0.5,
    ]);
    expect(
      rates(scheduleFromPyTorch("LinearLR", { start_factor: 0.5, total_iters: 0 }, 1), [0, 1, 9]),
    ).toEqual([0.5, 0.5, 0.5]);
    expect(rates(scheduleFromPyTorch("PolynomialLR", { total_iters: 0 }, 1), [0, 1, 9])).toEqual([1, 1, 1]);
  });

  test("the cosine rises again past T_max", () => {
    const imported = scheduleFromPyTorch("CosineAnnealingLR", { T_max: 4, eta_min: 0.1 }, 0.5);
    expectRates(imported, [0, 2, 4, 6, 8], [0.5, 0.3, 0.1, 0.3, 0.5]);
  });

  test("milestones in any order", () => {
    expect(
      rates(scheduleFromPyTorch("MultiStepLR", { milestones: [4, 2], gamma: 0.5 }, 1), [1, 2, 4]),
    ).toEqual([1, 0.5, 0.25]);
  });

  test.each(["cos", "linear"] as const)("SWALR anneals by %s, by itself and after another", (strategy) => {
    for (const [swa_lr, anneal_epochs] of [
      [0.05, 10],
      [0.9, 3],
      [0, 1],
      [0.05, 0],
    ] as const) {
      // PyTorch goes from rate to rate: it takes back what the last step annealed, and anneals once more.
      const anneal = (t: number) => (strategy === "cos" ? (1 - Math.cos(Math.PI * t)) / 2 : t);
      const part = (step: number) => anneal(Math.max(0, Math.min(1, step / Math.max(1, anneal_epochs))));
      const next = (rate: number, calls: number) => {
        const step = anneal_epochs === 0 ? Math.max(1, calls) : calls;
        const [before, now] = [part(step - 1), part(step)];
        const initial = before === 1 ? swa_lr : (rate - before * swa_lr) / (1 - before);
        return swa_lr * now + initial * (1 - now);
      };
      const params = { swa_lr, anneal_epochs, anneal_strategy: strategy };
      const alone = scheduleFromPyTorch("SWALR", params, 0.4);
      let rate = 0.4;
      for (let s = 0; s < 20; s++) {
        rate = next(rate, s);
        expect(alone.lr * alone.schedule(s), `${anneal_epochs}, step ${s}`).toBeCloseTo(rate, 13);
      }
      // Begun where another schedule has come to: from its rate at that step.
      const main = scheduleFromPyTorch("CosineAnnealingLR", { T_max: 30, eta_min: 0.1 }, 0.4);
      const start = 12;
      const present = main.lr * main.schedule(start);
      const swa = scheduleFromPyTorch("SWALR", params, present);
      const both = sequential([scaled(main.schedule, main.lr), scaled(swa.schedule, swa.lr)], [start]);
      rate = present;
      for (let s = 0; s < 40; s++) {
        if (s >= start + (anneal_epochs === 0 ? 0 : 1)) rate = next(rate, s - start);
        const expected = s < start ? main.lr * main.schedule(s) : rate;
        expect(both(s), `${anneal_epochs}, step ${s}`).toBeCloseTo(expected, 12);
      }
    }
    expect(scheduleFromPyTorch("SWALR", { swa_lr: 0.1 }, 0.4).schedule.spec).toMatchObject({
      boundaries: [10],
      values: [1, 0.25],
      interpolation: "cosine",
    });
    const make = (more: object) => () => scheduleFromPyTorch("SWALR", { swa_lr: 0.1, ...more }, 0.4);
    for (const more of [{ swa_lr: [0.1] }, { anneal_epochs: 1.5 }, { anneal_strategy: "exp" }, { steps: 1 }])
      refused("invalid-schedule", make(more));
    const part = { type: "SWALR", swa_lr: 0.1 };
    expect(
      refused("invalid-schedule", () =>
        scheduleFromPyTorch("SequentialLR", { schedulers: [part], milestones: [] }, 1),
      ),
    ).toContain("SWALR");
  });

  test("schedulers in a chain multiply; those that set the rate are refused there", () => {
    const linear = { type: "LinearLR", start_factor: 0.5, total_iters: 2 };
    const cosine = { type: "CosineAnnealingLR", T_max: 4 };
    const chain = (...schedulers: object[]) => scheduleFromPyTorch("ChainedScheduler", { schedulers }, 0.2);
    expectRates(chain(linear, cosine), [0, 2, 4], [0.1, 0.1, 0]);
    for (const part of [
      { ...cosine, eta_min: 0.1 },
      { type: "CyclicLR", base_lr: 0.1, max_lr: 1 },
      { type: "CosineAnnealingWarmRestarts", T_0: 2 },
      { type: "ReduceLROnPlateau" },
      { type: "SequentialLR", schedulers: [linear], milestones: [] },
    ])
      expect(refused("invalid-schedule", () => chain(linear, part))).toContain(part.type);
  });

  test("a sequence takes any scheduler of the optimizer's rate, nested too", () => {
    const exponential = { type: "ExponentialLR", gamma: 0.5 };
    const inner = {
      type: "SequentialLR",
      schedulers: [exponential, { type: "ConstantLR", factor: 0.25 }],
      milestones: [1],
    };
    const schedulers = [{ type: "ChainedScheduler", schedulers: [exponential, exponential] }, inner];
    expectRates(
      scheduleFromPyTorch("SequentialLR", { schedulers, milestones: [2] }, 0.8),
      [0, 1, 2, 3, 8],
      [0.8, 0.2, 0.8, 0.2, 0.8],
    );
    const sequence = (part: object) =>
      scheduleFromPyTorch("SequentialLR", { schedulers: [part], milestones: [] }, 1);
    refused("invalid-schedule", () => sequence({ type: "ReduceLROnPlateau" }));
    refused("invalid-schedule", () => sequence({ type: "OneCycleLR", max_lr: 1, total_steps: 5 }));
    refused("unknown-name", () => sequence({ type: "CosineLR" }));
    expect(refused("invalid-schedule", () => sequence({ gamma: 0.5 }))).toContain("type: NAME");
  });

  test("the base rate is asked for where it is multiplied", () => {
    for (const lr of [undefined, 0, -1, Number.NaN, Infinity])
      expect(
        refused("invalid-schedule", () => scheduleFromPyTorch("ExponentialLR", { gamma: 0.5 }, lr)),
      ).toContain("base rate");
    expect(refused("invalid-schedule", () => scheduleFromPyTorch("OneCycleLR", { max_lr: 1 }))).toContain(
      "total_steps",
    );
  });

  test("what changes no rate is ignored, and only as PyTorch has it", () => {
    const make = (more: object) => scheduleFromPyTorch("ExponentialLR", { gamma: 0.5, ...more }, 1);
    expect(make({ verbose: "deprecated", last_epoch: -1 }).schedule(1)).toBe(0.5);
    refused("invalid-schedule", () => make({ last_epoch: 3 }));
    refused("invalid-schedule", () => make({ verbose: 1 }));
  });
});

describe("Keras", () => {
  test("as serialize writes it", () => {
    const serialized = {
      module: "keras.optimizers.schedules",
      class_name: "ExponentialDecay",
      config: {
        initial_learning_rate: 0.1,
        decay_steps: 2,
        decay_rate: 0.25,
        staircase: true,
        name: "ExponentialDecay",
      },
      registered_name: null,
    };
    expectRates(scheduleFromKeras(serialized), [0, 1, 2], [0.1, 0.1, 0.025]);
    refused("invalid-schedule", () => scheduleFromKeras({ ...serialized, shared_object_id: 1 } as never));
    refused("invalid-schedule", () => scheduleFromKeras({ config: {} } as never));
    refused("invalid-schedule", () => scheduleFromKeras(null as never));
    refused("unknown-name", () => scheduleFromKeras({ class_name: "CosineDecayWithRestarts" }));
  });

  test("the cosine decay counts from the end of the warm-up", () => {
    const config = {
      initial_learning_rate: 0.1,
      decay_steps: 10,
      warmup_target: 0.5,
      warmup_steps: 4,
      alpha: 0.2,
    };
    const imported = scheduleFromKeras({ class_name: "CosineDecay", config });
    expect(imported.lr).toBe(0.5);
    expectRates(imported, [0, 2, 4, 9, 14, 99], [0.1, 0.3, 0.5, 0.3, 0.1, 0.1]);
    const direct = scheduleFromKeras({ class_name: "CosineDecay", config: { ...config, warmup_steps: 0 } });
    expectRates(direct, [0, 10], [0.5, 0.1]);
    const none = scheduleFromKeras({ class_name: "CosineDecay", config: { ...config, warmup_target: null } });
    expectRates(none, [0, 10], [0.1, 0.02]);
    const down = scheduleFromKeras({ class_name: "CosineDecay", config: { ...config, warmup_target: 0 } });
    expectRates(down, [0, 1, 4, 9], [0.1, 0.075, 0, 0]);
  });

  test("polynomial decay from 0, and defaults", () => {
    const config = { initial_learning_rate: 0, decay_steps: 4, end_learning_rate: 0.4 };
    expectRates(
      scheduleFromKeras({ class_name: "PolynomialDecay", config }),
      [0, 1, 4, 9],
      [0, 0.1, 0.4, 0.4],
    );
    const defaults = scheduleFromKeras({
      class_name: "PolynomialDecay",
      config: { initial_learning_rate: 1, decay_steps: 4 },
    });
    expect(defaults.schedule.spec).toMatchObject({ end: 1e-4, power: 1, cycle: false });
    const restarts = { initial_learning_rate: 1, first_decay_steps: 4 };
    expect(
      scheduleFromKeras({ class_name: "CosineDecayRestarts", config: restarts }).schedule.spec,
    ).toMatchObject({
      lengthFactor: 2,
      peakFactor: 1,
    });
    const shortening = { ...restarts, t_mul: 0.5 };
    expectRates(
      scheduleFromKeras({ class_name: "CosineDecayRestarts", config: shortening }),
      [0, 2, 4, 5, 6, 7, 99],
      [1, 0.5, 1, 0.5, 1, 0, 0],
    );
  });
});

test("TensorFlow 1: every function, with its defaults", () => {
  const decay = { learning_rate: 0.1, decay_steps: 10, decay_rate: 0.5 };
  expectRates(
    scheduleFromTensorFlow1("exponential_decay", { ...decay, staircase: true }),
    [9, 10],
    [0.1, 0.05],
  );
  expectRates(scheduleFromTensorFlow1("natural_exp_decay", decay), [10], [0.1 * Math.exp(-0.5)]);
  expectRates(
    scheduleFromTensorFlow1("inverse_time_decay", { ...decay, staircase: true }),
    [9, 19],
    [0.1, 0.1 / 1.5],
  );
  const piecewise = { boundaries: [2, 4], values: [0, 0.5, 0.25] };
  expectRates(scheduleFromTensorFlow1("piecewise_constant", piecewise), [2, 3, 5], [0, 0.5, 0.25]);
  const polynomial = { learning_rate: 1, decay_steps: 4, cycle: true, end_learning_rate: 0 };
  expectRates(scheduleFromTensorFlow1("polynomial_decay", polynomial), [0, 5], [1, 3 / 8]);
  const { end_learning_rate: _, ...defaults } = polynomial;
  expectRates(scheduleFromTensorFlow1("polynomial_decay", defaults), [4], [1e-4]);
  expectRates(
    scheduleFromTensorFlow1("cosine_decay", { learning_rate: 1, decay_steps: 4 }),
    [2, 9],
    [0.5, 0],
  );
  const restarts = { learning_rate: 1, first_decay_steps: 4, m_mul: 0.5 };
  expectRates(scheduleFromTensorFlow1("cosine_decay_restarts", restarts), [2, 4, 12], [0.5, 0.5, 0.25]);
  const linearCosine = { learning_rate: 1, decay_steps: 4 };
  expectRates(scheduleFromTensorFlow1("linear_cosine_decay", linearCosine), [0, 4], [1.001, 0.001]);
  const noisy = scheduleFromTensorFlow1("noisy_linear_cosine_decay", linearCosine);
  expect(noisy.schedule.spec).toMatchObject({ initialVariance: 1, varianceDecay: 0.55, minimum: 0, seed: 0 });
  refused("invalid-schedule", () =>
    scheduleFromTensorFlow1("cosine_decay", { ...linearCosine, global_step: 1 }),
  );
});

describe("optax", () => {
  test("constant, and values that are 0", () => {
    expectRates(scheduleFromOptax("constant_schedule", { value: 0.3 }), [0, 9], [0.3, 0.3]);
    expectRates(scheduleFromOptax("constant_schedule", { value: 0 }), [0], [0]);
    const up = { init_value: 0, end_value: 0.5, transition_steps: 5, transition_begin: 2 };
    expectRates(scheduleFromOptax("linear_schedule", up), [0, 2, 3, 7, 9], [0, 0, 0.1, 0.5, 0.5]);
    expectRates(scheduleFromOptax("linear_schedule", { ...up, transition_begin: -3 }), [0, 1], [0, 0.1]);
    const piecewise = { init_value: 0, boundaries_and_scales: { 3: 2 } };
    expectRates(scheduleFromOptax("piecewise_constant_schedule", piecewise), [5], [0]);
    expectRates(scheduleFromOptax("piecewise_constant_schedule", { init_value: 2 }), [5], [2]);
    const unsorted = { init_value: 1, boundaries_and_scales: { "100": 0.5, "20": 0.1 } };
    expectRates(scheduleFromOptax("piecewise_constant_schedule", unsorted), [19, 20, 100], [1, 0.1, 0.05]);
  });

  test("an end value bounds a rate of any sign", () => {
    const decay = { transition_steps: 1, decay_rate: 0.5, end_value: 0.25 };
    expectRates(
      scheduleFromOptax("exponential_decay", { ...decay, init_value: 1 }),
      [0, 1, 5],
      [1, 0.5, 0.25],
    );
    expectRates(scheduleFromOptax("exponential_decay", { ...decay, init_value: 0 }), [0, 5], [0.25, 0.25]);
    expectRates(
      scheduleFromOptax("exponential_decay", { ...decay, init_value: -1, end_value: -0.5 }),
      [0, 1, 2],
      [-0.5, -0.5, -0.25],
    );
    expectRates(scheduleFromOptax("exponential_decay", { ...decay, init_value: 1, decay_rate: 0 }), [5], [1]);
    expectRates(
      scheduleFromOptax("exponential_decay", { ...decay, init_value: 1, transition_steps: 0 }),
      [5],
      [1],
    );
  });

  test("warm-ups: the cosine's decay steps include it, the exponential's do not", () => {
    const warm = { init_value: 0, peak_value: 0.8, warmup_steps: 4 };
    const cosine = scheduleFromOptax("warmup_cosine_decay_schedule", {
      ...warm,
      decay_steps: 12,
      end_value: 0.2,
    });
    expectRates(cosine, [0, 1, 4, 8, 12, 99], [0, 0.2, 0.8, 0.5, 0.2, 0.2]);
    const decay = { transition_steps: 2, decay_rate: 0.25, transition_begin: 1, end_value: 0.05 };
    const exponential = scheduleFromOptax("warmup_exponential_decay_schedule", { ...warm, ...decay });
    expectRates(exponential, [2, 4, 5, 6, 7, 99], [0.4, 0.8, 0.8, 0.4, 0.2, 0.05]);
    expectRates(scheduleFromOptax("warmup_constant_schedule", warm), [0, 1, 4, 9], [0, 0.2, 0.8, 0.8]);
    refused("invalid-schedule", () =>
      scheduleFromOptax("warmup_cosine_decay_schedule", { ...warm, decay_steps: 4 }),
    );
    for (const decay_steps of [2, 1]) {
      const kwargs = { ...warm, warmup_steps: 2, decay_steps };
      const message = `optax warmup_cosine_decay_schedule leaves no step to decay. expected decay_steps, which include the warm-up, above warmup_steps, got decay_steps ${decay_steps}, warmup_steps 2`;
      for (const [name, given] of [
        ["warmup_cosine_decay_schedule", kwargs],
        ["sgdr_schedule", { cosine_kwargs: [kwargs] }],
      ] as const)
        expect(refused("invalid-schedule", () => scheduleFromOptax(name, given))).toContain(message);
    }
    const none = scheduleFromOptax("warmup_cosine_decay_schedule", {
      ...warm,
      warmup_steps: 0,
      decay_steps: 8,
    });
    expectRates(none, [0, 4, 8], [0.8, 0.4, 0]);
  });

  test("one-cycle schedules by way of their knots", () => {
    const cosine = {
      transition_steps: 10,
      peak_value: 1,
      pct_start: 0.2,
      div_factor: 10,
      final_div_factor: 10,
    };
    expectRates(
      scheduleFromOptax("cosine_onecycle_schedule", cosine),
      [0, 1, 2, 6, 10, 11],
      [0.1, 0.55, 1, 0.505, 0.01, 0.01],
    );
    // Knots at one step: as in a dictionary, the last scale of the step holds.
    const collapsed = { ...cosine, pct_final: 0.2 };
    expectRates(scheduleFromOptax("linear_onecycle_schedule", collapsed), [0, 2, 10], [0.1, 0.01, 0.001]);
  });

  test("cycles joined, and schedules joined on different bases", () => {
    const cycle = { init_value: 0, warmup_steps: 1, decay_steps: 3 };
    const cosine_kwargs = [
      { ...cycle, peak_value: 0.4 },
      { ...cycle, peak_value: 0.2 },
    ];
    expectRates(
      scheduleFromOptax("sgdr_schedule", { cosine_kwargs }),
      [0, 1, 2, 3, 4, 5, 6],
      [0, 0.4, 0.2, 0, 0.2, 0.1, 0],
    );
    const schedules = [
      { type: "constant_schedule", value: 0 },
      { type: "linear_schedule", init_value: 1, end_value: 0, transition_steps: 2 },
      { type: "join_schedules", schedules: [{ type: "constant_schedule", value: 0.5 }], boundaries: [] },
    ];
    expectRates(
      scheduleFromOptax("join_schedules", { schedules, boundaries: [1, 3] }),
      [0, 1, 2, 3, 9],
      [0, 1, 0.5, 0.5, 0.5],
    );
    refused("invalid-schedule", () => scheduleFromOptax("join_schedules", { schedules, boundaries: [1] }));
    refused("invalid-schedule", () => scheduleFromOptax("sgdr_schedule", { cosine_kwargs: [{ ...cycle }] }));
    refused("invalid-schedule", () => scheduleFromOptax("sgdr_schedule", { cosine_kwargs: 3 }));
  });

  test("scales at what is no step are refused", () => {
    for (const boundaries_and_scales of [
      [1],
      { "1.5": 1 },
      { "-1": 1 },
      { a: 1 },
      { 1: -1 },
      { 1: "2" },
      { 1e400: 1 },
    ])
      refused("invalid-schedule", () =>
        scheduleFromOptax("piecewise_interpolate_schedule", {
          interpolate_type: "linear",
          init_value: 1,
          boundaries_and_scales,
        }),
      );
    refused("invalid-schedule", () => scheduleFromOptax("piecewise_interpolate_schedule", { init_value: 1 }));
  });
});

test("the textbook's forms that no vector has", () => {
  expectRates(scheduleFromTextbook("inverse-time", { lr: 0.3, decay_rate: 0.5 }), [0, 2], [0.3, 0.15]);
  expectRates(scheduleFromTextbook("noam", { model_size: 16, warmup: 4 }), [3], [1 / 8]);
  refused("invalid-schedule", () => scheduleFromTextbook("linear", { lr: 0, total: 4 }));
});

describe("any framework", () => {
  test("goes by name", () => {
    expectRates(scheduleFromFramework("pytorch", "ExponentialLR", { gamma: 0.5 }, 0.2), [1], [0.1]);
    const config = { initial_learning_rate: 1, decay_steps: 2, decay_rate: 0.25 };
    expectRates(scheduleFromFramework("keras", "ExponentialDecay", config), [1], [0.5]);
    expect(refused("unknown-name", () => scheduleFromFramework("caffe", "step"))).toContain("tensorflow1");
    refused("unknown-name", () => scheduleFromFramework("constructor", "step"));
  });

  // A required parameter of each, and its type.
  const samples = [
    ["pytorch", "StepLR", { step_size: 3 }],
    ["keras", "ExponentialDecay", { initial_learning_rate: 1, decay_steps: 2, decay_rate: 0.25 }],
    ["tensorflow1", "cosine_decay", { learning_rate: 1, decay_steps: 2 }],
    ["optax", "cosine_decay_schedule", { init_value: 1, decay_steps: 2 }],
    ["huggingface", "linear", { num_warmup_steps: 1, num_training_steps: 4 }],
    ["textbook", "linear", { lr: 1, total: 3 }],
  ] as const;

  test.each(samples)("%s refuses what it does not know", (framework, name, params) => {
    const make = (given: unknown) => scheduleFromFramework(framework, name, given as object, 1);
    make(params);
    for (const wrong of [null, 3, [], "x"]) refused("invalid-schedule", () => make(wrong));
    for (const [key, value] of Object.entries(params)) {
      const { [key as never]: _, ...without } = params;
      refused("invalid-schedule", () => make(without));
      for (const wrong of [null, `${value}`, Number.NaN, [value], {}])
        expect(refused("invalid-schedule", () => make({ ...params, [key]: wrong }))).toContain(`'${key}'`);
    }
    refused("invalid-schedule", () => make({ ...params, unknown: 1 }));
    refused("invalid-schedule", () => make(JSON.parse(`{ "__proto__": 1, "x": ${JSON.stringify(params)} }`)));
    refused("unknown-name", () => scheduleFromFramework(framework, `${name}2`, params, 1));
    refused("unknown-name", () => scheduleFromFramework(framework, "toString", params, 1));
  });

  test.each(samples)("%s: what is imported can be written as JSON", (framework, name, params) => {
    const { schedule } = scheduleFromFramework(framework, name, params, 1);
    const restored = scheduleFromJSON(JSON.parse(JSON.stringify(schedule)));
    for (const s of [0, 1, 2, 3, 100]) expect(restored(s)).toBe(schedule(s));
  });
});
