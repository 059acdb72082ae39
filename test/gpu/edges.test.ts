// What f32 loses at its edges, with the right values: large, small, steady and broken gradients, and large parameters.
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/checkpoint/read.js";
import {
  adagrad,
  adam,
  createOptimizer,
  fromPyTorch,
  ftrl,
  prodigy,
  type Rule,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rules,
  yogi,
} from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { read, upload, write } from "../support/buffers.js";
import { descend } from "../support/descend.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { shapeless } from "../support/shapeless.js";

const watched = useDevice();

interface Given {
  readonly start: readonly number[];
  readonly steps: number;
  readonly gradient: (t: number, i: number) => number;
  /** Factor on the rate at a step from 0. */
  readonly schedule?: (step: number) => number;
  /** Values of states before the first step. */
  readonly states?: Readonly<Record<string, readonly number[]>>;
}

/** Parameters and states before and after the last steps, by the engine. */
async function run(
  rule: Rule,
  { start, steps, gradient, schedule = () => 1, states = {} }: Given,
  kinds: readonly string[] = [],
) {
  const { device } = watched();
  const param = upload(device, Float32Array.from(start));
  const grad = upload(device, new Float32Array(start.length));
  const optimizer = await createOptimizer(device, {
    rule,
    schedule,
    parameters: [{ name: "x", param, grad }],
  });
  for (const [name, values] of Object.entries(states))
    write(device, optimizer.state("x", name), Float32Array.from(values));
  for (let t = 1; t <= steps; t++) {
    write(
      device,
      grad,
      Float32Array.from(start, (_, i) => gradient(t, i)),
    );
    optimizer.step();
    if (t % 256 === 0) await device.queue.onSubmittedWorkDone();
  }
  const [after] = await read(device, [param]);
  const kept: Record<string, number[]> = {};
  for (const name of kinds) kept[name] = [...(await read(device, [optimizer.state("x", name)]))[0]!];
  optimizer.destroy();
  for (const { buffer } of [param, grad]) buffer.destroy();
  return { after: [...after!], states: kept };
}

/** The same in float64. */
function reference(
  { row, options }: Rule,
  { start, steps, gradient, schedule = () => 1, states = {} }: Given,
) {
  let parameters = Float64Array.from(start);
  let state = {
    ...referenceState(row, options, parameters),
    ...Object.fromEntries(Object.entries(states).map(([name, values]) => [name, Float64Array.from(values)])),
  };
  for (let t = 1; t <= steps; t++) {
    const g = Float64Array.from(start, (_, i) => Math.fround(gradient(t, i)));
    const next = referenceStep(row, options, { t, lr: options.lr * schedule(t - 1) }, parameters, g, state);
    parameters = next.parameters as Float64Array<ArrayBuffer>;
    state = next.state as typeof state;
  }
  return { after: [...parameters], state };
}

describe("almost constant gradients", () => {
  test.each([
    ["rmspropCentered", rmspropCentered({ lr: 1e-6 })],
    ["rmspropCenteredMomentum", rmspropCenteredMomentum({ lr: 1e-7 })],
  ])("%s moves by the formula in steps 1001 to 1500", async (_, rule) => {
    const gradient = (t: number) => 1 + (t % 2 === 0 ? 0.001 : -0.001);
    const at = async (steps: number) => {
      const given = { start: [0], steps, gradient };
      const [{ after }, exact] = [await run(rule, given), reference(rule, given)];
      return [after[0]!, exact.after[0]!] as const;
    };
    const [before, after] = [await at(1000), await at(1500)];
    const [got, expected] = [after[0] - before[0], after[1] - before[1]];
    // Updates of 1e-3 in the mean, where v − ḡ² of f32 is 0 and an update 100.
    expect(Math.abs(expected)).toBeGreaterThan(0.04);
    expect(got / expected).toBeCloseTo(1, 4);
  });

  test("a file of PyTorch's holds v = S + ḡ², and gives S back", async () => {
    const { device } = watched();
    const start = Float32Array.from({ length: 70 }, (_, i) => i / 7);
    const [param, grad] = [
      upload(device, start),
      upload(
        device,
        start.map((value) => 1 - value),
      ),
    ];
    const rule = fromPyTorch("RMSprop", { centered: true, momentum: 0.9 });
    const optimizer = await createOptimizer(device, { rule, parameters: [{ name: "x", param, grad }] });
    for (let t = 0; t < 3; t++) optimizer.step();
    const values = async (name: string) => (await read(device, [optimizer.state("x", name)]))[0]!;
    const [mean, deviation] = [await values("grad_avg"), await values("square_dev")];
    const file = await optimizer.save({ format: "pytorch" });
    const { tensors } = readSafetensors(file);
    expect([...tensors.keys()]).toEqual(["x", "x.grad_avg", "x.momentum_buffer", "x.square_avg"]);
    const of = (name: string) => new Float32Array(tensors.get(name)!.data.slice().buffer);
    expect([...of("x.grad_avg")]).toEqual([...mean]);
    expect([...of("x.square_avg")]).toEqual([...deviation.map((s, i) => s + mean[i]! ** 2)]);
    optimizer.step();
    await optimizer.load(file);
    const back = await values("square_dev");
    back.forEach((s, i) => {
      expect(Math.abs(s - deviation[i]!)).toBeLessThanOrEqual(2e-7 * (deviation[i]! + mean[i]! ** 2));
    });
    optimizer.destroy();
    for (const { buffer } of [param, grad]) buffer.destroy();
  });
});

