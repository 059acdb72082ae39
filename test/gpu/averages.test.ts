// Running averages and slow weights, against the same recurrences in float64 on the parameters that the GPU wrote.
import { describe, expect, test } from "vitest";
import {
  type AverageOptions,
  adam,
  createOptimizer,
  nesterovLookahead,
  type OptimizerOptions,
  scheduleFreeSgd,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients, normals } from "../support/numbers.js";

const watched = useDevice();
const LENGTH = 67;

/** Runs steps and gives the parameters after each, and the states named, after the last. */
async function run(
  options: Pick<OptimizerOptions, "rule" | "average" | "slowWeights" | "guards">,
  steps: number,
  states: readonly string[],
  spoil: (t: number) => boolean = () => false,
) {
  const { device } = watched();
  const param = upload(device, normals(1, LENGTH), { offset: 4, after: 8 });
  const grad = upload(device, new Float32Array(LENGTH), { offset: 4 });
  const optimizer = await createOptimizer(device, { ...options, parameters: [{ name: "x", param, grad }] });
  const trail: Float32Array[] = [];
  for (let t = 1; t <= steps; t += 1) {
    optimizer.lookahead();
    if (spoil(t)) {
      write(device, grad, new Float32Array(LENGTH).fill(Number.NaN));
      optimizer.step();
      optimizer.lookahead();
    }
    write(device, grad, gradients(2, t, LENGTH));
    optimizer.step();
    trail.push((await read(device, [param]))[0]!);
  }
  const kept = await read(
    device,
    states.map((state) => optimizer.state("x", state)),
  );
  return { device, optimizer, param, grad, trail, kept };
}

function end({ optimizer, param, grad }: Awaited<ReturnType<typeof run>>): void {
  optimizer.destroy();
  param.buffer.destroy();
  grad.buffer.destroy();
}

/** The average of a trail of parameters, in float64. */
function average(trail: readonly Float32Array[], weight: (t: number) => number): Float64Array {
  const mean = new Float64Array(LENGTH);
  trail.forEach((parameters, index) => {
    parameters.forEach((value, i) => {
      mean[i] = mean[i]! + weight(index + 1) * (value - mean[i]!);
    });
  });
  return mean;
}

const averages: readonly (readonly [string, AverageOptions, (t: number) => number])[] = [
  ["exponential", { decay: 0.9 }, (t) => (t === 1 ? 1 : 0.1)],
  [
    "exponential with warm-up",
    { decay: 0.9, warmup: true },
    (t) => (t === 1 ? 1 : 1 - Math.min(0.9, (1 + t) / (10 + t))),
  ],
  ["equal", { kind: "equal" }, (t) => 1 / t],
  [
    "equal, every third step from the fourth",
    { kind: "equal", start: 4, every: 3 },
    (t) => (t >= 4 && (t - 4) % 3 === 0 ? 1 / ((t - 4) / 3 + 1) : 0),
  ],
];

describe.each(averages)("%s average", (_, options, weight) => {
  test.each([
    ["alone", undefined],
    ["with guards", {}],
  ])("%s", async (_name, guards) => {
    const result = await run({ rule: adam({ lr: 0.1 }), average: options, ...(guards && { guards }) }, 14, [
      "average",
    ]);
    const expected = average(result.trail, weight);
    result.kept[0]!.forEach((value, i) => {
      // Two f32 roundings a step, on values of the size of the parameters.
      const largest = Math.max(...result.trail.map((parameters) => Math.abs(parameters[i]!)));
      expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(14 * 2 * 2 ** -24 * largest);
    });
    end(result);
  });
});

test("a skipped step moves neither the average nor the slow weights", async () => {
  const options = { rule: adam({ lr: 0.1 }), average: { decay: 0.8 }, slowWeights: { every: 3 }, guards: {} };
  const clean = await run(options, 9, ["average", "slow_weights"]);
  const dirty = await run(options, 9, ["average", "slow_weights"], (t) => t % 2 === 1);
  expect(dirty.trail).toEqual(clean.trail);
  expect(dirty.kept).toEqual(clean.kept);
  end(clean);
  end(dirty);
});

