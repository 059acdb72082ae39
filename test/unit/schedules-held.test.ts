// What an optimizer makes of a schedule: rates below 0 are held, rates that f32 has not are 0, and nothing of it throws in
// the middle of training.
import { describe, expect, test } from "vitest";
import { describePyTorchGroup } from "../../src/checkpoint/pytorch-terms.js";
import { saveSchedules } from "../../src/checkpoint/saved-schedules.js";
import { ParameterGroup } from "../../src/engine/group.js";
import { OptimError } from "../../src/errors.js";
import {
  scheduleFromKeras,
  scheduleFromOptax,
  scheduleFromPyTorch,
  scheduleFromTensorFlow1,
} from "../../src/frameworks/schedules/index.js";
import { adamw, ftrl, momentum, type Rule, sgd } from "../../src/index.js";
import {
  type BuiltinSchedule,
  chained,
  clamped,
  constant,
  cosine,
  cosineRestarts,
  cyclic,
  cyclicMomentum,
  exponential,
  linear,
  multiplicative,
  noisyLinearCosine,
  oneCycle,
  onPlateau,
  piecewiseInterpolated,
  polynomial,
  type Schedule,
  scaled,
  scheduleFromJSON,
  sequential,
  warmup,
} from "../../src/schedules/index.js";

const groupOf = (rule: Rule, schedule: Schedule, optionSchedules: Readonly<Record<string, Schedule>> = {}) =>
  new ParameterGroup("the group", rule, schedule, optionSchedules, [], {
    slow: undefined,
    average: undefined,
  });

/** Rates of the first steps, as they go into the uniforms. */
function train(group: ParameterGroup, steps: number): number[] {
  const words = new Float32Array(256);
  return Array.from({ length: steps }, () => {
    const { list } = group.cohorts;
    const pending = group.prepare(words, 1, list[0]!);
    group.commit(list, [pending]);
    return pending.rate;
  });
}

const factors = (schedule: Schedule, steps: number) => train(groupOf(sgd({ lr: 1 }), schedule), steps);

function refused(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(OptimError);
    expect((error as OptimError).code).toBe("invalid-schedule");
    return (error as OptimError).message;
  }
  throw new Error("nothing was thrown");
}

const NOISY = "noisy_linear_cosine_decay";
const noisyOf = (seed: number, others: object = {}) =>
  scheduleFromTensorFlow1(NOISY, { learning_rate: 0.1, decay_steps: 1000, seed, ...others });

