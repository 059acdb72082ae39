// Cautious updates: which are kept, how they are scaled by tensor, and what goes around them.
import { describe, expect, test } from "vitest";
import { ruleJobs } from "../../src/conformance/rule-cases.js";
import {
  adam,
  asgd,
  createArena,
  createOptimizer,
  type GroupOptions,
  lion,
  momentum,
  novograd,
  type Optimizer,
  type OptimizerOptions,
  type Parameter,
  type Rule,
  rules,
  sgd,
} from "../../src/index.js";
import { type ReferenceState, referenceState, referenceStep } from "../../src/reference/step.js";
import { read, write } from "../support/buffers.js";
import { difference, useDevice, watchedDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { normals } from "../support/numbers.js";
import { destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();
const cautious = "scaled";

/** Aligned, with head and tail, for single lanes, and longer than a strip. */
const tensors = (device: GPUDevice, prefix: string) => [
  tensor(device, `${prefix}0`, 64),
  tensor(device, `${prefix}1`, 7, { offset: 4 }),
  tensor(device, `${prefix}2`, 301, { offset: 8, gradientOffset: 4 }),
  tensor(device, `${prefix}3`, 1000),
];

/** A group's tensors followed in float64. */
class Followed {
  readonly tensors: readonly TestTensor[];
  readonly #rule: Rule;
  #parameters: Float64Array[] = [];
  #states: ReferenceState[] = [];

  constructor(rule: Rule, tensors: readonly TestTensor[]) {
    this.tensors = tensors;
    this.#rule = rule;
  }

  async begin(device: GPUDevice) {
    const { row, options } = this.#rule;
    const values = await read(
      device,
      this.tensors.map(({ param }) => param),
    );
    this.#parameters = values.map((value) => Float64Array.from(value));
    this.#states = this.#parameters.map((value) => referenceState(row, options, value));
  }

  /** Writes gradients, and takes the step in float64. */
  step(device: GPUDevice, t: number, scale = 1) {
    const { row, options } = this.#rule;
    for (const [i, { grad }] of this.tensors.entries()) {
      const gradient = normals(100 * t + i, grad.size / 4);
      write(device, grad, gradient);
      const scaled = Float64Array.from(gradient, (value) => scale * value);
      const at = { t, lr: options.lr };
      const next = referenceStep(row, options, at, this.#parameters[i]!, scaled, this.#states[i]!);
      this.#parameters[i] = new Float64Array(next.parameters);
      this.#states[i] = next.state;
    }
  }

  async error(device: GPUDevice) {
    const got = await read(
      device,
      this.tensors.map(({ param }) => param),
    );
    return Math.max(
      ...got.map((values, i) =>
        Math.max(...values.map((value, k) => Math.abs(value - this.#parameters[i]![k]!))),
      ),
    );
  }
}

describe.each([
  ["adam", adam({ lr: 0.01, cautious })],
  ["adam, as the paper scales", adam({ lr: 0.01, cautious: "paper" })],
  ["momentum", momentum({ lr: 0.1, cautious, weightDecay: 0.1, decay: "decoupled" })],
  ["lion", lion({ lr: 0.01, cautious, maximize: true })],
  ["novograd", novograd({ cautious, weightDecay: 0.1 })],
])("%s", (_, rule) => {
  const extras: readonly (readonly [string, Partial<OptimizerOptions>, number])[] = [
    ["bare", {}, 1],
    ["guarded", { guards: {} }, 1],
    ["reported", { guards: {}, telemetry: { perTensor: true } }, 1],
    ["under a clip by tensor that does not clip", { guards: { clipNorm: 1e6 } }, 1],
    ["compensated", { compensated: true }, 1],
  ];
  test.each(extras)("%s", async (_, options) => {
    const { device } = watched();
    const group = new Followed(rule, tensors(device, "t"));
    await group.begin(device);
    const optimizer = await createOptimizer(device, { rule, parameters: group.tensors, ...options });
    for (let t = 1; t <= 5; t += 1) {
      group.step(device, t);
      optimizer.step();
    }
    expect(await group.error(device)).toBeLessThan(4e-6);
    optimizer.destroy();
    destroyTensors(group.tensors);
  });
});

test("of groups, each by its own option and rule", async () => {
  const { device } = watched();
  const rule = adam({ lr: 0.01 });
  const given: readonly (readonly [Rule, GroupOptions])[] = [
    [adam({ lr: 0.01, cautious }), { parameters: tensors(device, "a"), cautious }],
    [rule, { parameters: tensors(device, "b") }],
    [novograd({ cautious }), { parameters: tensors(device, "c"), rule: novograd({ cautious }) }],
    [sgd({ lr: 0.1, cautious }), { parameters: tensors(device, "d"), rule: sgd({ lr: 0.1, cautious }) }],
    [novograd(), { parameters: tensors(device, "e"), rule: novograd() }],
  ];
  const followed = given.map(([own, { parameters }]) => new Followed(own, parameters as TestTensor[]));
  const optimizer = await createOptimizer(device, { rule, groups: given.map(([, group]) => group) });
  for (const group of followed) await group.begin(device);
  for (let t = 1; t <= 4; t += 1) {
    for (const group of followed) group.step(device, t);
    optimizer.step();
  }
  for (const group of followed) expect(await group.error(device)).toBeLessThan(4e-6);
  optimizer.destroy();
  for (const { tensors } of followed) destroyTensors(tensors);
});

test("of tensors that are left out nothing counts, and they go on as they were", async () => {
  const { device } = watched();
  const rule = momentum({ lr: 0.1, cautious });
  const [left, stepped] = [
    [tensor(device, "left", 100)],
    [tensor(device, "x", 100), tensor(device, "y", 33)],
  ];
  const group = new Followed(rule, stepped);
  await group.begin(device);
  const before = await read(device, [left[0]!.param]);
  const optimizer = await createOptimizer(device, { rule, parameters: [...left, ...stepped] });
  for (let t = 1; t <= 3; t += 1) {
    group.step(device, t);
    optimizer.step({ without: ["left"] });
  }
  expect(await group.error(device)).toBeLessThan(2e-6);
  expect(await read(device, [left[0]!.param])).toEqual(before);
  optimizer.destroy();
  destroyTensors([...left, ...stepped]);
});

test("of accumulated gradients", async () => {
  const { device } = watched();
  const rule = momentum({ lr: 0.1, cautious });
  const group = new Followed(rule, tensors(device, "t"));
  await group.begin(device);
  const optimizer = await createOptimizer(device, { rule, parameters: group.tensors, accumulation: true });
  for (let t = 1; t <= 3; t += 1) {
    group.step(device, t);
    optimizer.accumulate();
    optimizer.accumulate();
    optimizer.step();
  }
  expect(await group.error(device)).toBeLessThan(2e-6);
  optimizer.destroy();
  destroyTensors(group.tensors);
});

test("a gradient that is not finite gives a parameter that is not, and its neighbours go on", async () => {
  const { device } = watched();
  const x = tensor(device, "x", 5);
  write(device, x.grad, [Number.NaN, Infinity, -Infinity, 1, -1]);
  write(device, x.param, [0, 0, 0, 0, 0]);
  const optimizer = await createOptimizer(device, { rule: sgd({ lr: 1, cautious }), parameters: [x] });
  optimizer.step();
  const [values] = await read(device, [x.param]);
  expect([...values!].map(Number.isFinite)).toEqual([false, false, false, true, true]);
  optimizer.destroy();
  destroyTensors([x]);
});

test("a skipped step changes nothing", async () => {
  const { device } = watched();
  const x = tensor(device, "x", 100);
  const before = await read(device, [x.param]);
  write(device, x.grad, new Float32Array(100).fill(Number.NaN));
  const optimizer = await createOptimizer(device, {
    rule: adam({ cautious }),
    parameters: [x],
    guards: { nonFinite: "skip" },
  });
  optimizer.step();
  await optimizer.settled();
  expect(await read(device, [x.param])).toEqual(before);
  optimizer.destroy();
  destroyTensors([x]);
});

/** Dispatches of a step over tensors of an arena. */
async function dispatches(rule: Rule, count: number): Promise<number> {
  const { device, counts } = watched();
  const arena = createArena(device, [
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, [1 + (i % 9)]])),
  ]);
  const optimizer = await createOptimizer(device, { rule, parameters: arena.groups[0] });
  const before = { ...counts };
  optimizer.step();
  const taken = difference(counts, before).dispatches;
  optimizer.destroy();
  arena.destroy();
  return taken;
}

test("as many dispatches for a thousand tensors as for ten, and none more for those that are not cautious", async () => {
  const few = await dispatches(adam({ cautious }), 10);
  expect(await dispatches(adam({ cautious }), 1000)).toBe(few);
  expect(few).toBeLessThan(12);
  expect(await dispatches(adam(), 1000)).toBe(1);
});

describe("refused", () => {
  test("of rules whose states follow their parameters, and of those with passes over whole tensors", async () => {
    await expectError(() => asgd({ cautious: "scaled" as never }), "invalid-option", "'cautious' of asgd");
    const refusing = rules.filter(
      ({ row }) => (row.options.cautious as { values: readonly unknown[] }).values.length < 2,
    );
    const whole = rules.filter(({ row }) => row.whole);
    expect(whole.every((rule) => refusing.includes(rule))).toBe(true);
    expect(refusing.filter(({ row }) => !row.whole).map(({ row }) => row.name)).toEqual([
      "asgd",
      "ftrl",
      "schedule-free-sgd",
      "schedule-free-adamw",
      "prodigy",
    ]);
  });

  test("after creation", async () => {
    const { device } = watched();
    const given: Parameter[] = [tensor(device, "x", 4), tensor(device, "y", 4)];
    const optimizer: Optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: given.slice(0, 1),
    });
    await expectError(() => optimizer.groups[0]!.set({ cautious }), "invalid-option", "after creation");
    await expectError(
      () => optimizer.addGroup({ parameters: given.slice(1), cautious }),
      "invalid-argument",
      "needs to be cautious",
    );
    const file = await optimizer.save();
    optimizer.destroy();
    const other = await createOptimizer(device, {
      rule: adam({ cautious }),
      parameters: given.slice(0, 1),
    });
    await expectError(() => other.load(file), "invalid-checkpoint", "cautious");
    await expectError(() => other.load(file, { hyperparameters: "file" }), "invalid-checkpoint", "compiled");
    await other.load(file, { hyperparameters: "keep" });
    other.destroy();
    destroyTensors(given as TestTensor[]);
  });
});

describe("planted defects are found by the conformance run", () => {
  test.each([
    ["a gradient of zero agrees", "& (gradient > vec4f())", "& (gradient >= vec4f())"],
    ["all is kept", "select(vec4f(), factor * update", "select(factor * update, factor * update"],
    ["what disagrees is kept", "(gradient < vec4f()))", "(gradient > vec4f()))"],
    ["not scaled", "factor * update, engine_agrees", "update, engine_agrees"],
    [
      "scaled by what is left",
      "1.0 / max(engine_sum.x / engine_counts[engine_run], 1e-3)",
      "engine_sum.x / engine_counts[engine_run]",
    ],
    [
      "no most that it is scaled by",
      "engine_sum.x / engine_counts[engine_run], 1e-3",
      "engine_sum.x / engine_counts[engine_run], 0.5",
    ],
    ["counts half", "engine_sum.x += engine_total(", "engine_sum.x += 0.5 * engine_total("],
  ])("%s", async (_, from, to) => {
    const { device, software } = await watchedDevice();
    let planted = 0;
    const create = device.createShaderModule.bind(device);
    Object.defineProperty(device, "createShaderModule", {
      value: (descriptor: GPUShaderModuleDescriptor) => {
        const { code } = descriptor;
        planted += Number(code.includes(from));
        return create({ ...descriptor, code: code.replace(from, to) });
      },
    });
    const errors: string[] = [];
    for (const name of ["adam", "lion"])
      for (const { cases, run } of ruleJobs(rules.find(({ row }) => row.name === name)!))
        if (cases.some(({ id }) => id.includes("cautious=scaled")))
          errors.push(...(await run({ device, software })).flatMap((outcome) => outcome.errors));
    expect(planted).toBeGreaterThan(0);
    expect(errors).not.toEqual([]);
    device.destroy();
  });
});