test("swapping the average in and out brings back the bits", async () => {
  const result = await run({ rule: sgd({ lr: 0.1 }), average: {} }, 5, ["average"]);
  const { device, optimizer, param, grad, trail, kept } = result;
  optimizer.swapAverage();
  expect(optimizer.averaged).toBe(true);
  expect(await read(device, [param, optimizer.state("x", "average")])).toEqual([kept[0], trail[4]]);
  await expectError(() => optimizer.step(), "averaged");
  expect(optimizer.groups[0]!.steps).toBe(5);
  optimizer.swapAverage();
  expect(optimizer.averaged).toBe(false);
  expect(await read(device, [param, optimizer.state("x", "average")])).toEqual([trail[4], kept[0]]);
  write(device, grad, gradients(2, 6, LENGTH));
  optimizer.step();
  expect(optimizer.groups[0]!.steps).toBe(6);
  end(result);
});

describe("slow weights", () => {
  test.each([
    ["sgd", sgd({ lr: 0.05 }), undefined],
    ["sgd with guards", sgd({ lr: 0.05 }), {}],
    ["a look-ahead rule", nesterovLookahead({ lr: 0.05, momentum: 0 }), undefined],
  ])("of %s follow the paper", async (_, rule, guards) => {
    const result = await run({ rule, slowWeights: { every: 4, alpha: 0.3 }, ...(guards && { guards }) }, 10, [
      "slow_weights",
    ]);
    // Zhang et al. 2019, algorithm 1, for plain gradient descent within.
    const fast = Float64Array.from(normals(1, LENGTH));
    const slow = fast.slice();
    for (let t = 1; t <= 10; t += 1) {
      gradients(2, t, LENGTH).forEach((gradient, i) => {
        fast[i] = fast[i]! - 0.05 * gradient;
      });
      if (t % 4 === 0)
        slow.forEach((value, i) => {
          slow[i] = value + 0.3 * (fast[i]! - value);
          fast[i] = slow[i]!;
        });
      result.trail[t - 1]!.forEach((value, i) => {
        // f32 rounding of at most 12 operations on numbers of this size.
        expect(Math.abs(value - fast[i]!)).toBeLessThanOrEqual(12 * 2 ** -24 * (1 + Math.abs(fast[i]!) * 40));
      });
    }
    result.kept[0]!.forEach((value, i) => {
      expect(Math.abs(value - slow[i]!)).toBeLessThanOrEqual(12 * 2 ** -24 * (1 + Math.abs(slow[i]!) * 40));
    });
    end(result);
  });

  test("with alpha 1 are the inner rule, bit for bit", async () => {
    const inner = await run({ rule: adam() }, 8, []);
    const outer = await run({ rule: adam(), slowWeights: { every: 3, alpha: 1 } }, 8, []);
    expect(outer.trail).toEqual(inner.trail);
    end(inner);
    end(outer);
  });
});

test("bad options are refused", async () => {
  const { device, counts } = watched();
  const param = upload(device, [1]);
  const grad = upload(device, [1]);
  const before = { ...counts };
  const bad: readonly object[] = [
    { average: { decay: 1 } },
    { average: { decay: Number.NaN } },
    { average: { kind: "median" } },
    { average: { kind: "equal", start: 0 } },
    { average: { kind: "equal", decay: 0.9 } },
    { average: { warmup: 1 } },
    { average: { initial: 1 } },
    { slowWeights: { every: 0 } },
    { slowWeights: { alpha: 0 } },
    { slowWeights: { alpha: 1.5 } },
    { slowWeights: { k: 5 } },
  ];
  for (const options of bad)
    await expectError(
      () => createOptimizer(device, { rule: sgd(), parameters: [{ name: "x", param, grad }], ...options }),
      "invalid-argument",
    );
  expect(counts).toEqual(before);
  const plain = await createOptimizer(device, { rule: sgd(), parameters: [{ name: "x", param, grad }] });
  await expectError(() => plain.swapAverage(), "invalid-argument");
  plain.destroy();
  param.buffer.destroy();
  grad.buffer.destroy();
});

