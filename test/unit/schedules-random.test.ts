import { describe, expect, test } from "vitest";
import { linearCosine, noisyLinearCosine, random } from "../../src/schedules/index.js";
import { normal, threefry, uniform } from "../../src/schedules/random-numbers.js";

const draws = 100_000;

/** Mean and variance of `count` values. */
function moments(value: (index: number) => number, count: number): { mean: number; variance: number } {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < count; i++) {
    const x = value(i);
    sum += x;
    squares += x * x;
  }
  const mean = sum / count;
  return { mean, variance: squares / count - mean * mean };
}

describe("random numbers", () => {
  // Published with the authors' Random123 library.
  test.each([
    [0, 0, 0, 0, 0x6b200159, 0x99ba4efe],
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x1cb996fc, 0xbb002be7],
    [0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, 0xc4923a9c, 0x483df7a0],
  ])("Threefry's known answer for key %i %i, counter %i %i", (k0, k1, c0, c1, first, second) => {
    expect(threefry(k0, k1, c0, c1, (x0, x1) => [x0, x1])).toEqual([first, second]);
  });

  test("a draw depends on all 53 bits of seed and index", () => {
    const seen = new Set<number>();
    for (let bit = 0; bit < 53; bit++) {
      seen.add(uniform(2 ** bit, 0));
      seen.add(uniform(0, 2 ** bit));
    }
    // 106 draws of 53 bits: two equal ones have a chance of 1e-12.
    expect(seen.size).toBe(106);
    expect(uniform(1, 2 ** 53 - 1)).not.toBe(uniform(1, 2 ** 53 - 2));
  });

  test("uniform: in [0, 1), mean ½, variance 1/12, no correlation of neighbours", () => {
    const { mean, variance } = moments((i) => uniform(7, i), draws);
    // Five standard errors: √(1/12/n) of the mean, √(1/180/n) of the variance. The draws are fixed by the seed.
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / draws));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / draws));
    const { mean: product } = moments((i) => (uniform(7, i) - 0.5) * (uniform(7, i + 1) - 0.5), draws);
    expect(Math.abs(product)).toBeLessThan((5 / 12) * Math.sqrt(1 / draws));
    for (let i = 0; i < draws; i++) {
      const u = uniform(7, i);
      if (!(u >= 0 && u < 1)) throw new Error(`draw ${i} is ${u}`);
    }
  });

  test("normal: mean 0, variance 1, and the normal's share within 1 and 2", () => {
    const { mean, variance } = moments((i) => normal(11, i), draws);
    // Five standard errors: √(1/n) of the mean, √(2/n) of the variance, √(p(1−p)/n) of a share.
    expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(1 / draws));
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / draws));
    for (const [bound, share] of [
      [1, 0.6826894921370859],
      [2, 0.9544997361036416],
    ] as const) {
      const { mean: got } = moments((i) => (Math.abs(normal(11, i)) < bound ? 1 : 0), draws);
      expect(Math.abs(got - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / draws));
    }
  });
});

describe("random schedule", () => {
  const options = { min: 0.2, max: 0.8, every: 10, seed: 5 };

  test("is redrawn every k steps, between its bounds", () => {
    const schedule = random(options);
    const seen = new Set<number>();
    for (let s = 0; s < 1000; s++) {
      expect(schedule(s)).toBe(schedule(s - (s % 10)));
      expect(schedule(s)).toBeGreaterThanOrEqual(0.2);
      expect(schedule(s)).toBeLessThan(0.8);
      seen.add(schedule(s));
    }
    expect(seen.size).toBe(100);
  });

  test("has the mean of its bounds", () => {
    const schedule = random({ ...options, every: 1 });
    const { mean } = moments(schedule, draws);
    // Five standard errors of a uniform of width 0.6.
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * 0.6 * Math.sqrt(1 / 12 / draws));
  });

  test("is the same for the same seed, whatever was asked before, and another for another seed", () => {
    const first = random(options);
    const second = random(options);
    second(12345);
    expect(first(500)).toBe(second(500));
    expect(first(500)).not.toBe(random({ ...options, seed: 6 })(500));
    expect(random({ ...options, max: 0.2 })(3)).toBe(0.2);
  });
});

describe("noisy linear cosine", () => {
  const shape = { steps: 1000, alpha: 0.1, beta: 1e-3, periods: 0.5 };

  test("without variance is linear cosine", () => {
    const plain = linearCosine(shape);
    const quiet = noisyLinearCosine({ ...shape, initialVariance: 0, seed: 3 });
    for (const s of [0, 1, 500, 999, 1000, 2000]) expect(quiet(s)).toBe(plain(s));
  });

  test.each([0, 100])(
    "at step %i the noise has mean 0 and variance v₀/(1 + s)^0.55, in the first bracket",
    (s) => {
      const seeds = 20_000;
      const plain = linearCosine(shape)(s);
      const cosineTerm = 0.5 * (1 + Math.cos((Math.PI * s) / 1000));
      const noise = (seed: number) =>
        (noisyLinearCosine({ ...shape, initialVariance: 2, seed })(s) - plain) / cosineTerm;
      const { mean, variance } = moments(noise, seeds);
      const expected = 2 / (1 + s) ** 0.55;
      // Five standard errors of mean and variance of a normal.
      expect(Math.abs(mean)).toBeLessThan(5 * Math.sqrt(expected / seeds));
      expect(Math.abs(variance - expected)).toBeLessThan(5 * expected * Math.sqrt(2 / seeds));
    },
  );

  test("defaults are TensorFlow's: v₀ = 1, d = 0.55, half a period, α = 0, β = 0.001", () => {
    const defaults = noisyLinearCosine({ steps: 50, seed: 9 });
    const spelt = noisyLinearCosine({
      steps: 50,
      alpha: 0,
      beta: 0.001,
      periods: 0.5,
      initialVariance: 1,
      varianceDecay: 0.55,
      seed: 9,
    });
    for (let s = 0; s < 60; s++) expect(defaults(s)).toBe(spelt(s));
  });

  test("stays, past the end, as at the end", () => {
    const schedule = noisyLinearCosine({ ...shape, periods: 1, seed: 4 });
    expect(schedule(1000)).not.toBe(linearCosine({ ...shape, periods: 1 })(1000));
    for (const s of [1001, 5000, 2 ** 31]) expect(schedule(s)).toBe(schedule(1000));
  });
});