describe("gradients whose squares f32 does not hold", () => {
  test.each([
    ["adagrad", adagrad({ lr: 0.01 }), -0.01],
    ["rmsprop", rmsprop({ lr: 0.01 }), -0.1],
    ["yogi", yogi({ lr: 0.01 }), -0.0316228],
    ["adam", adam({ lr: 0.001 }), -0.001],
    ["ftrl", ftrl({ lr: 0.01, initialAccumulatorValue: 0 }), -0.01],
  ])("%s takes a first gradient of 1e22, 1e30 or 3e38 as the formula does", async (_, rule, expected) => {
    const given = { start: [0, 0, 0], steps: 1, gradient: (_t: number, i: number) => [1e22, 1e30, 3e38][i]! };
    for (const value of (await run(rule, given)).after) expect(value / expected).toBeCloseTo(1, 5);
  });

  test("a spike after 500 steps moves adam by 2e-3", async () => {
    const gradient = (t: number, i: number) => (t === 501 ? 1e30 : 1) * (i === 0 ? 1 : Math.cos(t));
    const rule = adam();
    const at = async (steps: number) => {
      const given = { start: [0, 0], steps, gradient };
      return [(await run(rule, given)).after, reference(rule, given).after] as const;
    };
    const [before, after] = [await at(500), await at(501)];
    for (const i of [0, 1]) {
      const [got, expected] = [after[0][i]! - before[0][i]!, after[1][i]! - before[1][i]!];
      expect(Math.abs(expected)).toBeCloseTo(1.985e-3, 5);
      expect(got / expected).toBeCloseTo(1, 3);
    }
  });
});

describe("gradients whose squares are zero in f32", () => {
  test("move by ε, which is no smaller than they allow for", async () => {
    for (const eps of [1e-30, 8.8e-16])
      await expectError(() => adam({ eps }), "invalid-option", "at least 8.9e-16");
    const gradient = (_: number, i: number) => [1e-20, 1e-25, 1e-36][i]!;
    const given = { start: [0, 0, 0], steps: 5, gradient };
    const rule = adam({ lr: 1, eps: 1e-15 });
    const [{ after }, exact] = [await run(rule, given), reference(rule, given)];
    after.forEach((value, i) => {
      expect(value / exact.after[i]!).toBeCloseTo(1, 4);
    });
  });

  test("of Lion and Signum count by their sign", async () => {
    const given = { start: [0, 0], steps: 1, gradient: (_: number, i: number) => [1.3e-38, -1.3e-38][i]! };
    for (const factory of rules.filter(({ row }) => ["lion", "signum", "sign-sgd"].includes(row.name))) {
      const rule = factory({ lr: 0.5 });
      expect((await run(rule, given)).after).toEqual([-0.5, 0.5]);
    }
  });
});

