// What guards refuse.
import { describe, expect, test } from "vitest";
import { adam, createOptimizer, type GuardOptions, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

describe("bad input", () => {
  const wrong: readonly (readonly [string, object])[] = [
    ["an unknown guard", { guards: { clip: 1 } }],
    ["a negative clipValue", { guards: { clipValue: -1 } }],
    ["a clipNorm of zero", { guards: { clipNorm: 0 } }],
    ["a clipGlobalNorm of NaN", { guards: { clipGlobalNorm: Number.NaN } }],
    ["a string as clipNorm", { guards: { clipNorm: "1" } }],
    ["an unknown formula", { guards: { clipFormula: "keras" } }],
    ["an unknown way with NaN", { guards: { nonFinite: "raise" } }],
    ["a loss scale of zero", { guards: { lossScale: 0 } }],
    ["a string as loss scale", { guards: { lossScale: "1024" } }],
    ["null as loss scale", { guards: { lossScale: null } }],
    ["an unknown option of the loss scale", { guards: { lossScale: { start: 1 } } }],
    ["a growth below 1", { guards: { lossScale: { growth: 0.5 } } }],
    ["skipsInFlight of zero", { guards: { skipsInFlight: 0 } }],
    ["skipsInFlight of 65", { guards: { skipsInFlight: 65 } }],
    ["guards that are true", { guards: true }],
    ["guards that are a list", { guards: [] }],
    ["unknown telemetry", { telemetry: { on: true } }],
    ["every of zero", { telemetry: { every: 0 } }],
    ["every of 1.5", { telemetry: { every: 1.5 } }],
    ["onReport that is no function", { telemetry: { onReport: 1 } }],
    ["perTensor of 1", { telemetry: { perTensor: 1 } }],
    ["telemetry that is true", { telemetry: true }],
  ];

  test.each(wrong)("%s is refused before any GPU work", async (_, options) => {
    const { device, counts } = watched();
    const tensors = [tensor(device, "x", 8)];
    const before = { ...counts };
    await expectError(
      () => createOptimizer(device, { rule: adam(), parameters: tensors, ...options }),
      "invalid-argument",
    );
    expect(counts).toEqual(before);
    destroyTensors(tensors);
  });

  test("what needs guards or telemetry throws without the option", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const plain = await createOptimizer(device, { rule: adam(), parameters: tensors });
    await expectError(() => plain.lossScale, "invalid-argument", "guards");
    await expectError(() => plain.setGuards({ clipNorm: 1 }), "invalid-argument", "guards");
    await expectError(() => plain.reports, "invalid-argument", "telemetry");
    await expectError(() => plain.failure, "invalid-argument");
    await plain.settled();
    plain.destroy();
    const guarded = await createOptimizer(device, { rule: adam(), parameters: tensors, guards: {} });
    await expectError(() => guarded.reports, "invalid-argument", "telemetry");
    guarded.destroy();
    destroyTensors(tensors);
  });

  test("setGuards refuses what cannot be changed and what is out of range, and changes nothing then", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const [x] = tensors as [TestTensor];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { clipValue: 0.5 },
    });
    const set = (options: unknown) => () => optimizer.setGuards(options as GuardOptions);
    await expectError(set({ lossScale: 2 }), "invalid-argument", "lossScale");
    await expectError(set({ skipsInFlight: 2 }), "invalid-argument", "skipsInFlight");
    await expectError(set({ clipValue: 0.25, clipNorm: -1 }), "invalid-argument", "clipNorm");
    await expectError(set({ clipValue: 0.25, unknown: 1 }), "invalid-argument", "unknown");
    await expectError(set(undefined), "invalid-argument");
    await expectError(set(null), "invalid-argument");
    write(device, x.param, new Float32Array(8));
    write(device, x.grad, new Float32Array(8).fill(2));
    optimizer.step();
    expect(await read(device, [x.param])).toEqual([new Float32Array(8).fill(-0.5)]);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("after destroy, all of it throws", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: tensors,
      guards: {},
      telemetry: {},
    });
    optimizer.destroy();
    for (const call of [
      () => optimizer.lossScale,
      () => optimizer.reports,
      () => optimizer.setGuards({ clipNorm: 1 }),
      () => optimizer.settled(),
    ])
      await expect(async () => call()).rejects.toMatchObject({ name: "OptimError", code: "destroyed" });
    destroyTensors(tensors);
  });

  test("tensors without elements need no guard", async () => {
    const { device } = watched();
    const { buffer } = upload(device, [0]);
    const { buffer: gradient } = upload(device, [0]);
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: [
        { name: "x", param: { buffer, offset: 0, size: 0 }, grad: { buffer: gradient, offset: 0, size: 0 } },
      ],
      guards: {},
      telemetry: {},
    });
    optimizer.step();
    await optimizer.settled();
    expect(optimizer.groups[0]!.steps).toBe(1);
    optimizer.destroy();
    buffer.destroy();
    gradient.destroy();
  });
});
