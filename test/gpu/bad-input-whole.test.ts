// Wrong input of rules with passes over whole tensors: a typed error before any GPU work, and nothing changed.
import { describe, expect, test } from "vitest";
import {
  adafactor,
  adam,
  angd,
  createOptimizer,
  muon,
  noisySgd,
  type OptimErrorCode,
  type Optimizer,
  partition,
  type Rule,
  sm3,
} from "../../src/index.js";
import { read } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

/** Runs what must fail and checks that it made nothing. */
async function refused(run: () => unknown, code: OptimErrorCode, part: string): Promise<void> {
  const { counts } = watched();
  // An encoder that nothing is encoded on is no work.
  const made = () => ({ ...counts, encoders: 0 });
  const before = made();
  await expectError(run, code, part);
  expect(made(), "something was made before the error").toEqual(before);
}

/** A tensor of a shape, or of a length without one. */
const shaped = (name: string, shape: readonly number[] | number): TestTensor => {
  const { device } = watched();
  if (typeof shape === "number") return tensor(device, name, shape);
  const elements = shape.reduce((a, b) => a * b, 1);
  return { ...tensor(device, name, Math.max(elements, 1)), shape };
};

type Wrong = readonly [
  what: string,
  rule: () => Rule,
  shape: readonly number[] | number,
  code: OptimErrorCode,
  part: string,
];

/** What a rule of a group cannot take, however the tensor comes into it. */
const tensors: readonly Wrong[] = [
  ["no shape", () => muon(), 12, "invalid-argument", "expected a shape, got none"],
  ["a vector for a matrix", () => muon(), [12], "invalid-argument", "expected a matrix, got [12]"],
  ["a scalar for a matrix", () => muon(), [], "invalid-argument", "expected a matrix, got []"],
  ["no rows", () => muon(), [0, 4], "invalid-argument", "expected no dimension of 0, got [0, 4]"],
  ["no columns", () => muon(), [4, 0], "invalid-argument", "expected no dimension of 0, got [4, 0]"],
  ["more dimensions than sm3 has", () => sm3(), [2, 2, 2, 2, 2, 2, 2], "invalid-argument", "sm3 cannot take"],
  [
    "largest dimensions that are not the last",
    () => adafactor({ factored: "largest" }),
    [9, 2, 2],
    "invalid-argument",
    "two largest dimensions last",
  ],
  [
    "blocks over the cap",
    () => angd({ block: 512, memoryLimit: 0.5 }),
    [600],
    "limit-exceeded",
    "at most 524288 bytes",
  ],
  [
    "blocks that no binding holds",
    () => angd({ block: 2 ** 20, memoryLimit: 1e9 }),
    [2 ** 15],
    "limit-exceeded",
    "maxStorageBufferBindingSize",
  ],
];

describe("a tensor that the rule cannot take", () => {
  test.each(tensors)("%s", async (_, rule, shape, code, part) => {
    const { device } = watched();
    const made = shaped("x", shape);
    await refused(() => createOptimizer(device, { rule: rule(), parameters: [made] }), code, part);
    destroyTensors([made]);
  });

  test("in the middle of training, by group and by tensor: it goes on as it was", async () => {
    const { device } = watched();
    const own = [shaped("w", [4, 6]), shaped("v", [6, 2])];
    const late = tensors.map(([, , shape], i) => shaped(`late${i}`, shape));
    const held = async (optimizer: Optimizer) => {
      const states = own.map(({ name }) => optimizer.state(name, "momentum_buffer"));
      return bits(await read(device, [...own.map(({ param }) => param), ...states]));
    };
    const optimizer = await createOptimizer(device, { rule: muon({ steps: 1 }), parameters: own });
    optimizer.step();
    const before = await held(optimizer);
    for (const [i, [, rule, , code, part]] of tensors.entries()) {
      const { name } = rule().row;
      await refused(() => optimizer.addGroup({ rule: rule(), parameters: [late[i]!] }), code, part);
      if (name === "muon")
        await refused(() => optimizer.addParameters(optimizer.groups[0]!, [late[i]!]), code, part);
    }
    expect(await held(optimizer)).toEqual(before);
    expect(optimizer.groups.map(({ steps }) => steps)).toEqual([1]);
    optimizer.step();
    expect(optimizer.groups[0]!.stepsOf("w")).toBe(2);
    expect(await held(optimizer)).not.toEqual(before);
    optimizer.destroy();
    destroyTensors([...own, ...late]);
  });

  test("one that a group with another rule takes; empty ones where nothing needs a shape", async () => {
    const { device } = watched();
    const made = [shaped("w", [4, 6]), shaped("b", [6]), shaped("empty", [0, 3])];
    const groups = partition(made, [
      { match: (_, shape) => shape?.length === 2 && !shape.includes(0), rule: muon() },
      { rule: adam() },
    ]);
    (await createOptimizer(device, { groups })).destroy();
    for (const rule of [angd(), adafactor(), sm3(), noisySgd()]) {
      const optimizer = await createOptimizer(device, { rule, parameters: made });
      optimizer.step();
      optimizer.destroy();
    }
    destroyTensors(made);
  });
});

test.each<readonly [string, () => Rule]>([
  ["a block of nothing", () => angd({ block: 0 })],
  ["half a block", () => angd({ block: 1.5 })],
  ["more outputs than anyone hands over", () => angd({ outputs: 1e9 })],
  ["less than no outputs", () => angd({ outputs: -1 })],
  ["a start that is not positive definite", () => angd({ start: 0 })],
  ["a start below 0", () => angd({ start: -1 })],
  ["no memory", () => angd({ memoryLimit: 0 })],
  ["an estimate that is replaced at once", () => angd({ delta: 1 })],
  ["too many iterations", () => muon({ steps: 1e6 })],
  ["a negative scale", () => adafactor({ clipThreshold: -1 })],
])("an option out of range: %s", async (_, rule) => {
  await refused(rule, "invalid-option", "is out of range");
});

test("gradients of outputs in another number: refused, and what was handed over counts", async () => {
  const { device } = watched();
  const own = [shaped("w", [3, 2])];
  const make = () =>
    createOptimizer(device, { rule: angd({ outputs: 2, delta: 0.1, lr: 0.1 }), parameters: own });
  const held = async (optimizer: Optimizer) =>
    bits(await read(device, [own[0]!.param, optimizer.state("w", "inverse_fisher")]));
  const optimizer = await make();
  optimizer.step();
  optimizer.outputGradient();
  const before = await held(optimizer);
  const number = "another number of outputs' gradients";
  const encoder = device.createCommandEncoder();
  await refused(() => optimizer.step(), "invalid-argument", number);
  await refused(() => optimizer.encode(encoder), "invalid-argument", number);
  await refused(() => optimizer.save(), "invalid-argument", number);
  expect(await held(optimizer)).toEqual(before);
  optimizer.outputGradient();
  const both = await held(optimizer);
  expect(both).not.toEqual(before);
  await refused(() => optimizer.outputGradient(), "invalid-argument", number);
  await refused(() => optimizer.outputGradient(encoder), "invalid-argument", number);
  expect(await held(optimizer)).toEqual(both);
  expect(optimizer.groups[0]!.steps).toBe(1);
  optimizer.step();
  optimizer.destroy();
  for (const rule of [angd(), muon(), adam()]) {
    const other = await createOptimizer(device, { rule, parameters: own });
    await refused(() => other.outputGradient(), "invalid-argument", "takes no gradients of outputs");
    other.destroy();
  }
  destroyTensors(own);
});
