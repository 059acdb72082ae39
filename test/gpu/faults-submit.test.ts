// Submits that WebGPU drops whole, and optimizers that end or meet in the middle of one.
import { describe, expect, test, vi } from "vitest";
import {
  adam,
  createOptimizer,
  nadam,
  type Optimizer,
  type OptimizerOptions,
  rmsprop,
  type StepReport,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { Loop } from "../support/loop.js";
import { gradients, normals } from "../support/numbers.js";
import { bits } from "../support/tensors.js";

const watched = useDevice();
const LENGTH = 100;

/** Takes the uncaptured errors that a test expects. */
async function expectDropped(times: number): Promise<void> {
  const { device, errors } = watched();
  await device.queue.onSubmittedWorkDone();
  // The event may come after that.
  await vi.waitFor(() => expect(errors.length).toBe(times), { timeout: 5000 });
  for (const error of errors) expect(error).toMatch(/destroyed/);
  errors.length = 0;
}

/** Steps whose gradient buffer is the caller's own at each; `dropped` ones are destroyed before the submit. */
async function run(
  options: Omit<OptimizerOptions, "parameters" | "groups">,
  count: number,
  dropped: readonly number[] = [],
  after: (optimizer: Optimizer, step: number) => unknown = () => {},
) {
  const { device } = watched();
  const param = upload(device, normals(1, LENGTH));
  const grad = upload(device, new Float32Array(LENGTH));
  const optimizer = await createOptimizer(device, { ...options, parameters: [{ name: "x", param, grad }] });
  let t = 0;
  for (let step = 0; step < count; step += 1) {
    const lost = dropped.includes(step);
    if (lost) {
      const gone = upload(device, new Float32Array(LENGTH));
      optimizer.setGradients({ x: gone });
      gone.buffer.destroy();
    } else {
      write(device, grad, gradients(2, t, LENGTH));
      t += 1;
    }
    optimizer.step();
    if (lost) optimizer.setGradients({ x: grad });
    await after(optimizer, step);
  }
  return {
    optimizer,
    async end() {
      const [values] = await read(device, [param]);
      const steps = optimizer.groups[0]!.steps;
      optimizer.destroy();
      for (const { buffer } of [param, grad]) buffer.destroy();
      return { bits: bits([values!])[0], steps };
    },
  };
}

const rule = nadam({ lr: 0.01 });
const schedule = (step: number) => 1 / (1 + step);

describe("a gradient buffer destroyed before the submit", () => {
  test("without guards or telemetry: the step does not happen, and only the device's error tells", async () => {
    const { device } = watched();
    const one = await run({ rule: sgd({ lr: 0.1 }) }, 3, [1]);
    await expectDropped(1);
    const { bits: got, steps } = await one.end();
    expect(steps).toBe(3);
    const two = await run({ rule: sgd({ lr: 0.1 }) }, 2);
    expect(got).toEqual((await two.end()).bits);
    await device.queue.onSubmittedWorkDone();
  });

  test.each([
    { name: "the newest", count: 4, dropped: [3] },
    { name: "the first", count: 4, dropped: [0] },
    { name: "some in between", count: 9, dropped: [2, 5, 6] },
  ])(
    "with guards: settled() and failure tell, the step counts are right: $name",
    async ({ count, dropped }) => {
      const { optimizer, end } = await run({ rule, schedule, guards: {} }, count, dropped);
      await expectError(() => optimizer.settled(), "gpu-error", `${dropped.length} missing`);
      await expectError(() => optimizer.failure, "gpu-error", "never ran");
      // Told once.
      await optimizer.settled();
      await expectDropped(dropped.length);
      const got = await end();
      expect(got.steps).toBe(count - dropped.length);
      // Schedule, bias correction and Nadam's memory are those of a run without the missing steps, to the bit.
      const clean = await run({ rule, schedule, guards: {} }, count - dropped.length);
      await clean.optimizer.settled();
      expect(got).toEqual(await clean.end());
    },
  );

  test("with guards: any number of them over time does not use up skipsInFlight", async () => {
    const dropped = [1, 3, 5, 7, 9, 11];
    const options = { rule, schedule, guards: { skipsInFlight: 2 } };
    const settle = (optimizer: Optimizer) => optimizer.settled().catch(() => {});
    const { optimizer, end } = await run(options, 14, dropped, settle);
    await optimizer.settled();
    await expectDropped(dropped.length);
    const clean = await run(options, 14 - dropped.length, [], settle);
    expect(await end()).toEqual(await clean.end());
  });

  test("with telemetry: the report of the step says that it never ran, in order", async () => {
    const reports: StepReport[] = [];
    const { optimizer, end } = await run(
      { rule, telemetry: { onReport: (report) => reports.push(report) } },
      70,
      [0, 3, 4, 68],
      (optimizer) => optimizer.settled().catch(() => {}),
    );
    await optimizer.settled();
    await expectDropped(4);
    expect(reports.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 70 }, (_, i) => i + 1));
    expect(reports.flatMap(({ ran, attempt }) => (ran ? [] : [attempt]))).toEqual([1, 4, 5, 69]);
    let applied = 0;
    for (const report of reports) {
      expect(report.taken).toBe(report.ran);
      if (report.ran) applied += 1;
      expect(report.applied).toBe(applied);
      expect(report.skipped).toBe(0);
      expect(Number.isNaN(report.gradientNorm)).toBe(!report.ran);
      expect(Number.isNaN(report.parameterNorm)).toBe(!report.ran);
    }
    expect((await end()).steps).toBe(66);
  });

  test("steps encoded, and not yet submitted, are not missing", async () => {
    const { device } = watched();
    const reports: StepReport[] = [];
    const loop = await Loop.make(device, {
      rule,
      telemetry: { onReport: (report) => reports.push(report) },
    });
    loop.run(3);
    const encoder = device.createCommandEncoder();
    loop.encode(encoder);
    await loop.optimizer.settled();
    expect(reports.length).toBe(3);
    device.queue.submit([encoder.finish()]);
    loop.optimizer.submitted();
    await loop.optimizer.settled();
    expect(reports.map(({ attempt, ran }) => [attempt, ran])).toEqual(
      [1, 2, 3, 4].map((attempt) => [attempt, true]),
    );
    loop.destroy();
  });
});

