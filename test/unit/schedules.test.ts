import { describe, expect, test } from "vitest";
import { OptimError, type OptimErrorCode } from "../../src/errors.js";
import {
  type BuiltinSchedule,
  chained,
  clamped,
  constant,
  cosine,
  cosineRestarts,
  cyclic,
  cyclicMomentum,
  every,
  exponential,
  inverseSquareRoot,
  inverseTime,
  linear,
  linearCosine,
  multiplicative,
  multistep,
  naturalExponential,
  noam,
  noisyLinearCosine,
  oneCycle,
  oneCycleMomentum,
  onPlateau,
  piecewiseConstant,
  piecewiseInterpolated,
  polynomial,
  random,
  type Schedule,
  scaled,
  scheduleFromJSON,
  sequential,
  shifted,
  step,
  warmup,
} from "../../src/schedules/index.js";
import { caught } from "../support/errors.js";

function expectError(code: OptimErrorCode, make: () => unknown): void {
  let thrown: unknown;
  try {
    make();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(OptimError);
  const { code: got, details } = thrown as OptimError;
  expect(got).toBe(code);
  expect(details.expected).toBeTruthy();
  expect(details.got).toBeTruthy();
  expect(details.fix).toBeTruthy();
}

const values = (schedule: Schedule, steps: readonly number[]) => steps.map((s) => schedule(s));

// One schedule of every kind, for what all of them must do; but for `multiplicative`, which counts up to its step.
const ofEveryKind: readonly (readonly [string, BuiltinSchedule])[] = [
  constant({ factor: 0.5 }),
  linear({ end: 0.1, steps: 10 }),
  step({ size: 3 }),
  multistep({ milestones: [3, 6] }),
  piecewiseConstant({ boundaries: [4], values: [1, 0.5] }),
  exponential({ rate: 0.9 }),
  naturalExponential({ rate: 0.1 }),
  inverseTime({ rate: 0.1 }),
  polynomial({ steps: 10 }),
  cosine({ steps: 10 }),
  linearCosine({ steps: 10 }),
  noisyLinearCosine({ steps: 10, seed: 1 }),
  random({ min: 0.1, max: 1, seed: 1 }),
  cosineRestarts({ steps: 10, lengthFactor: 1.5 }),
  cyclic({ start: 0.1, stepsUp: 3, stepsDown: 4, mode: "triangular2" }),
  oneCycle({ steps: 11, threePhase: true }),
  piecewiseInterpolated({ boundaries: [4, 9], values: [0, 1, 0.5], interpolation: "cosine" }),
  inverseSquareRoot({ steps: 10 }),
  noam({ modelSize: 512, warmup: 10 }),
  scaled(cosine({ steps: 10 }), 0.5),
  chained([exponential({ rate: 0.9 }), inverseTime({ rate: 0.1 })]),
  clamped(exponential({ rate: 0.9 }), { min: 0.3 }),
  every(4, exponential({ rate: 0.9 })),
  shifted(cosine({ steps: 10 }), 3),
  warmup(3, constant()),
  sequential([constant(), constant({ factor: 0.5 })], [5]),
  onPlateau(),
].map((schedule) => [schedule.spec.kind, schedule] as const);

describe("values", () => {
  test("0.1 · 0.95¹⁰ ≈ 0.0599", () => {
    expect(0.1 * exponential({ rate: 0.95 })(10)).toBeCloseTo(0.0599, 4);
  });

  test("constant", () => {
    expect(values(constant(), [0, 1, 2 ** 31])).toEqual([1, 1, 1]);
    expect(constant({ factor: 0.25 })(7)).toBe(0.25);
  });

  test("constant for some steps (PyTorch's ConstantLR), also for none", () => {
    expect(values(constant({ factor: 0.25, steps: 3 }), [0, 2, 3, 2 ** 31])).toEqual([0.25, 0.25, 1, 1]);
    expect(values(constant({ factor: 0.25, steps: 0 }), [0, 1])).toEqual([1, 1]);
  });

  test("linear goes from start to end and stays", () => {
    expect(values(linear({ start: 0.25, end: 0.75, steps: 4 }), [0, 1, 2, 3, 4, 5, 2 ** 31])).toEqual([
      0.25, 0.375, 0.5, 0.625, 0.75, 0.75, 0.75,
    ]);
  });

  test("step decays at multiples of the size", () => {
    expect(values(step({ size: 3, gamma: 0.5 }), [0, 2, 3, 5, 6])).toEqual([1, 1, 0.5, 0.5, 0.25]);
  });

  test("multistep decays at the milestone, twice where it stands twice, also at step 0", () => {
    expect(values(multistep({ milestones: [2, 4, 4], gamma: 0.5 }), [0, 1, 2, 3, 4, 9])).toEqual([
      1, 1, 0.5, 0.5, 0.125, 0.125,
    ]);
    expect(multistep({ milestones: [0], gamma: 0.5 })(0)).toBe(0.5);
    expect(multistep({ milestones: [] })(100)).toBe(1);
  });

  test("piecewise constant changes after the boundary, or at it", () => {
    const options = { boundaries: [2, 5], values: [1, 0.5, 0.25] };
    expect(values(piecewiseConstant(options), [0, 2, 3, 5, 6])).toEqual([1, 1, 0.5, 0.5, 0.25]);
    expect(values(piecewiseConstant({ ...options, boundary: "at" }), [0, 1, 2, 4, 5])).toEqual([
      1, 1, 0.5, 0.5, 0.25,
    ]);
  });

  test("two equal boundaries leave out the value between them", () => {
    const options = { boundaries: [3, 3], values: [1, 9, 0.5] };
    expect(values(piecewiseConstant(options), [2, 3, 4])).toEqual([1, 1, 0.5]);
    expect(values(piecewiseConstant({ ...options, boundary: "at" }), [2, 3, 4])).toEqual([1, 0.5, 0.5]);
  });

  test("exponential, with and without staircase", () => {
    expect(values(exponential({ rate: 0.25, steps: 2 }), [0, 1, 2, 3, 4])).toEqual([
      1, 0.5, 0.25, 0.125, 0.0625,
    ]);
    expect(values(exponential({ rate: 0.25, steps: 2, staircase: true }), [0, 1, 2, 3, 4])).toEqual([
      1, 1, 0.25, 0.25, 0.0625,
    ]);
    // optax grows with the same form.
    expect(exponential({ rate: 2, steps: 2, staircase: true })(13)).toBe(64);
  });

  test("natural exponential, with and without staircase", () => {
    const options = { rate: 0.5, steps: 4 };
    expect(values(naturalExponential(options), [0, 3, 8])).toEqual([1, Math.exp(-0.375), Math.exp(-1)]);
    expect(values(naturalExponential({ ...options, staircase: true }), [3, 4, 7, 8])).toEqual([
      1,
      Math.exp(-0.5),
      Math.exp(-0.5),
      Math.exp(-1),
    ]);
  });

  test("inverse time, with and without staircase", () => {
    expect(values(inverseTime({ rate: 3, steps: 3 }), [0, 1, 3])).toEqual([1, 0.5, 0.25]);
    expect(values(inverseTime({ rate: 3, steps: 3, staircase: true }), [0, 2, 3])).toEqual([1, 1, 0.25]);
  });

  test("polynomial stays at the end", () => {
    expect(values(polynomial({ steps: 4, end: 0.2, power: 2 }), [0, 2, 4, 5, 2 ** 31])).toEqual([
      1,
      0.8 * 0.25 + 0.2,
      0.2,
      0.2,
      0.2,
    ]);
    expect(polynomial({ steps: 4, power: 0.5 })(3)).toBe(0.5);
  });

  test("polynomial with cycle: multiplier 1 at step 0, N⌈s/N⌉ after", () => {
    const cycling = polynomial({ steps: 4, cycle: true });
    expect(values(cycling, [0, 1, 4, 5, 6, 8])).toEqual([1, 0.75, 0, 1 - 5 / 8, 0.25, 0]);
    expect(cycling(2 ** 31)).toBe(0);
    expect(cycling(2 ** 31 + 1)).toBe(3 / (2 ** 31 + 4));
  });

  test("cosine is clamped at N; periodic it rises again", () => {
    const once = cosine({ steps: 4, alpha: 0.1 });
    expect(once(2)).toBeCloseTo(0.55, 15);
    expect(values(once, [0, 4, 5, 8, 2 ** 31])).toEqual([1, 0.1, 0.1, 0.1, 0.1]);
    const periodic = cosine({ steps: 4, alpha: 0.1, periodic: true });
    expect(values(periodic, [0, 4, 8, 12])).toEqual([1, 0.1, 1, 0.1]);
    for (const s of [1, 2, 3]) {
      expect(periodic(s)).toBe(once(s));
      expect(periodic(8 - s)).toBeCloseTo(once(s), 15);
      // 2³¹ is a multiple of the period 8: no digit is lost.
      expect(periodic(2 ** 31 + s)).toBe(once(s));
    }
  });

  test("cosine with exponent, and with decay steps beyond 32 bits (optax)", () => {
    expect(cosine({ steps: 3, exponent: 2 })(1)).toBeCloseTo(0.75 ** 2, 15);
    expect(cosine({ steps: 1e10 })(1e9)).toBeCloseTo(0.97552826, 8);
  });

  test("linear cosine, values of TensorFlow's formula", () => {
    const options = { steps: 1000, alpha: 0.1, beta: 1e-4, periods: 5 };
    const expected = [1.1001, 0.4251, 0.0001, 0.1751, 0.1001, 0.1001];
    values(linearCosine(options), [0, 250, 500, 750, 1000, 1250]).forEach((value, i) => {
      // 1e-14: the cosine of 5π or 10π is off by about 1e-15 of the argument's rounding.
      expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-14);
    });
  });

  test("clamped, on either side and on both", () => {
    const line = linear({ end: 0, steps: 10 });
    expect(values(clamped(line, { min: 0.5 }), [0, 10])).toEqual([1, 0.5]);
    expect(values(clamped(line, { max: 0.5 }), [0, 10])).toEqual([0.5, 0]);
    expect(
      values(
        clamped((s) => s, { min: 2, max: 4 }),
        [0, 3, 9],
      ),
    ).toEqual([2, 3, 4]);
  });

  test("warm-up from 0, from elsewhere, and of 0 steps", () => {
    const then = linear({ end: 0, steps: 4 });
    expect(values(warmup(4, then), [0, 1, 2, 3, 4, 5, 8, 9])).toEqual([0, 0.25, 0.5, 0.75, 1, 0.75, 0, 0]);
    expect(values(warmup(4, then, { start: 0.5 }), [0, 1, 4])).toEqual([0.5, 0.625, 1]);
    expect(values(warmup(0, then), [0, 1, 4])).toEqual([1, 0.75, 0]);
  });

  test("warm-up can count its steps into what follows", () => {
    const then = linear({ end: 0, steps: 8 });
    expect(values(warmup(4, then, { count: "including" }), [0, 2, 4, 6, 8])).toEqual([0, 0.5, 0.5, 0.25, 0]);
  });

  test("optax's warmup_cosine_decay_schedule, whose decay steps include the warm-up", () => {
    const [init, peak, end, warmupSteps, decaySteps] = [10, 0.5, 1e-4, 100, 1000];
    const schedule = warmup(warmupSteps, cosine({ steps: decaySteps - warmupSteps, alpha: end / peak }), {
      start: init / peak,
    });
    expect(values(schedule, [0, 100, 1000]).map((factor) => peak * factor)).toEqual([init, peak, end]);
  });

  test("sequential counts each part from its own start", () => {
    const down = linear({ end: 0, steps: 4 });
    expect(values(sequential([constant({ factor: 2 }), down], [3]), [0, 2, 3, 5, 7, 99])).toEqual([
      2, 2, 1, 0.5, 0, 0,
    ]);
  });

  test("sequential leaves out a schedule between two equal milestones, or before milestone 0", () => {
    const a = constant({ factor: 1 });
    const b = constant({ factor: 2 });
    const c = constant({ factor: 3 });
    expect(values(sequential([a, b, c], [2, 2]), [1, 2, 3])).toEqual([1, 3, 3]);
    expect(values(sequential([a, b], [0]), [0, 1])).toEqual([2, 2]);
    expect(sequential([c], [])(5)).toBe(3);
  });

  test("composed schedules take functions of the caller", () => {
    expect(
      values(
        warmup(2, (s) => 1 / (1 + s)),
        [0, 1, 2, 3],
      ),
    ).toEqual([0, 0.5, 1, 0.5]);
  });

  test("polynomial from another start", () => {
    expect(values(polynomial({ steps: 4, start: 0, end: 1, power: 2 }), [0, 2, 4, 9])).toEqual([
      0, 0.75, 1, 1,
    ]);
  });

  test("multiplicative is the product of what its function gave at 1, 2, … s, in any order", () => {
    const calls: number[] = [];
    const schedule = multiplicative((s) => {
      calls.push(s);
      return s / 2;
    });
    expect(values(schedule, [0, 1, 2, 3])).toEqual([1, 0.5, 0.5, 0.75]);
    // One call for each step ahead, and a fresh start to go back.
    expect(calls).toEqual([1, 2, 3]);
    expect(values(schedule, [5, 5, 2, 0])).toEqual([3.75, 3.75, 0.5, 1]);
    expect(values(multiplicative(constant({ factor: 0.5 })), [0, 10])).toEqual([1, 2 ** -10]);
  });

  test("multiplicative that has come to 0 stays there without calls", () => {
    const calls: number[] = [];
    const schedule = multiplicative((s) => {
      calls.push(s);
      return s === 3 ? 0 : 0.5;
    });
    expect(values(schedule, [2 ** 53 - 1, 2, 3, 4])).toEqual([0, 0.25, 0, 0]);
    expect(calls).toEqual([1, 2, 3, 1, 2, 3]);
    // Underflow is one way there.
    expect(multiplicative(constant({ factor: 0.5 }))(2 ** 53 - 1)).toBe(0);
  });

  test("multiplicative refuses a step too far ahead, and goes on from what it has", () => {
    const schedule = multiplicative(constant());
    expectError("invalid-schedule", () => schedule(2 ** 53 - 1));
    expectError("invalid-schedule", () => schedule.held(0)(2 ** 53 - 1));
    expect(schedule(1e7 + 5)).toBe(1);
    const { fix, expected } = caught(() => multiplicative(constant())(1e7 + 1)).details;
    expect(expected).toContain("10000000");
    expect(fix).toContain("exponential");
    expect(multiplicative(constant())(1e7)).toBe(1);
  });

  test("multiplicative stays right where its function throws", () => {
    let broken = true;
    const schedule = multiplicative((s) => {
      if (s === 3 && broken) throw new Error("broken");
      return 0.5;
    });
    expect(() => schedule(4)).toThrow("broken");
    broken = false;
    expect(schedule(4)).toBe(0.0625);
  });

  test("cosine restarts at equal lengths: the trap of t_mul = 1", () => {
    const schedule = cosineRestarts({ steps: 4, alpha: 0.1 });
    expect(values(schedule, [0, 4, 8, 2 ** 31])).toEqual([1, 1, 1, 1]);
    expect(schedule(2)).toBeCloseTo(0.55, 15);
    for (const s of [1, 2, 3]) expect(schedule(2 ** 31 + s)).toBe(schedule(s));
  });

  test("cosine restarts at growing lengths and falling peaks, exactly at each restart", () => {
    const schedule = cosineRestarts({ steps: 3, lengthFactor: 2, peakFactor: 0.5, alpha: 0.5 });
    // Restarts at 3(2ⁱ − 1), where the rate is α + (1 − α)·½ⁱ.
    for (let i = 0; i <= 40; i++) {
      expect(schedule(3 * (2 ** i - 1)), `restart ${i}`).toBe(0.5 + 0.5 * 0.5 ** i);
      const last = 3 * (2 ** (i + 1) - 1) - 1;
      const progress = 1 - 1 / (3 * 2 ** i);
      const before = 0.5 + 0.25 * 0.5 ** i * (1 + Math.cos(Math.PI * progress));
      expect(schedule(last), `before restart ${i + 1}`).toBeCloseTo(before, 12);
    }
  });

  test("cosine restarts where the logarithm misses the period, to either side", () => {
    // At 111 = 1 + 10 + 100 it gives 2.9999…, one step before 1 + 4 + … + 4²⁴ it gives 25.
    expect(cosineRestarts({ steps: 1, lengthFactor: 10 })(111)).toBe(1);
    expect(cosineRestarts({ steps: 1, lengthFactor: 4 })((4 ** 25 - 1) / 3 - 1)).toBeLessThan(1e-12);
  });

  test("cosine restarts at lengths that are no whole numbers", () => {
    // Periods of 10, 11, 12.1, …: the third begins at 21.
    const schedule = cosineRestarts({ steps: 10, lengthFactor: 1.1 });
    expect(schedule(21)).toBeCloseTo(1, 12);
    expect(schedule(20)).toBeCloseTo(0.5 * (1 + Math.cos((Math.PI * 10) / 11)), 12);
    // The smallest factor above 1 is almost equal lengths.
    expect(cosineRestarts({ steps: 10, lengthFactor: 1 + 2 ** -52 })(25)).toBeCloseTo(0.5, 12);
  });

  test("cosine restarts at shortening lengths", () => {
    // Periods of 8, 4, 2 and 1; the next would take half a step.
    const schedule = cosineRestarts({ steps: 8, lengthFactor: 0.5, peakFactor: 0.5, alpha: 0.2 });
    const at = (progress: number, peak: number) =>
      0.2 + 0.8 * peak * 0.5 * (1 + Math.cos(Math.PI * progress));
    const expected = [
      ...Array.from({ length: 8 }, (_, s) => at(s / 8, 1)),
      ...Array.from({ length: 4 }, (_, s) => at(s / 4, 0.5)),
      ...[at(0, 0.25), at(0.5, 0.25), at(0, 0.125)],
      ...[0.2, 0.2, 0.2],
    ];
    expected.forEach((factor, s) => {
      expect(schedule(s), `step ${s}`).toBeCloseTo(factor, 15);
    });
    for (const s of [99, 100, 101, 2 ** 31, 2 ** 53 - 1]) expect(schedule(s)).toBe(0.2);
    // At every power of ten the last period is one of a whole step.
    for (let digits = 1; digits < 12; digits++) {
      const tenth = cosineRestarts({ steps: 10 ** digits, lengthFactor: 0.1 });
      const last = Number("1".repeat(digits + 1)) - 1;
      expect(tenth(last), `10^${digits}`).toBe(1);
      expect(tenth(last + 1)).toBe(0);
    }
    expect(values(cosineRestarts({ steps: 2, lengthFactor: 1e-300 }), [0, 1, 2, 3])).toEqual([1, 0.5, 0, 0]);
  });

  test("cosine restarts of periods that are a part of the steps", () => {
    const schedule = cosineRestarts({ steps: 7, periods: 3, peakFactor: 0.5 });
    for (let s = 0; s < 70; s++) {
      const [period, rest] = [Math.floor((3 * s) / 7), (3 * s) % 7];
      const expected = 0.5 ** period * 0.5 * (1 + Math.cos((Math.PI * rest) / 7));
      expect(schedule(s), `step ${s}`).toBeCloseTo(expected, 15);
    }
    // 49 · (1/49) is not 1 in float64; the restart is there all the same.
    const often = cosineRestarts({ steps: 49 * 49, periods: 49 });
    for (let i = 0; i < 100; i++) expect(often(49 * i)).toBe(1);
  });

  test.each([1 + 1e-9, 1 - 1e-9, 1 + 2 ** -52, 1 - 2 ** -53, 1 + 1e-5, 0.999, 1.01, 0.9, 1.1, 0.5, 3])(
    "cosine restarts at factor %d, against sums of 200 binary digits",
    (lengthFactor) => {
      const digits = 200n;
      const fixed = (value: number) => BigInt(value * 2 ** 60) << (digits - 60n);
      for (const steps of [7, 1000]) {
        const schedule = cosineRestarts({ steps, lengthFactor });
        let [start, length] = [0n, fixed(steps)];
        let next = length;
        for (let s = 0; s < 40_000; s += steps === 7 ? 1 : 13) {
          const now = BigInt(s) << digits;
          while (next <= now && length > 1n) {
            start = next;
            length = (length * fixed(lengthFactor)) >> digits;
            next = start + length;
          }
          const ended = length < fixed(1 - 1e-9);
          const progress = Number(((now - start) << 60n) / length) / 2 ** 60;
          const expected = ended ? 0 : 0.5 * (1 + Math.cos(Math.PI * progress));
          // A restart is a jump: within rounding of it, either side will do.
          const jump = !ended && Math.min(progress, 1 - progress) < 1e-9;
          const error = Math.abs(schedule(s) - expected);
          if (!(error < 1e-10 || (jump && Math.abs(1 - error) < 1e-10)))
            throw new Error(`${steps} steps, step ${s}: ${schedule(s)} for ${expected}`);
        }
      }
    },
  );

  test("cosine of several periods, to their end or for good", () => {
    const waves = { steps: 9, periods: 1.25, alpha: 0.25 };
    const [ending, going] = [cosine(waves), cosine({ ...waves, periodic: true })];
    const at = (s: number) => 0.25 + 0.75 * 0.5 * (1 + Math.cos((2 * Math.PI * 1.25 * s) / 9));
    for (let s = 0; s < 40; s++) {
      expect(ending(s), `step ${s}`).toBeCloseTo(at(Math.min(s, 9)), 14);
      expect(going(s), `step ${s}`).toBeCloseTo(at(s), 14);
    }
    expect(going(36 * 2 ** 40)).toBe(1);
    expect(values(cosine({ steps: 4, periods: 0 }), [0, 3, 9])).toEqual([1, 1, 1]);
  });

  test("polynomial of the part that has gone: the 1-sqrt cool-down", () => {
    const schedule = polynomial({ steps: 16, start: 1, end: 0.2, power: 0.5, part: "elapsed" });
    for (let s = 0; s < 20; s++)
      expect(schedule(s)).toBeCloseTo(1 - 0.8 * Math.sqrt(Math.min(s, 16) / 16), 15);
    expect(schedule(16)).toBe(0.2);
    const cycling = polynomial({ steps: 4, power: 2, part: "elapsed", cycle: true });
    expect(values(cycling, [0, 2, 4, 5, 8])).toEqual([1, 0.75, 0, 1 - 25 / 64, 0]);
  });

  test("every so many steps, and from a step on", () => {
    const halving = exponential({ rate: 0.5 });
    expect(values(every(3, halving), [0, 2, 3, 5, 6, 11])).toEqual([1, 1, 0.5, 0.5, 0.25, 0.125]);
    expect(values(shifted(halving, 2), [0, 1, 5])).toEqual([0.25, 0.125, 2 ** -7]);
    expect(shifted(cosine({ steps: 5 }), 2 ** 53 - 1)(2 ** 53 - 1)).toBe(0);
    // What is held stays held inside, and what is reported is taken in.
    const falling = linear({ end: -1, steps: 2 });
    expect(values(every(2, falling).held(0), [0, 2, 3, 4])).toEqual([1, 0, 0, 0]);
    expect(values(shifted(falling, 1).held(0), [0, 1])).toEqual([0, 0]);
    const plateau = onPlateau({ factor: 0.5, patience: 0 });
    const byEpoch = every(10, plateau);
    plateau.report(-1);
    plateau.report(-1);
    expect(byEpoch(25)).toBe(0.5);
    const again = scheduleFromJSON(JSON.parse(JSON.stringify(byEpoch)));
    expect(again(25)).toBe(0.5);
  });

  test("cyclic: triangles, their amplitudes, and the fall at once", () => {
    const shape = { start: 0.2, stepsUp: 2, stepsDown: 4 };
    expect(values(cyclic({ ...shape, start: 0 }), [0, 1, 2, 3, 4, 6, 7])).toEqual([
      0, 0.5, 1, 0.75, 0.5, 0, 0.5,
    ]);
    expect(cyclic({ start: 0, stepsUp: 3 })(5)).toBeCloseTo(1 / 3, 15);
    expect(cyclic({ start: 0, stepsUp: 3 })(2 ** 31)).toBeCloseTo(2 / 3, 15); // 2³¹ = 6k + 2
    expect(values(cyclic({ ...shape, start: 0, mode: "triangular2" }), [2, 8, 14])).toEqual([1, 0.5, 0.25]);
    expect(values(cyclic({ ...shape, start: 0, mode: "exp_range", gamma: 0.5 }), [1, 2, 8])).toEqual([
      0.25,
      0.25,
      2 ** -8,
    ]);
    expect(values(cyclic({ start: 0, stepsUp: 2, stepsDown: 0 }), [0, 1, 2, 3])).toEqual([0, 0.5, 0, 0.5]);
  });

  test("cyclic with a scale of the caller's, by cycle and by step", () => {
    const given: number[] = [];
    const scale = (x: number) => {
      given.push(x);
      return 1 / x;
    };
    const shape = { start: 0, peak: 4, stepsUp: 2, scale };
    expect(values(cyclic(shape), [2, 6])).toEqual([4, 2]);
    expect(values(cyclic({ ...shape, scaleBy: "step" }), [2, 6])).toEqual([2, 4 / 6]);
    expect(given).toEqual([1, 2, 2, 6]);
  });

  test("cyclic momentum goes against the rate, with PyTorch's range", () => {
    const shape = { stepsUp: 2, stepsDown: 4, mode: "triangular2" } as const;
    const rate = cyclic({ ...shape, start: 0 });
    const momentum = cyclicMomentum(shape);
    for (let s = 0; s < 20; s++) expect(momentum(s)).toBeCloseTo(0.9 - 0.1 * rate(s), 15);
    expect(cyclicMomentum()(2000)).toBe(0.8);
    expect(cyclicMomentum({ min: 1, max: 5, stepsUp: 4 })(1)).toBe(4);
  });

  test("one cycle: its knots, and the end that stays", () => {
    const linearCycle = oneCycle({ steps: 10, pctStart: 0.4, interpolation: "linear", start: 0, end: 0.4 });
    // Peak at 0.4·10 − 1 = 3, end at 9.
    expect(linearCycle(1)).toBeCloseTo(1 / 3, 15);
    expect(values(linearCycle, [0, 3, 9, 10, 2 ** 31])).toEqual([0, 1, 0.4, 0.4, 0.4]);
    expect(linearCycle(6)).toBeCloseTo(0.7, 15);
    const three = oneCycle({
      steps: 10,
      pctStart: 0.4,
      interpolation: "linear",
      start: 0.1,
      threePhase: true,
    });
    // Back at the start at 2·0.4·10 − 2 = 6.
    expect(values(three, [0, 3, 6, 9])).toEqual([0.1, 1, 0.1, 1e-5]);
    expect(oneCycle({ steps: 100 })(0)).toBeCloseTo(1 / 25, 15);
    expect(oneCycle({ steps: 100 })(99)).toBe(1 / 25 / 1e4);
  });

  test("one cycle without a rise, with a rise of one step, of one step in all, and rising to the end", () => {
    // Without a rise the fall begins before step 0, at −1, as PyTorch has it.
    const falling = oneCycle({ steps: 4, pctStart: 0, interpolation: "linear", start: 0.5, end: 0 });
    expect(values(falling, [0, 1, 2, 3])).toEqual([0.75, 0.5, 0.25, 0]);
    // PyTorch divides 0 by 0 here.
    expect(oneCycle({ steps: 10, pctStart: 0.1 })(0)).toBe(1);
    expect(oneCycle({ steps: 1 })(0)).toBe(1 / 25 / 1e4);
    const rising = oneCycle({ steps: 5, pctStart: 1, interpolation: "linear", start: 0 });
    expect(values(rising, [0, 2, 4])).toEqual([0, 0.5, 1]);
    const beyond = oneCycle({ steps: 5, pctStart: 0.8, interpolation: "linear", start: 0, threePhase: true });
    // The way back would last to step 6: at the last step it is not there yet, and stays.
    expect(values(beyond, [3, 4, 5])).toEqual([1, 1 - 1 / 3, 1 - 1 / 3]);
  });

  test("one-cycle momentum goes against the rate, with PyTorch's range", () => {
    const shape = { steps: 21, pctStart: 0.3, threePhase: true } as const;
    expect(values(oneCycleMomentum({ steps: 21 }), [0, 20, 99])).toEqual([0.95, 0.95, 0.95]);
    expect(oneCycleMomentum({ steps: 20, pctStart: 0.3 })(5)).toBe(0.85);
    const momentum = oneCycleMomentum({ ...shape, min: 0, max: 1 });
    const rate = oneCycle({ ...shape, start: 0, end: 0 });
    for (let s = 0; s < 21; s++) expect(momentum(s)).toBeCloseTo(1 - rate(s), 15);
  });

  test("piecewise interpolated, with intervals of length zero", () => {
    const options = { boundaries: [5, 10], values: [1, 1.5, 0.375] };
    expect(values(piecewiseInterpolated(options), [0, 1, 5, 10, 12])).toEqual([1, 1.1, 1.5, 0.375, 0.375]);
    const cosines = piecewiseInterpolated({ boundaries: [2, 6], values: [0, 1, 0], interpolation: "cosine" });
    expect(cosines(1)).toBeCloseTo(0.5, 15);
    expect(values(cosines, [0, 2, 6, 2 ** 31])).toEqual([0, 1, 0, 0]);
    expect(cosines(3)).toBeCloseTo((1 + Math.SQRT1_2) / 2, 15);
    const jumps = piecewiseInterpolated({ boundaries: [0, 5, 5], values: [1, 2, 6, 3] });
    expect(values(jumps, [0, 4, 5, 6])).toEqual([2, 2 + (4 * 4) / 5, 3, 3]);
    expect(piecewiseInterpolated({ boundaries: [], values: [0.5] })(7)).toBe(0.5);
  });

  test("inverse square root, alone and after a warm-up", () => {
    expect(values(inverseSquareRoot({ steps: 4 }), [0, 4, 16, 2 ** 32])).toEqual([1, 1, 0.5, 2 ** -15]);
    const warm = warmup(4, inverseSquareRoot({ steps: 4 }), { count: "including" });
    expect(values(warm, [0, 2, 4, 16])).toEqual([0, 0.5, 1, 0.5]);
  });

  test("noam counts from 1 and is highest at the end of its warm-up", () => {
    const schedule = noam({ modelSize: 512, warmup: 4000 });
    // 512^−½ · 4000^−½ at step 4000 of the paper.
    expect(schedule(3999)).toBeCloseTo(1 / Math.sqrt(512 * 4000), 15);
    expect(schedule(0)).toBeCloseTo(1 / Math.sqrt(512) / 4000 ** 1.5, 18);
    expect(schedule(15999)).toBeCloseTo(schedule(3999) / 2, 15);
    expect(schedule(3998)).toBeLessThan(schedule(3999));
    expect(schedule(4000)).toBeLessThan(schedule(3999));
  });

  test("scaled and chained multiply", () => {
    const line = linear({ end: 0, steps: 4 });
    expect(values(scaled(line, 0.5), [0, 2, 4])).toEqual([0.5, 0.25, 0]);
    expect(values(chained([line, step({ size: 2, gamma: 0.5 })]), [0, 1, 2, 4])).toEqual([1, 0.75, 0.25, 0]);
    expect(chained([line])(1)).toBe(0.75);
  });

  test("where the sign is nothing to the mathematics, it may be negative", () => {
    expect(linear({ end: -1, steps: 2 })(1)).toBe(0);
    expect(cosine({ steps: 2, alpha: -1 })(2)).toBe(-1);
    expect(clamped(linear({ end: -1, steps: 2 }), { min: -0.5 })(2)).toBe(-0.5);
  });

  test("lists are copied: a later change of the caller's list changes nothing", () => {
    const boundaries = [2];
    const list = [1, 0.5];
    const schedule = piecewiseConstant({ boundaries, values: list });
    boundaries[0] = 0;
    list[0] = 7;
    expect(values(schedule, [2, 3])).toEqual([1, 0.5]);
    expect(schedule.spec).toEqual({
      kind: "piecewiseConstant",
      boundaries: [2],
      values: [1, 0.5],
      boundary: "after",
    });
  });
});

