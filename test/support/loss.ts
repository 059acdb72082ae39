// What a lost device must not break, at every phase of a step: shared by the two ways to lose one.
import { describe, expect, test } from "vitest";
import {
  adam,
  amsgrad,
  cosine,
  createOptimizer,
  nadam,
  nesterovLookahead,
  OptimError,
  requestDevice,
  type StepReport,
} from "../../src/index.js";
import { callNames, calls } from "./calls.js";
import { expectError } from "./errors.js";
import { Loop, type LoopOptions } from "./loop.js";
import { bits } from "./tensors.js";

/** Makes the GPU lose this device. */
export type Lose = (device: GPUDevice) => Promise<unknown>;

/** Of a promise that must end, within the time of the test: what it was rejected with, or its value. */
const ended = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

/** Done before the loss came, or told of it. */
const doneOrLoss = (outcome: unknown) =>
  outcome === undefined || outcome instanceof Uint8Array || isLoss(outcome);

const isLoss = (error: unknown) => error instanceof OptimError && error.code === "device-lost";

interface Phase {
  readonly name: string;
  readonly options: LoopOptions;
  /** Leaves work under way; what it gives is checked after the loss. */
  readonly begin: (loop: Loop) => (() => unknown) | Promise<() => unknown>;
}

const monitored = { guards: {}, telemetry: { perTensor: true } };
// Its update depends on the step count and on a memory of all rates.
const rule = nadam({ lr: 0.01, weightDecay: 0.01 });
const schedule = cosine({ steps: 100 });

const phases: readonly Phase[] = [
  {
    name: "encoded, before the submit",
    options: { rule, schedule },
    begin: ({ device, optimizer }) => {
      const encoder = device.createCommandEncoder();
      optimizer.encode(encoder);
      // A submit on a lost device is no error, and does nothing.
      return () => device.queue.submit([encoder.finish()]);
    },
  },
  {
    name: "after the submit",
    options: { rule, schedule },
    begin: (loop) => {
      loop.run(10);
      return () => {};
    },
  },
  {
    name: "after a submit with guards",
    options: { rule, schedule, guards: { clipGlobalNorm: 1 } },
    begin: (loop) => {
      loop.run(3);
      const settled = ended(loop.optimizer.settled());
      const { failure } = loop.optimizer;
      return async () => {
        // The count may have arrived before the loss.
        const outcome = await settled;
        expect(outcome).toSatisfy(doneOrLoss);
        expect(await ended(failure)).toSatisfy(isLoss);
      };
    },
  },
  {
    name: "while telemetry is read back",
    options: { rule, schedule, ...monitored },
    begin: (loop) => {
      const reports: StepReport[] = [];
      const all = (async () => {
        for await (const report of loop.optimizer.reports) reports.push(report);
      })();
      const settled = ended(loop.optimizer.settled());
      const { failure } = loop.optimizer;
      for (let i = 0; i < 4; i += 1) loop.run(5);
      return async () => {
        await all;
        expect(reports.map(({ attempt }) => attempt)).toEqual(reports.map((_, i) => i + 1));
        expect(reports.length).toBeLessThanOrEqual(SAVED + 20);
        const outcome = await settled;
        expect(outcome).toSatisfy(doneOrLoss);
        expect(await ended(failure)).toSatisfy(isLoss);
      };
    },
  },
  {
    name: "with telemetry idle, nothing under way",
    options: { rule, schedule, ...monitored },
    begin: async (loop) => {
      const iterator = loop.optimizer.reports[Symbol.asyncIterator]();
      await loop.optimizer.settled();
      for (let attempt = 1; attempt <= SAVED; attempt += 1)
        expect((await iterator.next()).value).toMatchObject({ attempt });
      const next = iterator.next();
      const { failure } = loop.optimizer;
      return async () => {
        expect(await next).toEqual({ value: undefined, done: true });
        expect(await ended(failure)).toSatisfy(isLoss);
      };
    },
  },
  {
    name: "between look-ahead and step",
    options: { rule: nesterovLookahead({ lr: 0.01 }) },
    begin: ({ optimizer }) => {
      optimizer.lookahead();
      return () => {};
    },
  },
  {
    name: "while everything is made anew to freeze a tensor",
    options: { rule, schedule, ...monitored },
    begin: ({ optimizer }) => {
      const frozen = ended(optimizer.freeze("x1"));
      return async () => {
        // A crash takes a while to come: it may be done.
        const outcome = await frozen;
        expect(outcome).toSatisfy(doneOrLoss);
      };
    },
  },
  {
    name: "while saving",
    options: { rule, schedule, ...monitored },
    begin: ({ optimizer }) => {
      const file = ended(optimizer.save());
      const reader = optimizer.saveStream().getReader();
      const stream = ended(
        (async () => {
          while (!(await reader.read()).done);
        })(),
      );
      // What was copied before the loss may be whole.
      return async () => {
        const outcome = await file;
        expect(outcome).toSatisfy(doneOrLoss);
        const end = await stream;
        expect(end).toSatisfy(doneOrLoss);
      };
    },
  },
  {
    name: "while loading",
    options: { rule, schedule },
    begin: ({ optimizer }) => {
      const loaded = ended(
        (async () => {
          await optimizer.load(await optimizer.save());
        })(),
      );
      return async () => {
        const outcome = await loaded;
        expect(outcome).toSatisfy(doneOrLoss);
      };
    },
  },
  {
    name: "between two accumulations",
    options: { rule, schedule, accumulation: true },
    begin: ({ optimizer }) => {
      optimizer.accumulate({ samples: 2 });
      return () => {};
    },
  },
];