test("two engines on one device, one with guards, step for step in turns: the bits of each alone", async () => {
  const { device } = watched();
  const ways = [
    { rule: adam({ lr: 0.01 }) },
    { rule: rmsprop({ lr: 0.02 }), guards: { clipGlobalNorm: 1 }, telemetry: {} },
  ];
  const alone = [];
  for (const way of ways) {
    const loop = await Loop.make(device, way);
    loop.run(30);
    alone.push(bits([...(await loop.snapshot())]));
    loop.destroy();
  }
  const loops = await Promise.all(ways.map((way) => Loop.make(device, way)));
  for (let i = 0; i < 10; i += 1) {
    const encoder = device.createCommandEncoder();
    for (const loop of loops) loop.encode(encoder);
    device.queue.submit([encoder.finish()]);
    for (const { optimizer } of loops) optimizer.submitted();
    loops[i % 2]!.run(2);
    loops[(i + 1) % 2]!.run(2);
  }
  expect(await Promise.all(loops.map(async (loop) => bits([...(await loop.snapshot())])))).toEqual(alone);
  for (const loop of loops) loop.destroy();
});

describe("destroy() in the middle of a step", () => {
  const ways = [
    { name: "plain", options: { rule: adam() } },
    { name: "monitored", options: { rule: adam(), guards: {}, telemetry: {} } },
  ];

  test.each(ways)("encoded and not submitted: the submit is dropped whole, $name", async ({ options }) => {
    const { device } = watched();
    const loop = await Loop.make(device, options);
    const bystander = await Loop.make(device, { rule: adam() });
    const encoder = device.createCommandEncoder();
    loop.encode(encoder);
    bystander.encodeGradient(encoder);
    const before = bits(await read(device, [loop.arena.get("x").param]));
    loop.optimizer.destroy();
    device.queue.submit([encoder.finish()]);
    await expectDropped(1);
    expect(bits(await read(device, [loop.arena.get("x").param]))).toEqual(before);
    // Nothing else of the device is touched.
    bystander.run(1);
    const [moved] = bits(await read(device, [bystander.arena.get("x").param]));
    expect(moved).not.toEqual(before[0]);
    loop.destroy();
    bystander.destroy();
  });

  test.each(ways)("after the submit: the step is taken, $name", async ({ options }) => {
    const { device } = watched();
    const [whole, cut] = [await Loop.make(device, options), await Loop.make(device, options)];
    whole.run(5);
    cut.run(5);
    cut.optimizer.destroy();
    const ranges = [whole, cut].map(({ arena }) => arena.get("x").param);
    const [expected, got] = bits(await read(device, ranges));
    expect(got).toEqual(expected);
    whole.destroy();
    cut.destroy();
  });
});
