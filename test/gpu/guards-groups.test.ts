// Steps that guards skip, over several groups at once: nothing of them is left, however the host submits.
import { describe, expect, test } from "vitest";
import {
  adam,
  createOptimizer,
  momentum,
  nadam,
  nesterovLookahead,
  type Rule,
  rmspropNesterov,
  type StepReport,
} from "../../src/index.js";
import { read, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { clean, dirtied, train } from "../support/guarded-model.js";
import { LENGTH, some, spoiled } from "../support/guarded-runs.js";
import { normals } from "../support/numbers.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

describe("several groups, arena and loose tensors of odd lengths and offsets", () => {
  const mixes: readonly (readonly [string, readonly Rule[]])[] = [
    ["adam, nadam, look-ahead", [adam({ weightDecay: 0.1 }), nadam(), nesterovLookahead()]],
    [
      "look-ahead, momentum, look-ahead",
      [
        rmspropNesterov({ weightDecay: 0.01 }),
        momentum({ momentum: 0.9 }),
        nesterovLookahead({ decay: "decoupled", weightDecay: 0.1 }),
      ],
    ],
  ];
  // Twenty attempts, eight of them bad: at the beginning, in a row, and spread.
  const before = [0, 0, 3, 4, 4, 4, 8, 11];

  test.each(mixes)("skipped steps leave no trace: %s", async (_, groupRules) => {
    const plain = await train(watched().device, groupRules, clean(12), undefined, "late");
    for (const manner of ["wait", "late", "one encoder"] as const) {
      const idle = await train(watched().device, groupRules, clean(12), {}, manner);
      expect(bits(idle.values), `${manner}, nothing to skip`).toEqual(bits(plain.values));
      const got = await train(
        watched().device,
        groupRules,
        dirtied(12, before),
        { skipsInFlight: 8 },
        manner,
      );
      expect(bits(got.values), manner).toEqual(bits(plain.values));
      expect(got.steps).toEqual([12, 12, 12]);
      expect(got.reports.map(({ taken }) => taken)).toEqual(
        Array.from({ length: 12 }, (_, t) => [
          ...before.filter((b) => b === t).map(() => false),
          true,
        ]).flat(),
      );
      expect(got.reports.at(-1)).toMatchObject({ attempt: 20, applied: 12, skipped: 8, faults: 0 });
    }
  });

  test.each(mixes)(
    "a bad micro-batch takes its whole step with it and no more: %s",
    async (_, groupRules) => {
      const plain = await train(watched().device, groupRules, clean(6), undefined, "accumulate");
      for (const manner of ["accumulate", "accumulate in one encoder"] as const) {
        const got = await train(watched().device, groupRules, dirtied(6, [0, 2, 2, 5]), {}, manner);
        expect(bits(got.values), manner).toEqual(bits(plain.values));
        expect(got.steps).toEqual([6, 6, 6]);
      }
    },
  );

  test("beyond skipsInFlight all steps are skipped and counted as faults, until the host knows", async () => {
    const groupRules = mixes[0]![1];
    // Two skips are within the limit of two, so that the third and fourth step are taken; the third skip is not.
    const attempts = (lengths: readonly number[]) => dirtied(6, [1, 2, 4])(lengths);
    const got = await train(
      watched().device,
      groupRules,
      attempts,
      { skipsInFlight: 2 },
      "one encoder",
      (lengths) => clean(6)(lengths).slice(4),
    );
    expect(got.reports.map(({ taken }) => taken)).toEqual([
      true,
      false,
      true,
      false,
      true,
      true,
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(got.reports.map(({ faults }) => faults)).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2]);
    expect(got.reports.map(({ skipped }) => skipped)).toEqual([0, 1, 1, 2, 2, 2, 3, 4, 5, 5, 5]);
    const plain = await train(watched().device, groupRules, clean(6), undefined, "late");
    expect(bits(got.values)).toEqual(bits(plain.values));
    expect(got.steps).toEqual([6, 6, 6]);
  });

  test("the same run gives the same bits, reports included", async () => {
    const guards = { clipValue: 1, clipNorm: 2, clipGlobalNorm: 3, lossScale: { interval: 4 } };
    const once = () => train(watched().device, mixes[0]![1], dirtied(12, before), guards, "one encoder");
    const [first, second] = [await once(), await once()];
    expect(bits(second.values)).toEqual(bits(first.values));
    const untimed = (reports: readonly StepReport[]) => reports.map(({ gpuTime: _, ...report }) => report);
    expect(untimed(second.reports)).toEqual(untimed(first.reports));
    expect(first.reports).toHaveLength(20);
  });

  test("a changed hyperparameter that Nadam's memory depends on, once settled, meets no skipped step", async () => {
    const { device } = watched();
    const final = async (skip: boolean) => {
      const tensors = [tensor(device, "x", LENGTH)];
      const [{ grad, param }] = tensors as [TestTensor];
      write(device, param, normals(9, LENGTH));
      const optimizer = await createOptimizer(device, { rule: nadam(), parameters: tensors, guards: {} });
      const step = (values: Float32Array) => {
        write(device, grad, values);
        optimizer.step();
      };
      const given = some(4);
      step(given[0]!);
      if (skip) step(spoiled(given[1]!, Number.NaN));
      await optimizer.settled();
      optimizer.groups[0]!.set({ beta1: 0.5, momentumDecay: 0.1 });
      for (const values of given.slice(1)) step(values);
      const [values] = await read(device, [param]);
      optimizer.destroy();
      destroyTensors(tensors);
      return values!;
    };
    expect(await final(true)).toEqual(await final(false));
  });
});
