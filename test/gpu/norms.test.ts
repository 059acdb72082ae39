// Norms over the whole range of f32, whatever the number of elements; updates as they are stored; why a step was skipped.
import { describe, expect, test } from "vitest";
import { adam, createOptimizer, type GuardOptions, type StepReport, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { long } from "../support/long.js";
import { destroyTensors, tensor } from "../support/tensors.js";

const watched = useDevice();

/** A step of one tensor with these gradients from these parameters: what it left, and its report. */
async function stepOf(
  gradients: ArrayLike<number>,
  guards: GuardOptions = {},
  { rule = sgd({ lr: 1 }), start = 0, perTensor = false, offset = 0 } = {},
): Promise<{ values: Float32Array; report: StepReport }> {
  const { device } = watched();
  const x = tensor(device, "x", gradients.length, { offset });
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    rule,
    parameters: [x],
    guards,
    telemetry: { perTensor, onReport: (report) => reports.push(report) },
  });
  write(device, x.param, new Float32Array(gradients.length).fill(start));
  write(device, x.grad, Float32Array.from(gradients));
  optimizer.step();
  await optimizer.settled();
  const [values] = await read(device, [x.param]);
  optimizer.destroy();
  destroyTensors([x]);
  return { values: values!, report: reports[0]! };
}

const filled = (count: number, value: number) => new Float32Array(count).fill(value);
const LARGEST = (2 - 2 ** -23) * 2 ** 127;
const closeTo = (got: number, expected: number) =>
  expect(Math.abs(got / expected - 1), `${got}, expected ${expected}`).toBeLessThan(1e-6);

describe("the norm of gradients", () => {
  test("of [2e19, 2e19] is right, and the step taken", async () => {
    for (const offset of [0, 4]) {
      const { values, report } = await stepOf([2e19, 2e19], {}, { offset });
      expect(report).toMatchObject({ taken: true, nonFinite: 0, applied: 1 });
      expect(report).not.toHaveProperty("skipReason");
      closeTo(report.gradientNorm, 2e19 * Math.SQRT2);
      expect([...values]).toEqual([-Math.fround(2e19), -Math.fround(2e19)]);
    }
  });

  const norms = [1.2e-38, 1e-30, 1e-20, 3e-15, 1e-7, 1, 1e12, 1e19, 2e19, 1e30, 3e37, 3.3e38];
  const counts = [1, 3, 64, 1000, 70_000];
  test.each(norms)("is %f over any number of elements, by tensor and over all", async (norm) => {
    for (const count of counts) {
      // Elements below the normal range of f32 may be taken for 0.
      const each = Math.fround(norm / Math.sqrt(count));
      if (each < 1.2e-38) continue;
      for (const perTensor of [false, true]) {
        const { report } = await stepOf(filled(count, each), {}, { perTensor });
        expect(report).toMatchObject({ taken: true, nonFinite: 0 });
        closeTo(report.gradientNorm, each * Math.sqrt(count));
        if (perTensor) closeTo(report.tensors!.get("x")!.gradientNorm, each * Math.sqrt(count));
        // θ was 0: Δ and θ are the gradient but for the sign.
        closeTo(report.updateNorm, each * Math.sqrt(count));
        closeTo(report.parameterNorm, each * Math.sqrt(count));
      }
    }
  });

  test("takes small ones beside large ones, and none of what is not finite", async () => {
    const mixed = filled(5000, 1e-30);
    mixed.fill(1e-25, 70, 200);
    closeTo((await stepOf(mixed)).report.gradientNorm, Math.hypot(...mixed));
    mixed[4999] = 3e25;
    closeTo((await stepOf(mixed)).report.gradientNorm, Math.fround(3e25));
    mixed[71] = Number.NaN;
    mixed[4999] = Number.NEGATIVE_INFINITY;
    const { report } = await stepOf(mixed);
    expect(report).toMatchObject({ taken: false, nonFinite: 2, skipReason: "nonFinite" });
    closeTo(report.gradientNorm, Math.hypot(...[...mixed].filter(Number.isFinite)));
  });

  test("beyond f32 counts as its largest number", async () => {
    const { report, values } = await stepOf(filled(4, 3e38));
    expect(report).toMatchObject({ taken: true, nonFinite: 0, gradientNorm: LARGEST, updateNorm: LARGEST });
    expect([...values]).toEqual([...filled(4, -3e38)]);
    // Clipped by that.
    const clipped = await stepOf(filled(4, 3e38), { clipGlobalNorm: 1 });
    for (const value of clipped.values) closeTo(value, -3e38 / LARGEST);
  });

  test("of zeros is 0", async () => {
    const { report } = await stepOf(filled(300, 0), { clipGlobalNorm: 1, clipNorm: 1 });
    expect(report).toMatchObject({
      taken: true,
      gradientNorm: 0,
      updateNorm: 0,
      parameterNorm: 0,
      lostUpdates: 0,
    });
  });

  // Ten seconds on a software adapter for each 2^24.
  test.each(long ? [2 ** 22, 2 ** 26] : [2 ** 22])(
    "of %d equal gradients",
    async (count) => {
      const { device } = watched();
      const param = upload(device, new Float32Array(count));
      for (const value of [Math.fround(0.001), Math.fround(1 / 3)]) {
        const grad = upload(device, filled(count, value));
        const reports: StepReport[] = [];
        const optimizer = await createOptimizer(device, {
          rule: sgd({ lr: 1 }),
          parameters: [{ name: "x", param, grad }],
          guards: {},
          telemetry: { onReport: (report) => reports.push(report) },
        });
        optimizer.step();
        await optimizer.settled();
        closeTo(reports[0]!.gradientNorm, value * Math.sqrt(count));
        optimizer.destroy();
        grad.buffer.destroy();
      }
      param.buffer.destroy();
    },
    120_000,
  );
});

