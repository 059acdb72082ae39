// Guards over each rule: those that do nothing change nothing, and a skipped step leaves no trace.
import { describe, expect, test } from "vitest";
import { useDevice } from "../support/device.js";
import { LENGTH, run, some, spoiled } from "../support/guarded-runs.js";
import { long } from "../support/long.js";
import { shapeless } from "../support/shapeless.js";

const watched = useDevice();

const judged = shapeless.filter((_, index) => long || index % 2 === 0);
describe.each(judged.map((factory) => [factory.row.name, factory] as const))("%s", (_, factory) => {
  const rule = factory({ weightDecay: 0.01, maximize: true });

  test("guards that do nothing change no bit", async () => {
    const plain = await run(watched().device, rule, some(6));
    const guarded = await run(watched().device, rule, some(6), {});
    expect(guarded.parameters).toEqual(plain.parameters);
    expect(guarded.states).toEqual(plain.states);
    expect(guarded.steps).toBe(6);
  });

  test("a skipped step leaves no trace, whether the host knows of it or not", async () => {
    const clean = some(6);
    const [a, b, c, d, e, f] = clean as [Float32Array, ...Float32Array[]] & Record<number, Float32Array>;
    const dirty = [
      spoiled(a!, Number.NaN),
      a!,
      b!,
      spoiled(c!, Number.POSITIVE_INFINITY, 0),
      spoiled(c!, Number.NEGATIVE_INFINITY, LENGTH - 1),
      c!,
      d!,
      e!,
      spoiled(f!, Number.NaN, 100),
      f!,
    ];
    const expected = await run(watched().device, rule, clean);
    for (const wait of [true, false]) {
      const got = await run(watched().device, rule, dirty, {}, { wait });
      expect(got.parameters).toEqual(expected.parameters);
      expect(got.states).toEqual(expected.states);
      expect(got.steps).toBe(6);
    }
  });
});