describe("what joins later", () => {
  /** Two tensors with a gradient of zero and no decay: nothing that is done to them may move them. */
  async function still(options: object) {
    const { device } = watched();
    const tensors = ["a", "b"].map((name, index) => ({
      name,
      param: upload(device, normals(index, LENGTH)),
      grad: upload(device, new Float32Array(LENGTH)),
    }));
    const parameters = () =>
      read(
        device,
        tensors.map(({ param }) => param),
      );
    const start = await parameters();
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 0.1 }),
      parameters: tensors.slice(0, 1),
      slowWeights: { every: 2 },
      average: { decay: 0.9 },
      ...options,
    });
    const end = () => {
      optimizer.destroy();
      for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
    };
    return { tensors, parameters, start, optimizer, end };
  }

  test.each([
    ["plain", {}],
    ["with guards", { guards: {} }],
  ])("a tensor that joins a group starts from its parameters, %s", async (_, options) => {
    const { tensors, parameters, start, optimizer, end } = await still(options);
    for (let t = 0; t < 3; t += 1) optimizer.step();
    await optimizer.addParameters(optimizer.groups[0]!, tensors.slice(1));
    for (let t = 0; t < 4; t += 1) optimizer.step();
    expect(await parameters()).toEqual(start);
    optimizer.swapAverage();
    expect(await parameters()).toEqual(start);
    optimizer.swapAverage();
    end();
  });

  test.each([
    ["an average", {}],
    [
      "what a rule averages",
      { rule: scheduleFreeSgd({ lr: 0.1 }), average: undefined, slowWeights: undefined },
    ],
  ])(
    "a tensor that has joined and not stepped yet keeps its parameters in a swap and in a file: %s",
    async (_, options) => {
      const { tensors, parameters, start, optimizer, end } = await still(options);
      optimizer.step();
      await optimizer.addParameters(optimizer.groups[0]!, tensors.slice(1));
      optimizer.swapAverage();
      expect(await parameters()).toEqual(start);
      optimizer.swapAverage();
      expect(await parameters()).toEqual(start);
      const file = await optimizer.save();
      const again = await still({ ...options, parameters: tensors });
      await again.optimizer.load(file);
      for (let t = 0; t < 4; t += 1) again.optimizer.step();
      expect(await parameters()).toEqual(start);
      again.optimizer.swapAverage();
      expect(await parameters()).toEqual(start);
      again.end();
      // Weights that are written between the swap and the first step.
      write(watched().device, tensors[1]!.param, start[0]!);
      for (let t = 0; t < 4; t += 1) optimizer.step();
      optimizer.swapAverage();
      expect(await parameters()).toEqual([start[0], start[0]]);
      end();
    },
  );

  test("a tensor that was frozen from the first step on", async () => {
    const { parameters, start, optimizer, end } = await still({});
    await optimizer.freeze("a");
    for (let t = 0; t < 3; t += 1) optimizer.step();
    await optimizer.thaw("a");
    for (let t = 0; t < 3; t += 1) optimizer.step();
    expect(await parameters()).toEqual(start);
    optimizer.swapAverage();
    expect(await parameters()).toEqual(start);
    end();
  });

  test("there is no average to swap in before the first step that counts, in any group", async () => {
    const { tensors, optimizer, end } = await still({ average: { kind: "equal", start: 3 } });
    optimizer.step();
    optimizer.step();
    await expectError(() => optimizer.swapAverage(), "invalid-argument");
    optimizer.step();
    optimizer.swapAverage();
    optimizer.swapAverage();
    await optimizer.addGroup({ parameters: tensors.slice(1) });
    await expectError(() => optimizer.swapAverage(), "invalid-argument");
    end();
  });
});