describe("clipping", () => {
  const limits: readonly GuardOptions[] = [
    { clipGlobalNorm: 1 },
    { clipNorm: 1 },
    { clipNorm: 2, clipGlobalNorm: 1 },
    { clipGlobalNorm: 1, clipFormula: "optax" },
    { clipGlobalNorm: 1e-3 },
    { clipNorm: 1e-3, clipFormula: "optax" },
  ];
  test.each(limits)("to %o is right up to the largest norms", async (guards) => {
    const limit = guards.clipGlobalNorm ?? guards.clipNorm!;
    for (const each of [1, 1e18, 1e30, 1.5e37]) {
      const { values, report } = await stepOf(filled(400, each), guards);
      expect(report).toMatchObject({ taken: true, nonFinite: 0 });
      for (const value of values) closeTo(value, -limit / 20);
    }
  });

  test("acts on unscaled gradients at the largest loss scale", async () => {
    const lossScale = 2 ** 126;
    const { values, report } = await stepOf(filled(4, 2 ** 126), { lossScale, clipGlobalNorm: 1 });
    closeTo(report.gradientNorm, 2);
    for (const value of values) closeTo(value, -0.5);
  });

  test("counts what a loss scale below 1 makes infinite", async () => {
    const { report, values } = await stepOf([3e38, 1, 2], { lossScale: 0.5 });
    expect(report).toMatchObject({ taken: false, nonFinite: 1, skipReason: "nonFinite" });
    closeTo(report.gradientNorm, Math.hypot(2, 4));
    expect([...values]).toEqual([0, 0, 0]);
  });
});

describe("updates", () => {
  test("that f32 cannot hold beside θ are lost: the norm is 0, and all are counted", async () => {
    for (const count of [7, 300]) {
      const { report, values } = await stepOf(
        filled(count, 1),
        {},
        { rule: adam({ lr: 1e-3 }), start: 1e5, perTensor: true },
      );
      expect([...values]).toEqual([...filled(count, 1e5)]);
      expect(report).toMatchObject({ taken: true, updateNorm: 0, lostUpdates: count });
      expect(report.tensors!.get("x")).toMatchObject({ updateNorm: 0, lostUpdates: count });
    }
  });

  test("are the difference of what is stored", async () => {
    // A quarter of the update rounds to one ULP of θ, 2^-7.
    const { report, values } = await stepOf(filled(64, 0.006), {}, { start: 1e5 });
    expect(values[0]).toBe(1e5 - 2 ** -7);
    expect(report).toMatchObject({ updateNorm: 8 * 2 ** -7, lostUpdates: 0 });
  });

  test("of zero gradients or of a skipped step are not lost", async () => {
    expect((await stepOf(filled(9, 0), {}, { start: 1e5 })).report.lostUpdates).toBe(0);
    expect((await stepOf(filled(9, Number.NaN), {}, { start: 1e5 })).report).toMatchObject({
      taken: false,
      lostUpdates: 0,
      updateNorm: 0,
    });
  });
});

test("every skip has its reason", async () => {
  const { device } = watched();
  const x = tensor(device, "x", 5);
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    rule: sgd(),
    parameters: [x],
    guards: { skipsInFlight: 1 },
    stepsInFlight: 8,
    telemetry: { onReport: (report) => reports.push(report) },
  });
  const bad = upload(device, filled(5, Number.NaN));
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(bad.buffer, 0, x.grad.buffer, x.grad.offset, x.grad.size);
  for (let t = 0; t < 3; t += 1) optimizer.encode(encoder);
  device.queue.submit([encoder.finish()]);
  optimizer.submitted();
  await optimizer.settled();
  write(device, x.grad, filled(5, 1));
  optimizer.step();
  await optimizer.settled();
  expect(reports.map(({ skipReason }) => skipReason)).toEqual([
    "nonFinite",
    "nonFinite",
    "skipsInFlight",
    undefined,
  ]);
  for (const { taken, skipReason } of reports) expect(skipReason === undefined).toBe(taken);
  optimizer.destroy();
  destroyTensors([x]);
  bad.buffer.destroy();
});

test("a dynamic loss scale stops growing at its limit", async () => {
  const { device } = watched();
  const x = tensor(device, "x", 5);
  const optimizer = await createOptimizer(device, {
    rule: sgd(),
    parameters: [x],
    guards: { lossScale: { initial: 2 ** 124, max: 2 ** 126, interval: 1, growth: 1e30 } },
  });
  for (let t = 0; t < 4; t += 1) optimizer.step();
  await optimizer.settled();
  expect((await read(device, [optimizer.lossScale]))[0]![0]).toBe(2 ** 126);
  optimizer.destroy();
  destroyTensors([x]);
});
