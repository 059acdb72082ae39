// What guards need beside the step, against the limits of a device: refused by name before any GPU work, or it runs.
import { expect, test } from "vitest";
import { adam, createArena, createOptimizer, prodigy } from "../../src/index.js";
import { difference, watchedDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";

const groupsOf = (count: number) => Array.from({ length: count }, (_, i) => ({ [`t${i}`]: [4] }));

test("as many groups as there may be: 600 with guards take a step under the default limits", async () => {
  const adapter = (await navigator.gpu.requestAdapter())!;
  const device = await adapter.requestDevice();
  const errors: string[] = [];
  device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
  const arena = createArena(device, groupsOf(600));
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    groups: arena.groups.map((parameters) => ({ parameters })),
    guards: { clipGlobalNorm: 1 },
  });
  optimizer.step();
  await optimizer.settled();
  expect(optimizer.groups[599]!.steps).toBe(1);
  optimizer.destroy();
  arena.destroy();
  expect(errors).toEqual([]);
  device.destroy();
});

test.each([
  // 64 steps of 4 groups, with a row for each of 8 skips and one more: 1.2 MB; without guards 131 kB.
  { limits: { maxBufferSize: 2 ** 20 }, fix: "lower stepsInFlight or guards.skipsInFlight" },
  // Of one step: 18 kB.
  { limits: { maxStorageBufferBindingSize: 2 ** 14 }, fix: "lower stepsInFlight or guards.skipsInFlight" },
])("scalars in flight under $limits", async ({ limits, fix }) => {
  const { device, counts } = await watchedDevice(limits);
  const arena = createArena(device, groupsOf(5));
  const groups = arena.groups.slice(0, 4).map((parameters) => ({ parameters }));
  const before = { ...counts };
  const guards = { clipGlobalNorm: 1 };
  await expectError(() => createOptimizer(device, { rule: adam(), groups, guards }), "limit-exceeded", fix);
  expect(difference(counts, before).buffers).toBe(0);
  (await createOptimizer(device, { rule: adam(), groups })).destroy();
  arena.destroy();
  device.destroy();
});

test("a group that joins is held to the same limits, and leaves all as it was", async () => {
  const { device } = await watchedDevice({ maxStorageBufferBindingSize: 2 ** 14 });
  const arena = createArena(device, groupsOf(4));
  const [first, second, third, fourth] = arena.groups.map((parameters) => ({ parameters }));
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    groups: [first!, second!, third!],
    guards: { clipGlobalNorm: 1 },
  });
  await expectError(() => optimizer.addGroup(fourth!), "limit-exceeded", "skipsInFlight");
  optimizer.step();
  await optimizer.settled();
  expect(optimizer.groups.map(({ steps }) => steps)).toEqual([1, 1, 1]);
  optimizer.destroy();
  arena.destroy();
  device.destroy();
});

test("partial sums of more than a binding are refused", async () => {
  const { device } = await watchedDevice({ maxStorageBufferBindingSize: 2 ** 15 });
  const arena = createArena(device, [{ t: [2 ** 18] }]);
  const options = { rule: adam(), parameters: arena.groups[0] };
  await expectError(
    () => createOptimizer(device, { ...options, guards: {} }),
    "limit-exceeded",
    "bytes of partial sums",
  );
  arena.destroy();
  device.destroy();
});

test("a rule of four states with sums goes into the eight storage buffers that every device has", async () => {
  const adapter = (await navigator.gpu.requestAdapter())!;
  const device = await adapter.requestDevice();
  expect(device.limits.maxStorageBuffersPerShaderStage).toBe(8);
  const arena = createArena(device, [{ t: [40] }]);
  const optimizer = await createOptimizer(device, {
    rule: prodigy(),
    parameters: arena.groups[0],
    guards: { clipNorm: 1 },
    telemetry: { perTensor: true },
  });
  optimizer.step();
  await optimizer.settled();
  optimizer.destroy();
  arena.destroy();
  device.destroy();
});
