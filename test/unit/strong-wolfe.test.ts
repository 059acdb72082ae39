// The line search: the strong Wolfe conditions hold where it ends.
import { describe, expect, test } from "vitest";
import { type Sample, strongWolfe } from "../../src/engine/search/strong-wolfe.js";

const options = { decrease: 1e-4, curvature: 0.9, samples: 25, width: 1e-9 };

/** Functions along a line, with their derivatives; each falls at 0. */
const functions: Readonly<Record<string, readonly [(t: number) => number, (t: number) => number]>> = {
  "a parabola": [(t) => (t - 3) ** 2, (t) => 2 * (t - 3)],
  "a steep parabola": [(t) => 500 * (t - 0.01) ** 2, (t) => 1000 * (t - 0.01)],
  // Moré & Thuente 1994, (5.1) with β = 2, and (5.2) with β = 0.004.
  "Moré and Thuente's first": [(t) => -t / (t ** 2 + 2), (t) => (t ** 2 - 2) / (t ** 2 + 2) ** 2],
  "Moré and Thuente's second": [
    (t) => (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
    (t) => 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3,
  ],
  "an exponential wall": [(t) => Math.exp(4 * t) - 8 * t, (t) => 4 * Math.exp(4 * t) - 8],
  // Not finite from 0.4 on.
  "a barrier": [(t) => -Math.log(0.4 - t) - 5 * t, (t) => 1 / (0.4 - t) - 5],
};

describe.each(Object.entries(functions))("%s", (_, [value, slope]) => {
  const at = (t: number): Sample => ({ t, value: value(t), slope: slope(t) });

  test.each([1e-3, 0.1, 1, 10, 1e3])("from a first step of %d", async (first) => {
    let samples = 1;
    const sample = async (t: number) => {
      samples += 1;
      return at(t);
    };
    const start = at(0);
    const end = await strongWolfe(sample, start, at(first), options);
    expect(end.value).toBeLessThanOrEqual(start.value + 1e-4 * end.t * start.slope);
    expect(Math.abs(end.slope)).toBeLessThanOrEqual(-0.9 * start.slope);
    expect(samples).toBeLessThanOrEqual(26);
    expect(end).toEqual(at(end.t));
  });
});

test("a first point that serves is taken without another", async () => {
  const never = () => Promise.reject(new Error("asked for more"));
  const first = { t: 1, value: 0.5, slope: -0.1 };
  expect(await strongWolfe(never, { t: 0, value: 1, slope: -1 }, first, options)).toBe(first);
});

test("without a point that falls it stays at the start", async () => {
  const start = { t: 0, value: 1, slope: -1 };
  const up = async (t: number) => ({ t, value: 2, slope: 1 });
  expect(await strongWolfe(up, start, await up(1), options)).toBe(start);
});
