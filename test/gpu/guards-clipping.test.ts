// Clipping by value, by tensor and by all, against float64.
import { describe, expect, test } from "vitest";
import { createOptimizer, type GuardOptions, type StepReport, sgd } from "../../src/index.js";
import { clip, NO_LIMIT } from "../support/clip.js";
import { useDevice } from "../support/device.js";
import { clean, makeModel, train } from "../support/guarded-model.js";
import { normals } from "../support/numbers.js";
import { record } from "../support/record.js";

const watched = useDevice();

const allSgd = [sgd({ lr: 1 }), sgd({ lr: 1 }), sgd({ lr: 1 })];

describe("clipping", () => {
  const limits: readonly GuardOptions[] = [
    {},
    { clipValue: 0.5 },
    { clipNorm: 3 },
    // Above the norms of some tensors and below those of others.
    { clipNorm: 40 },
    { clipGlobalNorm: 7 },
    { clipGlobalNorm: 1e6 },
    { clipValue: 0.25, clipNorm: 2 },
    { clipValue: 2, clipGlobalNorm: 5 },
    { clipNorm: 10, clipGlobalNorm: 12 },
    { clipValue: 1.5, clipNorm: 10, clipGlobalNorm: 12 },
    { clipNorm: 1e-4, clipGlobalNorm: 1e-4 },
  ];
  const cases = limits.flatMap((limit) =>
    (["pytorch", "optax"] as const).map((clipFormula) => ({
      clipValue: NO_LIMIT,
      clipNorm: NO_LIMIT,
      clipGlobalNorm: NO_LIMIT,
      ...limit,
      clipFormula,
    })),
  );

  test.each([1, 128])(
    "equals float64 with a loss scale of %d, changed by setGuards at each step",
    async (lossScale) => {
      const { device } = watched();
      const model = makeModel(watched().device);
      const reports: StepReport[] = [];
      const optimizer = await createOptimizer(device, {
        groups: model.groups.map((parameters, i) => ({ parameters, rule: allSgd[i]! })),
        guards: { lossScale, skipsInFlight: 1 },
        telemetry: { onReport: (report) => reports.push(report) },
      });
      const zeros = model.lengths.map((length) => new Float32Array(length));
      const given = cases.map((_, t) =>
        model.lengths.map((length, i) => normals(7 * t + i, length, 2 ** (i - 3))),
      );
      // The parameters start each step at zero, so that they end it at minus the clipped gradient, unrounded.
      const { after } = await record(device, optimizer, {
        steps: cases.length,
        grads: [...model.grads, ...model.params],
        gradients: (t) => [
          ...given[t - 1]!.map((values) => values.map((value) => lossScale * value)),
          ...zeros,
        ],
        watch: model.params,
        before: (t) => optimizer.setGuards(cases[t - 1]!),
      });
      await optimizer.settled();
      expect(reports).toHaveLength(cases.length);
      cases.forEach((guards, t) => {
        const expected = clip(given[t]!, guards);
        // Squares are summed in f32, 16 vectors a thread and then in pairs, which keeps norms within a few ULP (6e-8 each).
        const worst = Math.max(
          ...expected.values.flatMap((values, i) =>
            values.map((value, k) => Math.abs(after[t]![i]![k]! + value) / Math.max(Math.abs(value), 1e-30)),
          ),
        );
        expect(worst, JSON.stringify(guards)).toBeLessThan(1e-6);
        expect(Math.abs(reports[t]!.gradientNorm / expected.globalNorm - 1)).toBeLessThan(1e-6);
        expect(Math.abs(reports[t]!.clipFactor / expected.factor - 1)).toBeLessThan(1e-6);
      });
      optimizer.destroy();
      model.destroy();
    },
  );

  test("acts on the mean over micro-batches", async () => {
    const guards = { clipNorm: 1, clipGlobalNorm: 1.5 };
    const start = await train(watched().device, allSgd, () => [], {}, "accumulate");
    const got = await train(watched().device, allSgd, (lengths) => clean(1)(lengths), guards, "accumulate");
    const values = clean(1)(start.values.map(({ length }) => length))[0]!.values;
    // (3·0.5 + 1·(−2))/4
    const mean = values.map((list) => list.map((value) => -0.125 * value));
    const expected = clip(mean, guards).values;
    const rates = [0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.03, 0.03, 0.03];
    expected.forEach((list, i) => {
      list.forEach((value, k) => {
        const error = got.values[i]![k]! - (start.values[i]![k]! - rates[i]! * value);
        // Rounded at the size of the parameter, once by the product and once by the difference.
        expect(Math.abs(error)).toBeLessThan(2 ** -23 * (Math.abs(start.values[i]![k]!) + Math.abs(value)));
      });
    });
  });
});
