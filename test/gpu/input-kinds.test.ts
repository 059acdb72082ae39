// Input of the wrong kind: a typed error that says briefly what it was, before any GPU work.
import { describe, expect, test } from "vitest";
import {
  adam,
  createArena,
  createOptimizer,
  type OptimErrorCode,
  type OptimizerOptions,
  partition,
  requestDevice,
  sgd,
} from "../../src/index.js";
import { difference, useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { destroyTensors, tensor } from "../support/tensors.js";

const watched = useDevice();

/** Refused, and nothing was made. */
async function refused(call: (device: GPUDevice) => unknown, code: OptimErrorCode, part = "") {
  const { device, counts } = watched();
  const before = { ...counts };
  await expectError(() => call(device), code, part);
  expect(Object.values(difference(counts, before)).every((made) => made === 0)).toBe(true);
}

const long = new Float32Array(1_000_000);

describe("what is no device, no list or no object", () => {
  test.each([
    ["createArena(device, {…})", (device: GPUDevice) => createArena(device, { w: [2] } as never)],
    ["createArena(device, null)", (device: GPUDevice) => createArena(device, null as never)],
    ["createArena(device, [null])", (device: GPUDevice) => createArena(device, [null] as never)],
    ["createArena(null, […])", () => createArena(null as never, [{ w: [2] }])],
    ["createArena with another option", (device: GPUDevice) => createArena(device, [], { size: 4 } as never)],
    ["createOptimizer(device, null)", (device: GPUDevice) => createOptimizer(device, null as never)],
    ["createOptimizer(null, {…})", () => createOptimizer(null as never, { rule: adam(), parameters: [] })],
    ["partition(null, [])", () => partition(null as never, [])],
    ["partition([], null)", () => partition([], null as never)],
    ["partition([], [null])", () => partition([], [null] as never)],
    ["requestDevice with another preference", () => requestDevice({ powerPreference: "fast" as never })],
    ["requestDevice with another option", () => requestDevice({ power: "low-power" } as never)],
    ["requestDevice(null)", () => requestDevice(null as never)],
  ] as const)("%s", async (_, call) => {
    await refused(call, "invalid-argument");
  });

  test.each([null, undefined, 3, "x", long])("as a parameter: %s", async (parameter) => {
    const options = { rule: adam(), parameters: [parameter as never] };
    await refused((device) => createOptimizer(device, options), "invalid-argument");
  });

  test.each([{ parameters: [] }, { groups: [] }, { groups: [{ parameters: [] }] }])(
    "no parameter at all: %o",
    async (options) => {
      await refused(
        (device) => createOptimizer(device, { rule: adam(), ...options }),
        "invalid-argument",
        "no parameter",
      );
    },
  );

  test("a message stays short whatever was passed", async () => {
    const { device } = watched();
    const [x] = [tensor(device, "x", 4)];
    const attempts: (() => unknown)[] = [
      () => createOptimizer(device, { rule: adam(), parameters: long as never }),
      () => createOptimizer(device, { rule: long as never, parameters: [x] }),
      () => createOptimizer(device, { rule: adam(), parameters: [{ ...x, param: long as never }] }),
      () => createOptimizer(device, { rule: adam(), parameters: [{ ...x, grad: long as never }] }),
      () => createOptimizer(device, { rule: adam(), parameters: [{ ...x, shape: long as never }] }),
      () => createOptimizer(device, { rule: adam(), parameters: [x], schedule: long as never }),
      () => createOptimizer(device, { rule: adam(), parameters: [x], guards: { clipNorm: long as never } }),
      () => createOptimizer(device, { rule: adam(), parameters: [x], average: { decay: long as never } }),
      () => createArena(device, [{ w: long as never }]),
      () => adam({ lr: long as never }),
      () => adam("x".repeat(1_000_000) as never),
    ];
    for (const attempt of attempts) {
      const error = await (async () => attempt())().catch((error: Error) => error);
      expect(error).toMatchObject({ name: "OptimError" });
      expect((error as Error).message.length, (error as Error).message.slice(0, 200)).toBeLessThan(600);
    }
    destroyTensors([x]);
  });

  test("a number as a text is told as one", () => {
    expect(() => adam({ lr: "0.1" as never })).toThrow("got '0.1'");
  });
});

describe("names", () => {
  test("of a parameter and of a range are known, or refused", async () => {
    const x = tensor(watched().device, "x", 4);
    const { param } = x;
    for (const [part, wrong] of [
      ["dtype", { ...x, dtype: "f16" }],
      ["length", { ...x, param: { ...param, length: 4 } }],
      ["stride", { ...x, grad: { ...x.grad, stride: 4 } }],
    ] as const)
      await refused(
        (device) => createOptimizer(device, { rule: adam(), parameters: [wrong as never] }),
        "invalid-argument",
        `'${part}'`,
      );
    destroyTensors([x]);
  });

  test("that are undefined are left out", async () => {
    const { device } = watched();
    const x = tensor(device, "x", 4);
    const group = { parameters: [x], rule: undefined, schedule: undefined, optionSchedules: undefined };
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 0.5 }),
      schedule: (step) => 0.5 ** step,
      groups: [group as never],
      guards: undefined as never,
      average: undefined as never,
    });
    optimizer.step();
    optimizer.step();
    expect(optimizer.groups[0]).toMatchObject({ lr: 0.5, rate: 0.25 });
    optimizer.destroy();
    destroyTensors([x]);
  });
});