describe("fixed points", () => {
  test.each([0.9999999, 0.99999, 0.999])("an average of decay rate %s stays where it is", async (alpha) => {
    const g = Array.from({ length: 64 }, (_, i) => Math.fround(0.1 * (1 + i * 0.37)));
    const squares = g.map((value) => Math.fround(value * value));
    const { states } = await run(
      rmsprop({ alpha, lr: 0 }),
      { start: g, steps: 3000, gradient: (_, i) => g[i]!, states: { square_avg: squares } },
      ["square_avg"],
    );
    states.square_avg!.forEach((value, i) => {
      expect(value / squares[i]!).toBeCloseTo(1, 6);
    });
  });
});

describe("a gradient that is not finite gives a parameter that is not", () => {
  test.each(shapeless.map((factory) => [factory.row.name, factory] as const))("%s", async (_, factory) => {
    const { device } = watched();
    const broken = [0.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0.5];
    for (const guards of [undefined, { nonFinite: "keep" as const }]) {
      const param = upload(device, new Float32Array(5).fill(1));
      const grad = upload(device, Float32Array.from(broken));
      const options = { rule: factory(), parameters: [{ name: "x", param, grad }] };
      const optimizer = await createOptimizer(device, guards ? { ...options, guards } : options);
      for (let t = 0; t < 2; t++) {
        if (factory.row.shader.lookahead) optimizer.lookahead();
        optimizer.step();
        const [after] = await read(device, [param]);
        expect([...after!].slice(1, 4).some(Number.isFinite)).toBe(false);
        // Neighbours go on, unless the rule sums over the tensor.
        if (factory.row.shader.sums.length === 0)
          expect([after![0], after![4]].every((value) => Number.isFinite(value))).toBe(true);
        // And stay so when gradients are well again.
        write(device, grad, new Float32Array(5).fill(0.25));
      }
      optimizer.destroy();
      for (const { buffer } of [param, grad]) buffer.destroy();
    }
  });
});

describe("Prodigy", () => {
  test("finds the distance from a large parameter, whose differences hold none of its first steps", async () => {
    const rule = prodigy();
    const start = [1000];
    const [value] = await descend(watched().device, {
      rule,
      start,
      slope: "fn slope(i: u32) -> f32 { return x[i]; }",
      steps: 40,
    });
    let parameters = Float64Array.from(start);
    let state = referenceState(rule.row, rule.options, parameters);
    for (let t = 1; t <= 40; t++)
      ({ parameters, state } = referenceStep(
        rule.row,
        rule.options,
        { t, lr: 1 },
        parameters,
        parameters,
        state,
      ) as {
        parameters: Float64Array<ArrayBuffer>;
        state: typeof state;
      });
    expect(state.next_d![0]).toBeGreaterThan(400);
    expect(Math.abs(value! - parameters[0]!)).toBeLessThan(0.1);
  });

  test("stays finite under a constant gradient, by which its distance grows without end", async () => {
    const rule = prodigy();
    const given = { start: [1], steps: 60, gradient: () => 1 };
    const { after, states } = await run(rule, given, ["next_d"]);
    const exact = reference(rule, given);
    expect(exact.state.next_d![0]).toBeGreaterThan(1e18);
    expect(states.next_d![0]! / exact.state.next_d![0]!).toBeCloseTo(1, 1);
    expect(after[0]! / exact.after[0]!).toBeCloseTo(1, 1);
  });
});

