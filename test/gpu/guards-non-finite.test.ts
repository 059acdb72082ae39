// What guards do about NaN and infinity, in every lane.
import { describe, expect, test } from "vitest";
import { createOptimizer, type StepReport, sgd } from "../../src/index.js";
import { read, write } from "../support/buffers.js";
import { clip } from "../support/clip.js";
import { useDevice } from "../support/device.js";
import { BAD, withBits, writeBits } from "../support/guarded-model.js";
import { LENGTH, run } from "../support/guarded-runs.js";
import { normals } from "../support/numbers.js";
import { record } from "../support/record.js";
import { destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

describe("NaN and infinity", () => {
  // Head of three, two vec4, tail of one.
  const COUNT = 12;
  const BATCH = 48;

  test.each(["skip", "zero", "keep"] as const)("%s: in every lane, of every kind", async (nonFinite) => {
    const { device } = watched();
    const tensors = [
      tensor(device, "p", COUNT, { offset: 4 }),
      tensor(device, "q", 9, { gradientOffset: 4 }),
    ];
    const [p, q] = tensors as [TestTensor, TestTensor];
    const reports: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { nonFinite, skipsInFlight: 64 },
      telemetry: { onReport: (report) => reports.push(report) },
    });
    const cases = BAD.flatMap((bad) => Array.from({ length: COUNT + 9 }, (_, at) => ({ bad, at })));
    const plain = [normals(1, COUNT), normals(2, 9)] as const;
    for (let start = 0; start < cases.length; start += BATCH) {
      const batch = cases.slice(start, start + BATCH);
      const { after } = await record(device, optimizer, {
        steps: batch.length,
        grads: [p.grad, q.grad, p.param, q.param],
        gradients: (t) => {
          const { bad, at } = batch[t - 1]!;
          return [
            at < COUNT ? withBits(plain[0], at, bad) : plain[0],
            at < COUNT ? plain[1] : withBits(plain[1], at - COUNT, bad),
            new Float32Array(COUNT),
            new Float32Array(9),
          ];
        },
        watch: [p.param, q.param],
      });
      await optimizer.settled();
      batch.forEach(({ bad, at }, t) => {
        const what = `0x${bad.toString(16)} at ${at}`;
        const got = [...after[t]![0]!, ...after[t]![1]!];
        const expected = [...plain[0], ...plain[1]].map((value) => (nonFinite === "skip" ? 0 : 0 - value));
        if (nonFinite === "keep") {
          expect(Number.isFinite(got[at]), what).toBe(false);
          if ((bad & 0x7fffff) === 0) expect(got[at], what).toBe(bad >> 31 ? Infinity : -Infinity);
          else expect(got[at], what).toBeNaN();
        } else expect(got[at]! + 0, what).toBe(0);
        got[at] = 0;
        expected[at] = 0;
        expect(got, what).toEqual(expected);
        const report = reports[start + t]!;
        expect(report.nonFinite, what).toBe(1);
        expect(report.taken, what).toBe(nonFinite !== "skip");
        const others = [...plain[0], ...plain[1]].filter((_, i) => i !== at);
        expect(report.gradientNorm / Math.hypot(...others), what).toBeCloseTo(1, 6);
      });
    }
    expect(reports).toHaveLength(cases.length);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("zero: the norms ignore what is zeroed", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "p", COUNT, { offset: 4 })];
    const [p] = tensors as [TestTensor];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { nonFinite: "zero", clipNorm: 1 },
    });
    const given = normals(4, COUNT, 3);
    write(device, p.param, new Float32Array(COUNT));
    writeBits(device, p.grad, withBits(withBits(given, 2, 0x7f800000), 7, 0xffc12345));
    optimizer.step();
    const [values] = await read(device, [p.param]);
    const expected = clip([given.map((value, i) => (i === 2 || i === 7 ? 0 : value))], { clipNorm: 1 })
      .values[0]!;
    values!.forEach((value, i) => {
      // A few f32 roundings.
      expect(Math.abs(value + expected[i]!)).toBeLessThanOrEqual(1e-6 * Math.abs(expected[i]!));
    });
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("subnormal and small gradients are finite", async () => {
    const values = new Float32Array(LENGTH);
    new Uint32Array(values.buffer).set([
      0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000,
    ]);
    values[6] = 1e-30;
    const { reports } = await run(watched().device, sgd(), [values], {}, { telemetry: true });
    expect(reports).toMatchObject([{ taken: true, nonFinite: 0 }]);
  });

  test("under zero, large tensors are clipped as others are, and nothing turns into NaN", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 400), tensor(device, "y", 7)];
    const [x, y] = tensors as [TestTensor, TestTensor];
    const reports: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { nonFinite: "zero", clipNorm: 1, clipGlobalNorm: 1 },
      telemetry: { onReport: (report) => reports.push(report) },
    });
    for (const { param } of tensors) write(device, param, new Float32Array(param.size / 4));
    write(device, x.grad, new Float32Array(400).fill(1e18));
    write(device, y.grad, normals(1, 7));
    optimizer.step();
    await optimizer.settled();
    const [xs, ys] = await read(device, [x.param, y.param]);
    // Both norms become 1, and then that of both.
    xs!.forEach((value) => {
      expect(value).toBeCloseTo(-Math.SQRT1_2 / 20, 7);
    });
    expect(Math.hypot(...ys!)).toBeCloseTo(Math.SQRT1_2, 5);
    expect(reports).toMatchObject([{ taken: true, nonFinite: 0 }]);
    expect(reports[0]!.gradientNorm).toBeCloseTo(Math.SQRT2, 5);
    optimizer.destroy();
    destroyTensors(tensors);
  });
});
