// Schedules of options other than the rate.
import { describe, expect, test } from "vitest";
import {
  adam,
  adamw,
  createOptimizer,
  exponential,
  ftrl,
  linear,
  momentum,
  type OptimizerOptions,
  onPlateau,
  rmsprop,
  scheduleFromTensorFlow1,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { bits } from "../support/judge.js";
import { normals } from "../support/numbers.js";

const watched = useDevice();

/** From 0.5 up to 0.95 in six steps. */
const rising = linear({ start: 0.5, end: 0.95, steps: 6 });

async function open(options: Omit<OptimizerOptions, "parameters">) {
  const { device } = watched();
  const tensor = {
    name: "x",
    param: upload(device, normals(1, 7)),
    grad: upload(device, new Float32Array(7)),
  };
  const optimizer = await createOptimizer(device, { ...options, parameters: [tensor] });
  return {
    optimizer,
    step(t: number) {
      write(device, tensor.grad, normals(10 + t, 7));
      optimizer.step();
    },
    values: async () => (await read(device, [tensor.param]))[0]!,
    close() {
      optimizer.destroy();
      for (const { buffer } of [tensor.param, tensor.grad]) buffer.destroy();
    },
  };
}

test.each([
  ["momentum", momentum({ lr: 0.1 }), "momentum"],
  ["adam's beta1", adam({ lr: 0.1 }), "beta1"],
  ["decoupled decay", adamw({ lr: 0.1 }), "weightDecay"],
] as const)("%s follows its schedule as if set by hand, with guards too", async (_, rule, name) => {
  const runs: Float32Array[] = [];
  for (const guards of [undefined, {}]) {
    const common = { rule, ...(guards && { guards }) };
    const scheduled = await open({ ...common, optionSchedules: { [name]: rising } });
    const byHand = await open(common);
    const constant = await open(common);
    for (let t = 1; t <= 8; t += 1) {
      byHand.optimizer.groups[0]!.set({ [name]: rising(t - 1) });
      for (const run of [scheduled, byHand, constant]) run.step(t);
    }
    const [got, expected, other] = [await scheduled.values(), await byHand.values(), await constant.values()];
    expect(bits(got)).toEqual(bits(expected));
    expect(bits(got)).not.toEqual(bits(other));
    expect(scheduled.optimizer.groups[0]!.options[name]).toBe(rule.options[name]);
    runs.push(got);
    for (const run of [scheduled, byHand, constant]) run.close();
  }
  runs[0]!.forEach((value, i) => {
    expect(Math.abs(value - runs[1]![i]!)).toBeLessThan(2e-6);
  });
});

test("rates below 0 are held at 0, and a decay ends at 0, with guards too", async () => {
  const { lr, schedule } = scheduleFromTensorFlow1("noisy_linear_cosine_decay", {
    learning_rate: 0.1,
    decay_steps: 1000,
    seed: 3,
  });
  for (const guards of [undefined, {}]) {
    const common = { rule: sgd({ lr }), ...(guards && { guards }) };
    const noisy = await open({ ...common, schedule, stepsInFlight: 64 });
    const byHand = await open({ ...common, schedule: (s) => Math.max(0, schedule(s)), stepsInFlight: 64 });
    const decay = exponential({ rate: 0.5, steps: 1 });
    const ending = await open({ ...common, rule: ftrl({ lr }), schedule: (s) => decay(40 * s) });
    for (let t = 1; t <= 60; t += 1) for (const run of [noisy, byHand]) run.step(t);
    for (let t = 1; t <= 6; t += 1) ending.step(t);
    expect(bits(await noisy.values())).toEqual(bits(await byHand.values()));
    expect(ending.optimizer.groups[0]!.rate).toBe(0);
    expect((await ending.values()).every(Number.isFinite)).toBe(true);
    for (const run of [noisy, byHand, ending]) run.close();
  }
  expect(Array.from({ length: 60 }, (_, s) => schedule(s)).some((factor) => factor < 0)).toBe(true);
});

test.each(["webgpu-optim", "pytorch"] as const)(
  "a checkpoint (%s) goes on with the schedule",
  async (format) => {
    const options = { rule: momentum({ lr: 0.1 }), optionSchedules: { momentum: rising } };
    const one = await open(options);
    for (let t = 1; t <= 3; t += 1) one.step(t);
    const file = await one.optimizer.save({ format });
    for (let t = 4; t <= 6; t += 1) one.step(t);
    // Without a schedule of its own it takes the file's.
    for (const own of [options, { rule: options.rule }]) {
      const two = await open(own);
      await two.optimizer.load(file);
      for (let t = 4; t <= 6; t += 1) two.step(t);
      expect(bits(await two.values())).toEqual(bits(await one.values()));
      two.close();
    }
    if (format === "pytorch")
      expect(new TextDecoder().decode(file)).toContain(`"momentum":${rising(3)}`.replace(/"/g, '\\"'));
    one.close();
  },
);

test("a plateau schedule of an option goes on from what it had learnt, and stays the caller's object", async () => {
  const plateau = () => onPlateau({ factor: 0.5, patience: 0 });
  const [first, second] = [plateau(), plateau()];
  const one = await open({ rule: adamw(), optionSchedules: { weightDecay: first } });
  one.step(1);
  for (const metric of [1, 2, 3]) first.report(metric);
  expect(first.state.factor).toBe(0.25);
  const file = await one.optimizer.save();
  const two = await open({ rule: adamw(), optionSchedules: { weightDecay: second } });
  await two.optimizer.load(file);
  expect(two.optimizer.groups[0]!.optionSchedules.weightDecay).toBe(second);
  expect(second.state).toEqual(first.state);
  one.close();
  two.close();
});

test("a schedule of the caller's stays, and is needed to go on", async () => {
  const mine = (step: number) => 0.5 + 0.05 * step;
  const one = await open({ rule: momentum(), optionSchedules: { momentum: mine } });
  one.step(1);
  const file = await one.optimizer.save();
  await one.optimizer.load(file);
  expect(one.optimizer.groups[0]!.optionSchedules.momentum).toBe(mine);
  const two = await open({ rule: momentum() });
  await expectError(() => two.optimizer.load(file), "invalid-checkpoint", "momentum");
  one.close();
  two.close();
});

test("skipped steps in flight do not move the schedule of an option", async () => {
  const { device } = watched();
  const run = async (bad: readonly number[]) => {
    const param = upload(device, Float32Array.of(1, 2, 3));
    const grad = upload(device, new Float32Array(3));
    const optimizer = await createOptimizer(device, {
      rule: momentum({ lr: 0.1 }),
      parameters: [{ name: "x", param, grad }],
      optionSchedules: { momentum: (step) => 0.9 * 0.6 ** step },
      guards: { skipsInFlight: 4 },
    });
    for (let t = 1; t <= 4; t += 1) {
      if (bad.includes(t)) {
        write(device, grad, new Float32Array(3).fill(Number.NaN));
        optimizer.step();
      }
      write(device, grad, new Float32Array(3).fill(t));
      optimizer.step();
    }
    const [values] = await read(device, [param]);
    await optimizer.settled();
    optimizer.destroy();
    for (const { buffer } of [param, grad]) buffer.destroy();
    return values;
  };
  expect(await run([1, 3])).toEqual(await run([]));
});

describe("bad input", () => {
  test.each([
    ["the rate", { lr: rising }, "invalid-option"],
    ["an option that is not there", { beta9: rising }, "invalid-option"],
    ["an option that is no number", { form: rising }, "invalid-option"],
    ["no function", { momentum: 0.9 }, "invalid-schedule"],
    ["no object", 3, "invalid-schedule"],
  ] as const)("%s", async (_, optionSchedules, code) => {
    await expectError(() => open({ rule: momentum(), optionSchedules } as never), code);
    // open() made the buffers; the optimizer was never there.
    for (const buffer of watched().live) buffer.destroy();
  });

  test("a value out of range, or one that is compiled in, fails the step and changes nothing", async () => {
    const run = await open({ rule: momentum(), optionSchedules: { momentum: (step) => 0.9 + 0.1 * step } });
    run.step(1);
    const before = await run.values();
    await expectError(() => run.step(2), "invalid-schedule", "step 1");
    expect(run.optimizer.groups[0]!.steps).toBe(1);
    expect(bits(await run.values())).toEqual(bits(before));
    run.optimizer.groups[0]!.optionSchedules = {};
    run.step(2);
    await expectError(() => {
      run.optimizer.groups[0]!.optionSchedules = { alpha: rising };
    }, "invalid-option");
    run.close();
    const other = await open({ rule: rmsprop(), optionSchedules: { alpha: rising } });
    other.step(1);
    other.close();
  });
});
