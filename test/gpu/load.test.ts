// Partial loads: a new head, a dropped layer, the trunk of another model, tensors that moved to another group.
import { describe, expect, test } from "vitest";
import {
  adam,
  adamw,
  createOptimizer,
  nadam,
  type Optimizer,
  type OptimizerOptions,
  sgd,
} from "../../src/index.js";
import { read, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients } from "../support/numbers.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

const model = (...names: readonly string[]): TestTensor[] =>
  names.map((name) => tensor(watched().device, name, 4 + name.charCodeAt(0) - 97));

function feed(tensors: readonly TestTensor[], t: number): void {
  for (const { name, grad } of tensors)
    write(watched().device, grad, gradients(name.charCodeAt(0), t, grad.size / 4));
}

/** Parameters and states of some tensors. */
async function held(optimizer: Optimizer, tensors: readonly TestTensor[]): Promise<Uint32Array[]> {
  return bits(
    await read(
      watched().device,
      tensors.flatMap(({ name, param }) => [
        param,
        ...["exp_avg", "exp_avg_sq"].map((state) => optimizer.state(name, state)),
      ]),
    ),
  );
}

const options = { rule: nadam({ lr: 0.05 }), schedule: (step: number) => 1 / (1 + step) } as const;

async function train(
  given: Omit<OptimizerOptions, "parameters">,
  tensors: readonly TestTensor[],
  steps: number,
) {
  const optimizer = await createOptimizer(watched().device, { ...given, parameters: tensors });
  for (let t = 1; t <= steps; t += 1) {
    feed(tensors, t);
    optimizer.step();
  }
  return optimizer;
}

describe("by name", () => {
  test("a trunk is taken, a head begins anew, another's head stays in the file", async () => {
    const { device } = watched();
    const old = model("a", "b", "h");
    const first = await train(options, old, 6);
    const file = await first.save();
    const expected = await held(first, old.slice(0, 2));
    const next = model("a", "b", "n");
    const second = await createOptimizer(device, { ...options, parameters: next });
    await expectError(() => second.load(file), "invalid-checkpoint", '"n"');
    await expectError(() => second.load(file, { missing: "fresh" }), "invalid-checkpoint", '"h"');
    await expectError(() => second.load(file, { extra: "ignore" }), "invalid-checkpoint", '"n"');
    expect(second.groups[0]!.steps).toBe(0);
    const result = await second.load(file, { missing: "fresh", extra: "ignore" });
    expect(result).toMatchObject({ missing: ["n"], extra: ["h"] });
    expect(await held(second, next.slice(0, 2))).toEqual(expected);
    expect(second.groups[0]!.steps).toBe(6);
    expect(["a", "b", "n"].map((name) => second.groups[0]!.stepsOf(name))).toEqual([6, 6, 0]);
    // The trunk goes on as without the break, the head as one that is new.
    for (let t = 7; t <= 9; t += 1) {
      feed(old, t);
      first.step();
      feed(next, t);
      second.step();
    }
    expect(await held(second, next.slice(0, 2))).toEqual(await held(first, old.slice(0, 2)));
    const alone = model("n");
    const third = await createOptimizer(device, {
      ...options,
      schedule: (s) => 1 / (7 + s),
      parameters: alone,
    });
    for (let t = 7; t <= 9; t += 1) {
      feed(alone, t);
      third.step();
    }
    expect(await held(second, next.slice(2))).toEqual(await held(third, alone));
    for (const optimizer of [first, second, third]) optimizer.destroy();
    destroyTensors([...old, ...next, ...alone]);
  });

  test("tensors that moved to another group are found, with their own counts", async () => {
    const { device } = watched();
    const old = model("a", "b", "c");
    const first = await createOptimizer(device, {
      ...options,
      groups: [{ parameters: old.slice(0, 1) }, { parameters: old.slice(1) }],
    });
    for (let t = 1; t <= 5; t += 1) {
      feed(old, t);
      first.step({ without: t % 2 ? ["c"] : [] });
    }
    const file = await first.save();
    const next = model("c", "a", "b");
    const second = await createOptimizer(device, {
      ...options,
      groups: [{ parameters: next.slice(0, 2) }, { parameters: next.slice(2) }],
    });
    await second.load(file);
    expect(second.groups.map(({ steps }) => steps)).toEqual([5, 5]);
    expect(second.groups[0]!.stepsOf("c")).toBe(2);
    expect(second.groups[0]!.stepsOf("a")).toBe(5);
    for (const [tensors, optimizer] of [
      [old, first],
      [next, second],
    ] as const) {
      feed(tensors, 6);
      optimizer.step();
    }
    expect(await held(second, [next[1]!, next[2]!, next[0]!])).toEqual(await held(first, old));
    first.destroy();
    second.destroy();
    destroyTensors([...old, ...next]);
  });

  test("what is of another rule or shape is refused, and nothing has changed", async () => {
    const { device } = watched();
    const old = model("a", "b");
    const first = await train({ rule: adam() }, old, 2);
    const file = await first.save();
    const other = [tensor(device, "a", 99), ...model("n")];
    const second = await createOptimizer(device, { rule: adam(), parameters: other });
    const decided = { missing: "fresh", extra: "ignore" } as const;
    await expectError(() => second.load(file, decided), "invalid-checkpoint", "F32 [99]");
    const third = await createOptimizer(device, { rule: sgd(), parameters: other.slice(1) });
    await third.load(file, decided);
    const fourth = await createOptimizer(device, { rule: adamw(), parameters: old });
    await expectError(() => fourth.load(file), "invalid-checkpoint", "another rule");
    for (const wrong of [{ missing: "yes" }, { extra: 1 }, { schedules: "mine" }, { nope: 1 }])
      await expectError(() => first.load(file, wrong as never), "invalid-argument");
    expect(second.groups[0]!.steps).toBe(0);
    for (const optimizer of [first, second, third, fourth]) optimizer.destroy();
    destroyTensors([...old, ...other]);
  });
});