describe("TensorFlow 1's noisy linear cosine with its own defaults", () => {
  test("trains for 1 000 steps with each of 200 seeds, at the rates of the function, held at 0", () => {
    let below = 0;
    for (let seed = 0; seed < 200; seed++) {
      const { lr, schedule } = noisyOf(seed);
      const rates = train(groupOf(sgd({ lr }), schedule), 1000);
      for (const [s, rate] of rates.entries()) {
        const raw = lr * schedule(s);
        if (rate !== Math.max(raw, 0)) throw new Error(`seed ${seed}, step ${s}: ${rate} for ${raw}`);
      }
      if (rates.slice(0, 100).includes(0)) below++;
    }
    // As a function it stays below 0 where TensorFlow's is: in most runs, and early.
    expect(below).toBe(137);
  });

  test("also as a part of other schedules, however deep", () => {
    const seed = Array.from({ length: 200 }, (_, s) => s).find((s) => noisyOf(s).schedule(0) < 0)!;
    const noisy = noisyOf(seed).schedule;
    const min = (schedule: Schedule) => Math.min(...factors(schedule, 100));
    const wrapped: readonly BuiltinSchedule[] = [
      warmup(5, noisy),
      scaled(noisy, 0.5),
      sequential([constant(), noisy], [3]),
      chained([constant({ factor: 0.5 }), noisy]),
      clamped(noisy, { max: 0.5 }),
      clamped(noisy, { min: -0.5 }),
      multiplicative(sequential([constant({ factor: 1 }), noisy], [50])),
      cyclic({ start: 0, stepsUp: 2, scale: noisy, scaleBy: "step" }),
      warmup(2, scaled(sequential([noisy, chained([noisy])], [20]), 2)),
    ];
    for (const schedule of wrapped) {
      expect(min(schedule), schedule.spec.kind).toBe(0);
      expect(
        Math.min(...Array.from({ length: 100 }, (_, s) => schedule(s))),
        schedule.spec.kind,
      ).toBeLessThan(0);
      const again = scheduleFromJSON(JSON.parse(JSON.stringify(schedule)));
      expect(factors(again, 100)).toEqual(factors(schedule, 100));
    }
    // Two factors below 0 make no rate above.
    expect(factors(chained([noisy, noisy]), 1)).toEqual([0]);
    const joined = scheduleFromOptax("join_schedules", {
      schedules: [
        { type: "constant_schedule", value: 0.1 },
        { type: "linear_schedule", init_value: 0.2, end_value: -0.2, transition_steps: 10 },
      ],
      boundaries: [2],
    });
    expect(train(groupOf(sgd({ lr: joined.lr }), joined.schedule), 13).at(-1)).toBe(0);
  });

  test("`minimum` is another bound, of the optimizer alone", () => {
    const options = { steps: 1000, seed: 3 };
    const plain = noisyLinearCosine(options);
    const bounded = noisyLinearCosine({ ...options, minimum: 0.25 });
    expect(plain.spec).toMatchObject({ minimum: 0 });
    for (let s = 0; s < 300; s++) expect(bounded(s)).toBe(plain(s));
    expect(factors(bounded, 300)).toEqual(Array.from({ length: 300 }, (_, s) => Math.max(plain(s), 0.25)));
    expect(factors(scaled(bounded, 0.5), 300)).toEqual(
      Array.from({ length: 300 }, (_, s) => 0.5 * Math.max(plain(s), 0.25)),
    );
  });

  test("JSON holds the minimum; files from before it load with 0", () => {
    const bounded = noisyLinearCosine({ steps: 50, seed: 3, minimum: 0.25 });
    const json = JSON.parse(JSON.stringify(bounded));
    expect(json).toMatchObject({ minimum: 0.25 });
    expect(factors(scheduleFromJSON(json), 80)).toEqual(factors(bounded, 80));
    const { minimum: _, ...older } = json;
    expect(factors(scheduleFromJSON(older), 80)).toEqual(
      factors(noisyLinearCosine({ steps: 50, seed: 3 }), 80),
    );
  });
});

