// Many tensors, and large ones.
import { describe, expect, test } from "vitest";
import { adam, createArena, createOptimizer, momentum, type Parameter, sgd } from "../../src/index.js";
import { read } from "../support/buffers.js";
import { difference, useDevice, watchedDevice } from "../support/device.js";
import { long } from "../support/long.js";
import { destroyTensors, tensor } from "../support/tensors.js";

const TENSORS = 10_000;
/** Lengths from 1 to 13. */
const lengthOf = (i: number) => 1 + ((i * 5) % 13);
const seconds = (start: number) => ((performance.now() - start) / 1000).toFixed(2);

const manyTensors = (count: number, length = lengthOf) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, [length(i)]]));

describe(`${TENSORS} tiny tensors`, () => {
  const watched = useDevice();

  test.each([
    { name: "plain", options: {}, dispatches: 1 },
    // Measure, two levels of sums, decision, update, and two levels of sums and the record of the step.
    { name: "monitored", options: { guards: {}, telemetry: {} }, dispatches: 8 },
  ])("in an arena: $name", async ({ name, options, dispatches }) => {
    const { device, counts } = watched();
    const arena = createArena(device, [manyTensors(TENSORS)]);
    const start = performance.now();
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 0.5 }),
      parameters: arena.groups[0],
      ...options,
    });
    console.log(`creation over an arena of ${TENSORS} tensors, ${name}: ${seconds(start)} s`);
    const gradients = new Float32Array(arena.gradients.size / 4);
    arena.groups[0].forEach(({ grad }, i) => {
      gradients.fill(i + 1, grad.offset / 4, (grad.offset + grad.size) / 4);
    });
    device.queue.writeBuffer(arena.gradients, 0, gradients);
    const encoder = device.createCommandEncoder();
    const before = { ...counts };
    optimizer.encode(encoder);
    expect(difference(counts, before).dispatches).toBe(dispatches);
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
    const [values] = await read(device, [
      { buffer: arena.parameters, offset: 0, size: arena.parameters.size },
    ]);
    // Not by toEqual, which takes minutes over so many.
    expect(gradients.findIndex((gradient, i) => values![i] !== -0.5 * gradient)).toBe(-1);
    await optimizer.settled();
    optimizer.destroy();
    arena.destroy();
  });

  test("loose, in two buffers each", async () => {
    const { device, counts } = watched();
    const make = performance.now();
    const tensors = Array.from({ length: TENSORS }, (_, i) => tensor(device, `t${i}`, lengthOf(i)));
    const sources = tensors.flatMap(({ param, grad }) => [param, grad]);
    const initial = await read(device, sources);
    console.log(`${2 * TENSORS} buffers of the caller: ${seconds(make)} s`);
    const start = performance.now();
    const optimizer = await createOptimizer(device, { rule: momentum({ lr: 0.5 }), parameters: tensors });
    console.log(`creation over ${TENSORS} loose tensors: ${seconds(start)} s`);
    const before = { ...counts };
    const step = performance.now();
    optimizer.step();
    expect(difference(counts, before)).toMatchObject({ submits: 1, passes: 1, bindGroups: 0, buffers: 0 });
    const after = await read(
      device,
      tensors.map(({ param }) => param),
    );
    console.log(`a step over ${TENSORS} loose tensors: ${seconds(step)} s`);
    const wrong = after.findIndex((values, i) => {
      const [from, gradient] = [initial[2 * i]!, initial[2 * i + 1]!];
      // Half of a number is exact, so only the subtraction rounds, or is fused with it: the same.
      return values.some((value, k) => value !== Math.fround(from[k]! - 0.5 * gradient[k]!));
    });
    expect(wrong).toBe(-1);
    optimizer.destroy();
    destroyTensors(tensors);
  });
});