test("an average begins as a copy for a tensor that is new, and goes on for the others", async () => {
  const { device } = watched();
  const given = { rule: adam({ lr: 0.1 }), average: { decay: 0.5 } } as const;
  const old = model("a");
  const first = await train(given, old, 4);
  const file = await first.save();
  const next = model("a", "n");
  const second = await createOptimizer(device, { ...given, parameters: next });
  await second.load(file, { missing: "fresh" });
  const before = bits(await read(device, [next[1]!.param]));
  second.swapAverage();
  expect(bits(await read(device, [next[1]!.param]))).toEqual(before);
  second.swapAverage();
  first.destroy();
  second.destroy();
  destroyTensors([...old, ...next]);
});

describe.each(["webgpu-optim", "pytorch"] as const)("counts by tensor: format %s", (format) => {
  test.each([{}, { guards: {} }])("go on with the same bits, some skipped in flight: %o", async (guards) => {
    const { device } = watched();
    const tensors = model("a", "b", "c");
    const optimizer = await createOptimizer(device, { ...options, ...guards, parameters: tensors });
    const run = (from: number, to: number) => {
      for (let t = from; t <= to; t += 1) {
        feed(tensors, t);
        if ("guards" in guards && t % 4 === 3) write(device, tensors[1]!.grad, [Number.NaN]);
        optimizer.step({ without: [...(t % 3 === 0 ? ["a"] : []), ...(t < 5 ? ["c"] : [])] });
      }
    };
    run(1, 7);
    const file = await optimizer.save({ format });
    run(8, 12);
    await optimizer.settled();
    const counts = () => ["a", "b", "c"].map((name) => optimizer.groups[0]!.stepsOf(name));
    const expected = { values: await held(optimizer, tensors), counts: counts() };
    await optimizer.load(file);
    run(8, 12);
    await optimizer.settled();
    expect({ values: await held(optimizer, tensors), counts: counts() }).toEqual(expected);
    optimizer.destroy();
    destroyTensors(tensors);
  });
});