describe("formulas that go below 0", () => {
  const crossing: readonly (readonly [string, Schedule])[] = [
    ["linear", linear({ end: -0.5, steps: 20 })],
    ["polynomial", polynomial({ end: -0.5, steps: 20, power: 2, cycle: true })],
    ["cosine", cosine({ alpha: -0.5, steps: 20 })],
    ["cosineRestarts, to below 0", cosineRestarts({ alpha: -0.5, steps: 20 })],
    ["cosineRestarts, from a peak below 0", cosineRestarts({ alpha: 2, peakFactor: 4, steps: 10 })],
    [
      "cyclic, with an amplitude that grows",
      cyclic({ start: 1, peak: 0.5, stepsUp: 4, mode: "exp_range", gamma: 1.2 }),
    ],
    ["cyclic, scaled", cyclic({ start: 1, peak: 0.5, stepsUp: 4, scale: exponential({ rate: 2 }) })],
    ["oneCycle", oneCycle({ steps: 30, end: -0.5 })],
    ["piecewiseInterpolated", piecewiseInterpolated({ boundaries: [10, 30], values: [1, -1, 1] })],
    [
      "PyTorch CosineAnnealingLR",
      scheduleFromPyTorch("CosineAnnealingLR", { T_max: 20, eta_min: -0.5 }, 1).schedule,
    ],
    [
      "TensorFlow 1 polynomial_decay",
      scheduleFromTensorFlow1("polynomial_decay", {
        learning_rate: 1,
        decay_steps: 20,
        end_learning_rate: -0.5,
      }).schedule,
    ],
    [
      "Keras CosineDecay",
      scheduleFromKeras({
        class_name: "CosineDecay",
        config: { initial_learning_rate: 1, decay_steps: 20, alpha: -0.5 },
      }).schedule,
    ],
  ];

  test.each(crossing)("%s: the function goes there, the optimizer stays at 0", (_, schedule) => {
    const raw = Array.from({ length: 60 }, (_, s) => schedule(s));
    expect(Math.min(...raw)).toBeLessThan(-0.1);
    expect(factors(schedule, 60)).toEqual(raw.map((factor) => Math.max(factor, 0)));
  });

  test.each([
    ["linear", linear({ start: -0.5, end: 1, steps: 20 })],
    ["warm-up", warmup(5, constant(), { start: -0.5 })],
    ["scaled", scaled(cosine({ steps: 20 }), -1)],
  ])("%s that begins below 0 is refused at its first step", (_, schedule) => {
    expect(refused(() => factors(schedule, 1))).toContain("fails at step 0");
  });

  test("a sign turned twice is none", () => {
    const rising = scaled(linear({ start: -1, end: 0, steps: 4 }), -1);
    expect(factors(rising, 5).map((factor) => factor + 0)).toEqual([1, 0.75, 0.5, 0.25, 0]);
  });

  test("what a function of the caller's gives is refused, by itself and inside of others", () => {
    const falling = (s: number) => 1 - s;
    for (const schedule of [
      falling,
      warmup(0, falling),
      scaled(falling, 0.5),
      chained([falling]),
      multiplicative((s) => 1.5 - s),
      sequential([falling], []),
      clamped(falling, { max: 1 }),
      cyclic({ start: 0, stepsUp: 2, scale: (s) => 1.5 - s, scaleBy: "step" }),
      scheduleFromPyTorch("LambdaLR", { lr_lambda: falling }, 1).schedule,
    ])
      expect(refused(() => factors(schedule, 5))).toMatch(/fails at step [23]/);
  });

  test("NaN is refused, also of a part that is held", () => {
    for (const schedule of [
      () => Number.NaN,
      scaled(() => Number.NaN, 1),
      warmup(
        0,
        clamped(() => Number.NaN, { min: 0 }),
      ),
    ])
      expect(refused(() => factors(schedule, 1))).toContain("got NaN");
    const overflowing = cosineRestarts({ steps: 1, peakFactor: 1e300, alpha: 0 });
    expect(refused(() => factors(overflowing, 3))).toContain("got 1e+300");
  });

  test("a plateau schedule goes on taking in reports", () => {
    const plateau = onPlateau({ factor: 0.5, patience: 0 });
    const group = groupOf(sgd({ lr: 1 }), scaled(plateau, 0.5));
    expect(train(group, 1)).toEqual([0.5]);
    plateau.report(1);
    plateau.report(2);
    expect(train(group, 1)).toEqual([0.25]);
  });

  test("a product of factors takes one call a step, of the rate and of an option", () => {
    const calls: number[] = [];
    const product = multiplicative((s) => {
      calls.push(s);
      return 0.99;
    });
    train(groupOf(sgd({ lr: 1 }), product), 20);
    expect(calls.length).toBe(19);
    train(groupOf(adamw(), constant(), { weightDecay: scaled(product, 0.5) }), 20);
    expect(calls.length).toBe(38);
  });

  test("held schedules count steps as others do", () => {
    expect(() => cosine({ steps: 3 }).held(0)(-1)).toThrow(/step count/);
    expect(noisyLinearCosine({ steps: 3, seed: 1 }).held(0)(0)).toBeGreaterThanOrEqual(0);
  });
});