const SAVED = 20;
const AFTER = 50;

/** The checkpoint at the save, and parameters and states 50 steps later, of a run that nothing interrupts. */
async function uninterrupted(device: GPUDevice, options: LoopOptions) {
  const loop = await Loop.make(device, options);
  loop.run(SAVED);
  const saved = await loop.optimizer.save();
  for (let i = 0; i < AFTER; i += 10) loop.run(10);
  const end = await loop.snapshot();
  loop.destroy();
  return { saved, end };
}

/** Trains on a new device from what was saved. */
async function resumed(options: LoopOptions, saved: Uint8Array<ArrayBuffer>) {
  const device = await requestDevice({ label: "after the loss" });
  const loop = await Loop.make(device, options);
  await loop.optimizer.load(saved);
  for (let i = 0; i < AFTER; i += 10) loop.run(10);
  const end = await loop.snapshot();
  await loop.optimizer.settled();
  expect(loop.optimizer.groups[0]!.steps).toBe(SAVED + AFTER);
  loop.destroy();
  device.destroy();
  return end;
}

/** Defines the tests for one way to lose a device. @param reason as `GPUDeviceLostInfo` gives it */
export function describeLoss(lose: Lose, reason: GPUDeviceLostReason): void {
  const failsEverywhere = async ({ optimizer, device }: Loop) => {
    const encoder = device.createCommandEncoder();
    for (const [name, call] of calls) {
      const error = await ended((async () => call(optimizer, encoder))());
      expect(error, name).toSatisfy(isLoss);
    }
  };

  test.each(phases)("$name", async ({ options, begin }) => {
    const device = await requestDevice({ label: "to be lost" });
    const { saved, end } = await uninterrupted(device, options);
    const loop = await Loop.make(device, options);
    loop.run(SAVED);
    const check = await begin(loop);
    await lose(device);
    expect((await device.lost).reason).toBe(reason);
    // Its promise was awaited here after the engine's, so the engine knows.
    const steps = loop.optimizer.groups[0]!.steps;
    await check();
    await expectError(() => loop.optimizer.step(), "device-lost", `reason '${reason}'`);
    await expectError(() => loop.optimizer.settled(), "device-lost", "request a new device");
    expect(loop.optimizer.groups[0]!.steps).toBe(steps);
    loop.destroy();
    expect(bits(await resumed(options, saved))).toEqual(bits([...end]));
  });

  test("every call throws", async () => {
    const device = await requestDevice({ label: "to be lost" });
    const loop = await Loop.make(device, { rule: adam(), accumulation: true, ...monitored });
    expect(calls.map(([name]) => name).sort()).toEqual([...callNames(loop.optimizer)].sort());
    loop.run(3);
    await lose(device);
    await device.lost;
    await failsEverywhere(loop);
    loop.destroy();
  });

  describe("while an optimizer is created", () => {
    const ways: readonly LoopOptions[] = [
      { rule: adam() },
      { rule: amsgrad(), accumulation: true, ...monitored },
    ];
    test.each(ways)("%#", async (options) => {
      const device = await requestDevice({ label: "to be lost" });
      const creation = ended(Loop.make(device, options));
      await lose(device);
      // A crash takes a while to come: the optimizer may be there, and then it says so at once.
      const created = await creation;
      if (created instanceof Loop) await expectError(() => created.optimizer.step(), "device-lost");
      else expect(created).toSatisfy(isLoss);
      await expectError(
        () => createOptimizer(device, { rule: options.rule, parameters: [] }),
        "device-lost",
        `reason '${reason}'`,
      );
    });
  });
}
