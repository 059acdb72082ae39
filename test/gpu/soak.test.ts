// Long runs: nothing is left behind, on the GPU or in the heap.
import { expect, test } from "vitest";
import { cdp } from "vitest/browser";
import { adam } from "../../src/index.js";
import { useDevice } from "../support/device.js";
import { long } from "../support/long.js";
import { Loop } from "../support/loop.js";

const watched = useDevice();

const STEPS = long ? 100_000 : 2_000;
const PER_SUBMIT = 100;

/** Bytes of live objects in the page. */
async function heap(): Promise<number> {
  await cdp().send("HeapProfiler.collectGarbage");
  const { usedSize } = (await cdp().send("Runtime.getHeapUsage")) as { usedSize: number };
  return usedSize;
}

test.each([
  { name: "plain", options: {} },
  { name: "with guards and telemetry", options: { guards: { clipGlobalNorm: 1 }, telemetry: {} } },
])(
  `${STEPS} steps of adam over an arena of 1 024 parameters, $name`,
  async ({ name, options }) => {
    const { device, live, counts, errors } = watched();
    const before = live.size;
    const reports = { last: 0, count: 0 };
    const loop = await Loop.make(device, {
      rule: adam({ lr: 1e-3 }),
      lengths: [256, 512, 64, 192],
      stepsInFlight: PER_SUBMIT,
      ...options,
      ...("telemetry" in options && {
        telemetry: {
          onReport: ({ attempt }: { attempt: number }) => {
            reports.last = attempt;
            reports.count += 1;
          },
        },
      }),
    });
    const run = async (steps: number) => {
      for (let done = 0; done < steps; done += 2 * PER_SUBMIT) {
        loop.run(PER_SUBMIT);
        loop.run(PER_SUBMIT);
        await device.queue.onSubmittedWorkDone();
      }
      await loop.optimizer.settled();
    };
    // The engine keeps a bounded history (the rule's memory of 4 096 steps), which the long run fills before it counts.
    const warm = STEPS / 10;
    await run(warm);
    const alive = live.size;
    const made = counts.buffers;
    const bindGroups = counts.bindGroups;
    const heapBefore = await heap();
    const start = performance.now();
    await run(STEPS - warm);
    const seconds = (performance.now() - start) / 1000;
    const growth = (await heap()) - heapBefore;
    console.log(
      `${name}: ${STEPS - warm} steps in ${seconds.toFixed(1)} s, ` +
        `heap ${(heapBefore / 2 ** 20).toFixed(2)} MiB, grown by ${(growth / 1024).toFixed(1)} KiB`,
    );
    expect(loop.optimizer.groups[0]!.steps).toBe(STEPS);
    if ("telemetry" in options) expect(reports.last).toBe(STEPS);
    expect(counts.buffers - made).toBe(0);
    expect(counts.bindGroups - bindGroups).toBe(0);
    expect(live.size).toBe(alive);
    // One object of 16 bytes kept for each step of the long run would be 1.4 MiB; V8 and the page itself move by less
    // than half of this bound. The short run may fill the history on top: 1 800 entries.
    expect(growth).toBeLessThan(512 * 1024);
    const values = (await loop.snapshot()).flatMap((list) => [...list]);
    expect(values.every(Number.isFinite)).toBe(true);
    expect(errors).toEqual([]);
    loop.destroy();
    expect(live.size).toBe(before);
  },
  long ? 900_000 : 60_000,
);