describe("options with schedules of their own", () => {
  const values = (rule: Rule, name: string, schedule: Schedule, steps: number) => {
    const group = groupOf(rule, constant(), { [name]: schedule });
    return train(group, steps).length;
  };

  test("are held at the least value that they may have", () => {
    const noisy = scaled(noisyLinearCosine({ steps: 100, seed: 3 }), 0.1);
    expect(Math.min(...Array.from({ length: 100 }, (_, s) => noisy(s)))).toBeLessThan(0);
    expect(values(adamw(), "weightDecay", noisy, 100)).toBe(100);
    const { momentum: cycle } = scheduleFromPyTorch("CyclicLR", {
      base_lr: 0.1,
      max_lr: 1,
      step_size_up: 4,
      mode: "exp_range",
      gamma: 1.2,
    });
    expect(cycle!(20)).toBeLessThan(0);
    expect(values(momentum(), "momentum", cycle!, 30)).toBe(30);
    expect(cyclicMomentum({ stepsUp: 4 })(4)).toBe(0.8);
    // It may be negative.
    const power = linear({ start: -0.25, end: -0.75, steps: 4 });
    expect(
      values(ftrl({ learningRatePower: -0.25 }), "learningRatePower", clamped(power, { min: -0.45 }), 9),
    ).toBe(9);
  });

  test("come to 0 where f32 has no less, and only there", () => {
    expect(values(adamw(), "weightDecay", exponential({ rate: 0.5 }), 300)).toBe(300);
    const eps = () => refused(() => values(adamw(), "eps", exponential({ rate: 0.5 }), 300));
    expect(eps()).toMatch(/fails at step 51: Option 'eps'/);
    expect(refused(() => values(adamw(), "weightDecay", (() => null) as never, 1))).toContain("got null");
  });

  test("keep below 1 in f32 too", () => {
    const rising = (s: number) => 1 - 2 ** -(20 + s);
    const message = refused(() => values(momentum(), "momentum", rising, 10));
    expect(message).toMatch(/fails at step 5: Option 'momentum'/);
    expect(message).toContain("[0, 1) that f32 holds, at most 0.99999994, got 0.9999999701976776");
  });
});

test("a checkpoint in PyTorch's terms has the rate and the options of the next step as they are held", () => {
  const noisy = noisyLinearCosine({ steps: 100, seed: 3 });
  const below = Array.from({ length: 100 }, (_, s) => s).find((s) => noisy(s) < 0)!;
  const describeAt = (
    schedule: Schedule,
    optionSchedules: Readonly<Record<string, Schedule>>,
    steps: number,
  ) => {
    const group = groupOf(adamw({ lr: 0.1 }), schedule, optionSchedules).snapshot();
    const saved = saveSchedules([schedule, ...Object.values(optionSchedules)]);
    return describePyTorchGroup({ ...group, tensors: [], states: [] }, { steps, cohorts: [] }, saved).config;
  };
  expect(describeAt(noisy, { weightDecay: scaled(noisy, 0.1) }, below)).toMatchObject({
    lr: 0,
    weight_decay: 0,
  });
  const falling = exponential({ rate: 0.5 });
  expect(describeAt(falling, { weightDecay: falling }, 200)).toMatchObject({ lr: 0, weight_decay: 0 });
  expect(describeAt(falling, { weightDecay: falling }, 2)).toMatchObject({ lr: 0.025, weight_decay: 0.25 });
});

describe("rates that f32 does not hold", () => {
  test.each([sgd({ lr: 1e-3 }), adamw({ lr: 1e-3 }), ftrl({ lr: 1e-3 })])(
    "$row.name decays to a rate of 0 and goes on",
    (rule) => {
      const schedule = exponential({ rate: 0.5 });
      const rates = train(groupOf(rule, schedule), 1200);
      expect(rates.slice(0, 117)).toEqual(rates.slice(0, 117).map((_, s) => 1e-3 * 0.5 ** s));
      expect(rates[116]).toBeGreaterThanOrEqual(2 ** -126);
      expect(new Set(rates.slice(117))).toEqual(new Set([0]));
    },
  );

  test("a factor of the caller's that is subnormal is 0 as well", () => {
    expect(factors(() => 1e-310, 1)).toEqual([0]);
    expect(factors(() => 2 ** -126, 1)).toEqual([2 ** -126]);
  });
});