describe("the CPU time of step() does not depend on the number of tensors", () => {
  const watched = useDevice();

  test.each([
    { name: "plain", options: {}, samples: 31 },
    { name: "monitored", options: { guards: { clipGlobalNorm: 1 } }, samples: 31 },
  ])("$name", async ({ name, options, samples }) => {
    const { device } = watched();
    const sizes = [1, 100, TENSORS];
    const made = await Promise.all(
      sizes.map(async (count) => {
        // As many parameters in each, padding included: a software adapter takes the time of the same processors.
        const arena = createArena(device, [manyTensors(count, () => (64 * TENSORS) / count)]);
        const optimizer = await createOptimizer(device, {
          rule: adam(),
          parameters: arena.groups[0],
          ...options,
        });
        return { arena, optimizer, times: [] as number[] };
      }),
    );
    const BATCH = 5;
    // In turns, so that a busy machine slows down all alike; the clock is too coarse for one step.
    for (let sample = 0; sample < samples; sample += 1)
      for (const { optimizer, times } of made) {
        await optimizer.settled();
        await device.queue.onSubmittedWorkDone();
        const start = performance.now();
        for (let i = 0; i < BATCH; i += 1) optimizer.step();
        times.push((performance.now() - start) / BATCH);
      }
    const medians = made.map(({ times }) => times.sort((a, b) => a - b)[(samples - 1) / 2]!);
    console.log(
      `step() on the CPU, ${name}: ${sizes.map((count, i) => `${(1000 * medians[i]!).toFixed(0)} µs with ${count} tensors`).join(", ")}`,
    );
    for (const { arena, optimizer } of made) {
      await optimizer.settled();
      optimizer.destroy();
      arena.destroy();
    }
    // The fastest of each: other work on the machine only adds. Work by tensor would be a factor of thousands, so a factor
    // of thirty leaves room for a clock of 0.1 ms and a busy machine.
    const [one = 0] = made.map(({ times }) => Math.min(...times));
    for (const { times } of made) expect(Math.min(...times)).toBeLessThan(30 * Math.max(one, 0.05));
  });
});

test("150 groups: guards take the CPU at most three times what a plain step takes", async () => {
  const { device } = await watchedDevice();
  const shapes = Array.from({ length: 150 }, (_, i) => ({ [`t${i}`]: [64] }));
  const arena = createArena(device, shapes);
  const options = { rule: adam(), groups: arena.groups.map((parameters) => ({ parameters })) };
  const made = await Promise.all(
    [{}, { guards: { clipGlobalNorm: 1 } }].map(async (extras) => ({
      optimizer: await createOptimizer(device, { ...options, ...extras }),
      times: [] as number[],
    })),
  );
  const BATCH = 5;
  for (let sample = 0; sample < 41; sample += 1)
    for (const { optimizer, times } of made) {
      await optimizer.settled();
      await device.queue.onSubmittedWorkDone();
      const start = performance.now();
      for (let i = 0; i < BATCH; i += 1) optimizer.step();
      times.push((performance.now() - start) / BATCH);
    }
  // The fastest: other work on the machine only adds.
  const [plain = 0, guarded = 0] = made.map(({ times }) => Math.min(...times));
  console.log(
    `step() of 150 groups on the CPU: ${plain.toFixed(2)} ms plain, ${guarded.toFixed(2)} ms guarded`,
  );
  expect(guarded).toBeLessThan(3 * Math.max(plain, 0.1));
  for (const { optimizer } of made) {
    await optimizer.settled();
    optimizer.destroy();
  }
  device.destroy();
});