describe("steps", () => {
  test.each(ofEveryKind)("%s is finite at large steps and the same in any order", (_kind, schedule) => {
    const steps = [0, 1, 5, 10, 11, 1000, 2 ** 31, 2 ** 31 + 1, 2 ** 53 - 1];
    const forward = values(schedule, steps);
    for (const value of forward) expect(Number.isFinite(value)).toBe(true);
    expect(values(schedule, [...steps].reverse()).reverse()).toEqual(forward);
  });

  test.each(ofEveryKind)("%s refuses what is no step", (_kind, schedule) => {
    for (const s of [-1, 0.5, Number.NaN, Infinity, 2 ** 53])
      expectError("invalid-argument", () => schedule(s));
  });
});

describe("options that are refused", () => {
  const bad: Record<string, (options: never) => unknown> = {
    constant,
    linear,
    step,
    multistep,
    piecewiseConstant,
    exponential,
    naturalExponential,
    inverseTime,
    polynomial,
    cosine,
    linearCosine,
    noisyLinearCosine,
    random,
    onPlateau,
    cosineRestarts,
    cyclic,
    cyclicMomentum,
    oneCycle,
    oneCycleMomentum,
    piecewiseInterpolated,
    inverseSquareRoot,
    noam,
    clamped: (options) => clamped(constant(), options),
    warmup: (options) => warmup(1, constant(), options),
  };
  // Valid options of each kind; every one is then spoilt in each way that fits its type.
  const valid: Record<string, Record<string, unknown>> = {
    constant: { factor: 1, steps: 3 },
    linear: { start: 1, end: 0.1, steps: 10 },
    step: { size: 3, gamma: 0.1 },
    multistep: { milestones: [1, 2], gamma: 0.1 },
    piecewiseConstant: { boundaries: [1, 2], values: [1, 0.5, 0.1], boundary: "at" },
    exponential: { rate: 0.9, steps: 2, staircase: true },
    naturalExponential: { rate: 0.9, steps: 2, staircase: true },
    inverseTime: { rate: 0.9, steps: 2, staircase: true },
    polynomial: { steps: 10, start: 1, end: 0.1, power: 2, part: "elapsed", cycle: true },
    cosine: { steps: 10, alpha: 0.1, exponent: 2, periods: 1.5, periodic: true },
    linearCosine: { steps: 10, alpha: 0.1, beta: 0.1, periods: 2 },
    noisyLinearCosine: {
      steps: 10,
      alpha: 0,
      beta: 0,
      periods: 1,
      initialVariance: 1,
      varianceDecay: 1,
      minimum: 0.1,
      seed: 1,
    },
    random: { min: 0.1, max: 1, every: 2, seed: 1 },
    cosineRestarts: { steps: 10, periods: 3, lengthFactor: 2, peakFactor: 0.5, alpha: 0.1 },
    cyclic: { start: 0.1, peak: 1, stepsUp: 3, stepsDown: 4, mode: "exp_range", gamma: 0.9, scaleBy: "step" },
    cyclicMomentum: {
      min: 0.8,
      max: 0.9,
      stepsUp: 3,
      stepsDown: 4,
      mode: "triangular2",
      gamma: 0.9,
      scaleBy: "step",
    },
    oneCycle: {
      start: 0.1,
      peak: 1,
      end: 0.01,
      steps: 10,
      pctStart: 0.3,
      interpolation: "linear",
      threePhase: true,
    },
    oneCycleMomentum: {
      min: 0.8,
      max: 0.9,
      steps: 10,
      pctStart: 0.3,
      interpolation: "linear",
      threePhase: true,
    },
    piecewiseInterpolated: { boundaries: [1, 2], values: [1, 0.5, 0.1], interpolation: "cosine" },
    inverseSquareRoot: { steps: 10 },
    noam: { modelSize: 512, warmup: 10 },
    clamped: { min: 0.1, max: 1 },
    warmup: { start: 0, count: "after" },
    onPlateau: {
      mode: "max",
      factor: 0.5,
      patience: 1,
      threshold: 0.1,
      thresholdMode: "absolute",
      margin: "signed",
      cooldown: 1,
      minimum: 0,
      eps: 0,
    },
  };
  const required = "linear.end linear.steps step.size multistep.milestones piecewiseConstant.boundaries \
piecewiseConstant.values exponential.rate naturalExponential.rate inverseTime.rate polynomial.steps cosine.steps \
linearCosine.steps noisyLinearCosine.steps noisyLinearCosine.seed random.min random.max random.seed cosineRestarts.steps cyclic.start oneCycle.steps \
oneCycleMomentum.steps piecewiseInterpolated.boundaries piecewiseInterpolated.values inverseSquareRoot.steps \
noam.modelSize noam.warmup".split(/\s+/);
  const wholeNumbers =
    /^cosineRestarts\.periods$|\.(steps|stepsUp|stepsDown|size|every|seed|patience|cooldown|modelSize|warmup)$/;
  // Values of the factor itself, or of a momentum.
  const anySign =
    /^(linear|polynomial|warmup|cyclic|oneCycle)\.(start|end|peak)$|^(clamped|\w+Momentum)\.(min|max)$|^cosine(Restarts)?\.alpha$|Interpolated\.values$/;

  test("every kind is listed", () => expect(Object.keys(valid).sort()).toEqual(Object.keys(bad).sort()));

  test.each(Object.entries(valid))("%s", (kind, options) => {
    const make = (given: unknown) => bad[kind]!(given as never);
    make(options);
    const refuse = (given: unknown) => expectError("invalid-schedule", () => make(given));
    refuse(null);
    refuse([]);
    refuse(3);
    refuse({ ...options, unknownOption: 1 });
    for (const [name, value] of Object.entries(options)) {
      refuse({ ...options, [name]: undefined });
      refuse({ ...options, [name]: null });
      const mayBeNegative = anySign.test(`${kind}.${name}`);
      if (typeof value === "number") {
        for (const wrong of [Number.NaN, Infinity, "1"]) refuse({ ...options, [name]: wrong });
        if (!mayBeNegative) refuse({ ...options, [name]: -1 });
        else if (kind !== "clamped") make({ ...options, [name]: -1 });
        if (wholeNumbers.test(`${kind}.${name}`)) refuse({ ...options, [name]: 1.5 });
      } else if (Array.isArray(value)) {
        for (const wrong of [1, [Number.NaN], ["1"]]) refuse({ ...options, [name]: wrong });
        const negative = { ...options, [name]: value.map(() => -1) };
        if (mayBeNegative) make(negative);
        else refuse(negative);
      } else for (const wrong of [1, "elsewhere", 0]) refuse({ ...options, [name]: wrong });
      const { [name]: _left, ...without } = options;
      if (required.includes(`${kind}.${name}`)) refuse(without);
      else if (kind !== "clamped") make(without);
    }
  });

  test.each([
    ["linear of 0 steps", () => linear({ end: 0, steps: 0 })],
    ["polynomial of 0 steps", () => polynomial({ steps: 0 })],
    ["cosine of 0 steps", () => cosine({ steps: 0 })],
    ["linear cosine of 0 steps", () => linearCosine({ steps: 0 })],
    ["exponential of 0 steps", () => exponential({ rate: 0.5, steps: 0 })],
    ["step of size 0", () => step({ size: 0 })],
    ["random drawn every 0 steps", () => random({ min: 0, max: 1, every: 0, seed: 1 })],
    ["polynomial of power 0", () => polynomial({ steps: 1, power: 0 })],
    ["unsorted boundaries", () => piecewiseConstant({ boundaries: [5, 2], values: [1, 1, 1] })],
    ["fractional boundaries", () => piecewiseConstant({ boundaries: [1.5], values: [1, 1] })],
    ["too few values", () => piecewiseConstant({ boundaries: [2, 5], values: [1, 1] })],
    ["too many values", () => piecewiseConstant({ boundaries: [2], values: [1, 1, 1] })],
    ["unsorted milestones", () => multistep({ milestones: [5, 2] })],
    ["random bounds exchanged", () => random({ min: 1, max: 0.5, seed: 1 })],
    ["clamped bounds exchanged", () => clamped(constant(), { min: 1, max: 0.5 })],
    ["clamped without bounds", () => clamped(constant(), {})],
    ["clamped of no schedule", () => clamped(3 as never, { min: 1 })],
    ["negative warm-up", () => warmup(-1, constant())],
    ["fractional warm-up", () => warmup(1.5, constant())],
    ["warm-up into no schedule", () => warmup(1, undefined as never)],
    ["cosine restarts of 0 steps", () => cosineRestarts({ steps: 0 })],
    ["cosine restarts that shrink to nothing", () => cosineRestarts({ steps: 5, lengthFactor: 0 })],
    ["every 0 steps", () => every(0, constant())],
    ["every part of a step", () => every(0.5, constant())],
    ["every step of no schedule", () => every(2, 3 as never)],
    ["shifted back", () => shifted(constant(), -1)],
    ["shifted by part of a step", () => shifted(constant(), 0.5)],
    ["shifted of no schedule", () => shifted(undefined as never, 1)],
    ["cycle without a rise", () => cyclic({ start: 0, stepsUp: 0 })],
    ["cycle scaled by no function", () => cyclic({ start: 0, scale: 2 as never })],
    ["cycle momentum with a start", () => cyclicMomentum({ start: 1 } as never)],
    ["one cycle of 0 steps", () => oneCycle({ steps: 0 })],
    ["one cycle that rises for longer than it lasts", () => oneCycle({ steps: 5, pctStart: 1.5 })],
    ["one-cycle momentum of nothing", () => oneCycleMomentum(undefined as never)],
    ["interpolation without a first value", () => piecewiseInterpolated({ boundaries: [5], values: [1] })],
    ["interpolation that goes back", () => piecewiseInterpolated({ boundaries: [5, 2], values: [1, 1, 1] })],
    ["noam without a warm-up", () => noam({ modelSize: 1, warmup: 0 })],
    ["inverse square root of 0 steps", () => inverseSquareRoot({ steps: 0 })],
    ["constant for a part of a step", () => constant({ factor: 1, steps: 0.5 })],
    ["multiplicative of no function", () => multiplicative(0.9 as never)],
    ["scaled by no number", () => scaled(constant(), Number.NaN)],
    ["scaled of no schedule", () => scaled(2 as never, 2)],
    ["chained of none", () => chained([])],
    ["chained of no schedules", () => chained([constant(), 2 as never])],
    ["sequential without schedules", () => sequential([], [])],
    ["sequential with a milestone too many", () => sequential([constant()], [1])],
    ["sequential with unsorted milestones", () => sequential([constant(), constant(), constant()], [5, 2])],
    ["sequential of no schedules", () => sequential([constant(), 1 as never], [1])],
    ["plateau factor 1", () => onPlateau({ factor: 1 })],
    ["plateau relative threshold 1", () => onPlateau({ threshold: 1 })],
  ])("%s", (_name, make) => expectError("invalid-schedule", make));
});