describe("FTRL under a changing rate", () => {
  /** As after steps at 0.1. */
  const settled = { start: [0.26218], states: { accumulator: [1], linear: [-2.6218] } };
  const changed = { steps: 1, gradient: () => 0, schedule: () => 0.1 };

  test("keeps the parameters where the gradient is zero; Keras's form rescales them", async () => {
    const moved = async (form: "proximal" | "keras") =>
      (await run(ftrl({ lr: 0.1, form }), { ...settled, ...changed })).after[0]!;
    expect(await moved("proximal")).toBe(Math.fround(0.26218));
    expect(await moved("keras")).toBeCloseTo(0.026218, 7);
  });

  test("begins where the parameters are", async () => {
    const given = { start: [3, -0.25, 0], steps: 1, gradient: () => 0 };
    expect((await run(ftrl({ lr: 0.1 }), given)).after).toEqual([3, -0.25, 0]);
    expect((await run(ftrl({ lr: 0.1, form: "keras" }), given)).after).toEqual([0, 0, 0]);
  });

  const regularized = { l1: 0.5, l2: 0.02, l2Shrinkage: 0.01, beta: 0.5 };
  test.each([
    ["alone", {}],
    ["regularized", regularized],
    ["at another power", { ...regularized, learningRatePower: -0.3 }],
  ])("follows float64 where the rate changes at each step, %s", async (_, options) => {
    const given = {
      start: Array.from({ length: 16 }, (_, i) => (i % 4 === 0 ? 0 : Math.sin(i))),
      steps: 400,
      gradient: (t: number, i: number) => Math.sin(t * (1 + i / 7)) + 0.3 * Math.cos(i),
      schedule: (step: number) => (step % 50 === 7 ? 0 : 1.5 + Math.sin(step)),
    };
    const rule = ftrl({ lr: 0.1, ...options });
    const [{ after }, exact] = [await run(rule, given), reference(rule, given)];
    after.forEach((value, i) => {
      expect(Math.abs(value - exact.after[i]!)).toBeLessThan(2e-5 * (1 + Math.abs(exact.after[i]!)));
    });
  });

  test("is AdaGrad under the same rates", async () => {
    const given = {
      start: [2, -1],
      steps: 200,
      gradient: (t: number, i: number) => Math.cos(t + i),
      schedule: (step: number) => 1 / (1 + step / 20),
    };
    const one = await run(ftrl({ lr: 0.1 }), given);
    const other = await run(adagrad({ lr: 0.1, initialAccumulatorValue: 0.1, eps: 0 }), given);
    one.after.forEach((value, i) => {
      expect(value).toBeCloseTo(other.after[i]!, 5);
    });
  });

  test("at a constant rate a file of Keras's form goes on as it was", async () => {
    const given = { start: [0, 0, 0], gradient: (t: number, i: number) => Math.cos(t * (i + 1)) };
    const options = { lr: 0.1, l1: 0.2, l2: 0.05, beta: 0.3 };
    const kinds = ["accumulator", "linear"];
    const before = await run(ftrl({ ...options, form: "keras" }), { ...given, steps: 40 }, kinds);
    const rest = { start: before.after, states: before.states, steps: 40, gradient: given.gradient };
    const [one, other] = [
      await run(ftrl(options), rest),
      await run(ftrl({ ...options, form: "keras" }), rest),
    ];
    one.after.forEach((value, i) => {
      expect(value).toBeCloseTo(other.after[i]!, 6);
    });
  });

  test("a checkpoint and a thaw in its midst change nothing", async () => {
    const { device } = watched();
    const start = Float32Array.of(0.5, -2, 0, 7);
    const schedule = (step: number) => 0.1 ** (step / 4);
    const open = async () => {
      const tensors = ["x", "y"].map((name) => ({
        name,
        param: upload(device, start),
        grad: upload(device, start),
      }));
      const rule = ftrl({ lr: 0.1, l1: 0.01 });
      const optimizer = await createOptimizer(device, { rule, schedule, parameters: tensors });
      return {
        optimizer,
        params: tensors.map(({ param }) => param),
        end: () => {
          optimizer.destroy();
          for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
        },
      };
    };
    const [whole, resumed] = [await open(), await open()];
    for (let t = 0; t < 3; t++) whole.optimizer.step();
    const file = await whole.optimizer.save();
    const kept = await read(device, whole.params);
    resumed.params.forEach((param, i) => {
      write(device, param, kept[i]!);
    });
    await resumed.optimizer.load(file);
    for (const { optimizer } of [whole, resumed]) for (let t = 0; t < 3; t++) optimizer.step();
    const ends = await read(device, whole.params);
    expect((await read(device, resumed.params)).map(String)).toEqual(ends.map(String));

    await whole.optimizer.freeze("y");
    for (let t = 0; t < 5; t++) whole.optimizer.step();
    await whole.optimizer.thaw("y");
    for (const { buffer, offset } of [whole.params[1]!])
      device.queue.writeBuffer(buffer, offset, ends[1]! as BufferSource);
    whole.optimizer.step();
    // A hundredth of the rate moves it by a hundredth, wherever the rate was when it froze.
    (await read(device, [whole.params[1]!]))[0]!.forEach((value, i) => {
      expect(Math.abs(value - ends[1]![i]!)).toBeLessThan(0.1 * schedule(11) * 1.01);
    });
    for (const { end } of [whole, resumed]) end();
  });
});