/** Values at a few places of a tensor that is otherwise zero, a step of sgd, and what became of them. */
async function stepAt(device: GPUDevice, length: number, places: readonly number[], guarded: boolean) {
  const size = 4 * length;
  const make = (label: string) =>
    device.createBuffer({
      label,
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
  const [param, grad] = [make("parameters"), make("gradients")];
  const parameters: Parameter[] = [{ name: "x", param, grad }];
  places.forEach((place, i) => {
    device.queue.writeBuffer(grad, 4 * place, new Float32Array([i + 1]));
  });
  const optimizer = await createOptimizer(device, {
    rule: sgd({ lr: 0.5 }),
    parameters,
    ...(guarded && { guards: {}, telemetry: {} }),
  });
  const reports = guarded ? optimizer.reports[Symbol.asyncIterator]() : undefined;
  optimizer.step();
  const values = await read(
    device,
    places.map((place) => ({ buffer: param, offset: 4 * place, size: 4 })),
  );
  expect(values.map(([value]) => value)).toEqual(places.map((_, i) => -0.5 * (i + 1)));
  // The neighbours of the places, and all that lies elsewhere in pieces.
  const pieces = Array.from({ length: 8 }, (_, i) => Math.floor(((i + 0.37) * length) / 8));
  const rest = await read(
    device,
    pieces.map((place) => ({ buffer: param, offset: 4 * place, size: 400 })),
  );
  for (const list of rest) expect(list.every((value) => value === 0)).toBe(true);
  const report = (await reports?.next())?.value;
  optimizer.destroy();
  param.destroy();
  grad.destroy();
  return report;
}

/** Both sides of every multiple of `boundary` floats, and both ends. */
const sides = (length: number, boundary: number): number[] => {
  const places = [0, 1, length - 2, length - 1];
  for (let at = boundary; at < length; at += boundary) places.push(at - 1, at, at + 1);
  return [...new Set(places)].sort((a, b) => a - b);
};

describe("one tensor that fills a buffer and needs several bindings", () => {
  // The limits that every device has: bindings of 128 MiB, buffers of 256 MiB.
  const LENGTH = 2 ** 26;
  test.each([false, true])("of the default limits, guarded: %s", async (guarded) => {
    const adapter = (await navigator.gpu.requestAdapter())!;
    const device = await adapter.requestDevice();
    const errors: string[] = [];
    device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
    expect(device.limits.maxBufferSize).toBe(4 * LENGTH);
    expect(device.limits.maxStorageBufferBindingSize).toBe(2 * LENGTH);
    const places = sides(LENGTH, LENGTH / 4);
    const start = performance.now();
    const report = await stepAt(device, LENGTH, places, guarded);
    console.log(`${LENGTH} parameters, guarded ${guarded}: ${seconds(start)} s`);
    if (guarded) {
      // Σ(i²), i from 1; exact in f32 but for the root.
      const squares = places.reduce((sum, _, i) => sum + (i + 1) ** 2, 0);
      expect(report).toMatchObject({ attempt: 1, taken: true, nonFinite: 0 });
      expect(Math.abs(report!.gradientNorm / Math.sqrt(squares) - 1)).toBeLessThan(1e-6);
    }
    expect(errors).toEqual([]);
    device.destroy();
  });
});

/** Whether two buffers of this size can be had. */
async function hasMemory(device: GPUDevice, size: number): Promise<boolean> {
  device.pushErrorScope("out-of-memory");
  const buffers = [0, 1].map(() => device.createBuffer({ size, usage: GPUBufferUsage.STORAGE }));
  const error = await device.popErrorScope();
  for (const buffer of buffers) buffer.destroy();
  return !error;
}

test(long
  ? "2^28 parameters, or as many as the adapter has memory for"
  : "2^26 parameters in one buffer", async () => {
  const { device, errors } = await watchedDevice();
  let length = Math.min(long ? 2 ** 28 : 2 ** 26, Math.floor(device.limits.maxBufferSize / 4));
  // A limit is no promise of memory: the software adapter allows 1 GiB and does not give it.
  while (!(await hasMemory(device, 4 * length))) length /= 2;
  expect(length).toBeGreaterThanOrEqual(2 ** 26);
  const start = performance.now();
  await stepAt(device, length, sides(length, length / 16), false);
  console.log(`${length} parameters: ${seconds(start)} s`);
  expect(errors).toEqual([]);
  device.destroy();
}, 300_000);