describe("buffers", () => {
  test("a range without offset or size is from the start, to the end", async () => {
    const { device } = watched();
    const x = tensor(device, "x", 8);
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      parameters: [{ name: "x", param: { buffer: x.param.buffer }, grad: { buffer: x.grad.buffer } }],
    });
    expect(optimizer.groups[0]!.names).toEqual(["x"]);
    optimizer.destroy();
    const rest = await createOptimizer(device, {
      rule: adam(),
      parameters: [
        {
          name: "x",
          param: { buffer: x.param.buffer, offset: 16 },
          grad: { buffer: x.grad.buffer, offset: 16 },
        },
      ],
    });
    expect(rest.state("x", "exp_avg").size).toBe(x.param.buffer.size - 16);
    rest.destroy();
    destroyTensors([x]);
  });

  test("the parameter of a tensor that is the gradient of another is refused, also when gradients move", async () => {
    const { device } = watched();
    const [x, y] = [tensor(device, "x", 8), tensor(device, "y", 8)];
    const crossed: OptimizerOptions = { rule: sgd(), parameters: [x, { ...y, grad: x.param }] };
    await refused((device) => createOptimizer(device, crossed), "aliased-buffers", "'x'");
    const optimizer = await createOptimizer(device, { rule: sgd(), parameters: [x, y] });
    for (const gradients of [{ y: x.param }, { x: { ...y.param, offset: 16, size: 32 } }])
      await expectError(() => optimizer.setGradients(gradients), "aliased-buffers");
    for (const gradients of [null, undefined, 3, [], [x.grad], x.grad.buffer, new Map()] as never[])
      await expectError(() => optimizer.setGradients(gradients), "invalid-argument");
    // One that is wrong leaves all as they were.
    await expectError(() => optimizer.setGradients({ x: y.grad, y: null as never }), "invalid-buffer");
    optimizer.step();
    optimizer.destroy();
    destroyTensors([x, y]);
  });
});

test("a gradient of another device is refused by the next call, and others may take its place", async () => {
  const { device } = watched();
  const other = await requestDevice();
  const [x, foreign] = [tensor(device, "x", 8), tensor(other, "x", 8)];
  const optimizer = await createOptimizer(device, { rule: sgd(), parameters: [x], accumulation: true });
  // Also where it comes again.
  for (const gradient of [foreign.grad, foreign.grad]) {
    optimizer.setGradients({ x: gradient });
    await device.queue.onSubmittedWorkDone();
    for (const call of [() => optimizer.step(), () => optimizer.accumulate()])
      await expectError(call, "invalid-buffer", "of the optimizer's device");
    optimizer.setGradients({ x: x.grad });
  }
  await expectError(() => optimizer.accumulate({ sample: 2 } as never), "invalid-argument", "'sample'");
  optimizer.step();
  expect(optimizer.groups[0]!.steps).toBe(1);
  optimizer.destroy();
  destroyTensors([x, foreign]);
  other.destroy();
});

test("a number that f32 does not hold is refused at once", async () => {
  const { device } = watched();
  const x = tensor(device, "x", 4);
  expect(() => adam({ lr: 1e39 })).toThrow("out of range");
  await refused(
    (device) => createOptimizer(device, { rule: adam(), groups: [{ parameters: [x], lr: 1e39 }] }),
    "invalid-option",
  );
  const optimizer = await createOptimizer(device, { rule: adam(), parameters: [x] });
  await expectError(() => optimizer.groups[0]!.set({ weightDecay: 1e39 }), "invalid-option");
  optimizer.destroy();
  destroyTensors([x]);
});
