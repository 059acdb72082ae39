import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OptimError } from "../../src/errors.js";
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
  isBuiltinSchedule,
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
  scaled,
  scheduleFromJSON,
  sequential,
  shifted,
  step,
  warmup,
} from "../../src/schedules/index.js";

const factor = fc.double({ min: 0, max: 10, noNaN: true });
const aboveZero = fc.double({ min: 1e-3, max: 10, noNaN: true });
const count = fc.integer({ min: 1, max: 2 ** 31 });
const whole = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const steps = fc
  .array(fc.integer({ min: 0, max: 100 }), { maxLength: 5 })
  .map((list) => list.sort((a, b) => a - b));

/** Options of which those not required may be missing. */
const options = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }, requiredKeys: (keyof T & string)[] = []) =>
  fc.record(model, { requiredKeys }) as fc.Arbitrary<never>;

const decay = options({ rate: factor, steps: count, staircase: fc.boolean() }, ["rate"]);
const cycleModel = {
  stepsUp: count,
  stepsDown: fc.integer({ min: 0, max: 20 }),
  mode: fc.constantFrom("triangular", "triangular2", "exp_range"),
  gamma: fc.double({ min: 0, max: 1, noNaN: true }),
};
const oneCycleModel = {
  steps: fc.integer({ min: 1, max: 200 }),
  pctStart: fc.double({ min: 0, max: 1, noNaN: true }),
  interpolation: fc.constantFrom("cosine", "linear"),
  threePhase: fc.boolean(),
};
const linearCosineModel = { steps: count, alpha: factor, beta: factor, periods: factor };
const simple: Record<string, fc.Arbitrary<BuiltinSchedule>> = {
  constant: options({ factor, steps: fc.integer({ min: 0, max: 100 }) }).map(constant),
  linear: options({ start: factor, end: factor, steps: count }, ["end", "steps"]).map(linear),
  step: options({ size: count, gamma: factor }, ["size"]).map(step),
  multistep: options({ milestones: steps, gamma: factor }, ["milestones"]).map(multistep),
  piecewiseConstant: steps
    .chain((boundaries) =>
      options(
        {
          boundaries: fc.constant(boundaries),
          values: fc.array(factor, { minLength: boundaries.length + 1, maxLength: boundaries.length + 1 }),
          boundary: fc.constantFrom("after", "at"),
        },
        ["boundaries", "values"],
      ),
    )
    .map(piecewiseConstant),
  exponential: decay.map(exponential),
  naturalExponential: decay.map(naturalExponential),
  inverseTime: decay.map(inverseTime),
  polynomial: options(
    {
      steps: count,
      start: factor,
      end: factor,
      power: aboveZero,
      part: fc.constantFrom("remaining", "elapsed"),
      cycle: fc.boolean(),
    },
    ["steps"],
  ).map(polynomial),
  cosine: options(
    { steps: count, alpha: factor, exponent: aboveZero, periods: factor, periodic: fc.boolean() },
    ["steps"],
  ).map(cosine),
  linearCosine: options(linearCosineModel, ["steps"]).map(linearCosine),
  noisyLinearCosine: options(
    { ...linearCosineModel, initialVariance: factor, varianceDecay: factor, minimum: factor, seed: whole },
    ["steps", "seed"],
  ).map(noisyLinearCosine),
  cosineRestarts: options(
    {
      steps: fc.integer({ min: 1, max: 50 }),
      periods: fc.integer({ min: 1, max: 5 }),
      lengthFactor: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.double({ min: 0.01, max: 3, noNaN: true })),
      peakFactor: fc.double({ min: 0, max: 1, noNaN: true }),
      alpha: factor,
    },
    ["steps"],
  ).map(cosineRestarts),
  cyclic: options({ ...cycleModel, start: factor, peak: factor, scaleBy: fc.constantFrom("cycle", "step") }, [
    "start",
  ]).map(cyclic),
  oneCycle: options({ ...oneCycleModel, start: factor, peak: factor, end: factor }, ["steps"]).map(oneCycle),
  piecewiseInterpolated: steps
    .chain((boundaries) =>
      options(
        {
          boundaries: fc.constant(boundaries),
          values: fc.array(factor, { minLength: boundaries.length + 1, maxLength: boundaries.length + 1 }),
          interpolation: fc.constantFrom("linear", "cosine"),
        },
        ["boundaries", "values"],
      ),
    )
    .map(piecewiseInterpolated),
  inverseSquareRoot: options({ steps: count }, ["steps"]).map(inverseSquareRoot),
  noam: options({ modelSize: count, warmup: count }, ["modelSize", "warmup"]).map(noam),
  random: fc.tuple(factor, factor, fc.option(count, { nil: undefined }), whole).map(([a, b, length, seed]) =>
    random({
      min: Math.min(a, b),
      max: Math.max(a, b),
      ...(length === undefined ? {} : { every: length }),
      seed,
    }),
  ),
  onPlateau: fc
    .tuple(
      options({
        mode: fc.constantFrom("min", "max"),
        factor: fc.double({ min: 0, max: 0.99, noNaN: true }),
        patience: fc.integer({ min: 0, max: 3 }),
        threshold: fc.double({ min: 0, max: 0.5, noNaN: true }),
        thresholdMode: fc.constantFrom("relative", "absolute"),
        margin: fc.constantFrom("magnitude", "signed"),
        cooldown: fc.integer({ min: 0, max: 3 }),
        minimum: factor,
        eps: factor,
      }),
      fc.array(fc.double({ noNaN: true }), { maxLength: 20 }),
    )
    .map(([given, metrics]) => {
      const schedule = onPlateau(given);
      for (const metric of metrics) schedule.report(metric);
      return schedule;
    }),
};

const composed: Record<string, (inner: fc.Arbitrary<BuiltinSchedule>) => fc.Arbitrary<BuiltinSchedule>> = {
  clamped: (inner) =>
    fc.tuple(inner, factor, factor, fc.constantFrom("min", "max", "both")).map(([schedule, a, b, sides]) =>
      clamped(schedule, {
        ...(sides === "max" ? {} : { min: Math.min(a, b) }),
        ...(sides === "min" ? {} : { max: Math.max(a, b) }),
      }),
    ),
  warmup: (inner) =>
    fc
      .tuple(
        fc.integer({ min: 0, max: 20 }),
        inner,
        options({ start: factor, count: fc.constantFrom("after", "including") }),
      )
      .map(([length, schedule, given]) => warmup(length, schedule, given)),
  every: (inner) =>
    fc
      .tuple(fc.integer({ min: 1, max: 2 ** 31 }), inner)
      .map(([length, schedule]) => every(length, schedule)),
  shifted: (inner) =>
    fc.tuple(inner, fc.oneof(fc.integer({ min: 0, max: 100 }), whole)).map(([a, by]) => shifted(a, by)),
  scaled: (inner) => fc.tuple(inner, factor).map(([schedule, by]) => scaled(schedule, by)),
  chained: (inner) => fc.array(inner, { minLength: 1, maxLength: 4 }).map(chained),
  cyclic: (inner) =>
    fc
      .tuple(
        inner,
        options({ ...cycleModel, start: factor, scaleBy: fc.constantFrom("cycle", "step") }, ["start"]),
      )
      .map(([scale, given]) => cyclic({ ...(given as { start: number }), scale })),
  sequential: (inner) =>
    steps.chain((milestones) =>
      fc
        .array(inner, { minLength: milestones.length + 1, maxLength: milestones.length + 1 })
        .map((schedules) => sequential(schedules, milestones)),
    ),
};

const anySimple = fc.oneof(...Object.values(simple));
const nested = fc.oneof(anySimple, ...Object.values(composed).map((make) => make(anySimple)));
const kinds = [
  ...Object.entries(simple),
  ...Object.entries(composed).map(([kind, make]) => [kind, make(nested)] as const),
  ["cyclic", options(cycleModel).map(cyclicMomentum)] as const,
  ["oneCycle", options(oneCycleModel, ["steps"]).map(oneCycleMomentum)] as const,
];

function refused(json: unknown): string {
  try {
    scheduleFromJSON(json);
  } catch (error) {
    expect(error).toBeInstanceOf(OptimError);
    expect((error as OptimError).code).toBe("invalid-schedule");
    return (error as OptimError).message;
  }
  throw new Error("nothing was thrown");
}

describe("schedules as JSON", () => {
  test.each(kinds)("%s comes back with the same options and values", (kind, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, fc.integer({ min: 0, max: 2 ** 53 - 1 }), (schedule, far) => {
        expect(schedule.spec.kind).toBe(kind);
        const text = JSON.stringify(schedule);
        const restored = scheduleFromJSON(JSON.parse(text));
        expect(JSON.stringify(restored)).toBe(text);
        for (const s of [0, 1, 2, 7, 19, 20, 21, 50, 99, 100, 101, far])
          expect(restored(s)).toBe(schedule(s));
      }),
      { numRuns: 100, seed: 20 },
    );
  });

  test("multiplicative comes back where its function is a schedule of ours", () => {
    // Apart from the others, because it counts up to its step.
    const schedule = multiplicative(warmup(3, constant({ factor: 0.5 }), { start: 0.1 }));
    const restored = scheduleFromJSON(JSON.parse(JSON.stringify(schedule)));
    for (const s of [0, 1, 2, 3, 10, 4]) expect(restored(s)).toBe(schedule(s));
    expect(restored(10)).toBeLessThan(0.01);
  });

  test("what a composition of any schedules is", () => {
    const both = fc.tuple(nested, nested, fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 100 }));
    fc.assert(
      fc.property(both, factor, factor, ([a, b, s, milestone], x, y) => {
        const [min, max] = [Math.min(x, y), Math.max(x, y)];
        const bounded = clamped(a, { min, max })(s);
        expect(bounded).toBeGreaterThanOrEqual(min);
        expect(bounded).toBeLessThanOrEqual(max);
        if (a(s) >= min && a(s) <= max) expect(bounded).toBe(a(s));
        expect(chained([a, b])(s)).toBe(a(s) * b(s));
        expect(chained([a])(s)).toBe(a(s));
        expect(scaled(a, 1)(s)).toBe(a(s));
        expect(sequential([a, b], [milestone])(s)).toBe(s < milestone ? a(s) : b(s - milestone));
        expect(sequential([a], [])(s)).toBe(a(s));
        expect(warmup(0, a)(s)).toBe(a(s));
        expect(every(1, a)(s)).toBe(a(s));
        expect(every(milestone + 1, a)(s)).toBe(a(Math.floor(s / (milestone + 1))));
        expect(shifted(a, milestone)(s)).toBe(a(s + milestone));
      }),
      { numRuns: 300, seed: 21 },
    );
  });

  test("holds every option, with defaults, under its kind", () => {
    expect(JSON.stringify(warmup(3, clamped(exponential({ rate: 0.5 }), { min: 0.25 })))).toBe(
      '{"kind":"warmup","steps":3,"schedule":{"kind":"clamped","schedule":' +
        '{"kind":"exponential","rate":0.5,"steps":1,"staircase":false},"min":0.25},"start":0,"count":"after"}',
    );
    expect(JSON.stringify({ schedule: constant() })).toBe('{"schedule":{"kind":"constant","factor":1}}');
  });

  test("a function of the caller's cannot be written, however deep", () => {
    const half = () => 0.5;
    expect(isBuiltinSchedule(half)).toBe(false);
    expect(isBuiltinSchedule(constant())).toBe(true);
    for (const schedule of [
      warmup(1, half),
      clamped(half, { min: 0 }),
      sequential([constant(), half], [1]),
      chained([half]),
      scaled(half, 1),
      warmup(1, sequential([constant(), clamped(half, { max: 1 })], [1])),
    ]) {
      expect(schedule(2)).toBe(0.5);
      expect(() => JSON.stringify(schedule)).toThrow(OptimError);
      expect(() => JSON.stringify(schedule)).toThrow(/user function.*got function half/s);
    }
  });

  test("what is no schedule is refused", () => {
    for (const json of [undefined, null, 3, "cosine", [], {}, { kind: 3 }, { steps: 10 }]) refused(json);
    for (const kind of ["cosin", "constructor", "__proto__", "toString", "hasOwnProperty"])
      expect(refused({ kind })).toContain(`'${kind}'`);
    expect(refused(JSON.parse('{"kind":"constant","__proto__":1}'))).toContain("__proto__");
  });

  test("bad options are refused by the factory of the kind", () => {
    expect(refused({ kind: "cosine" })).toContain("'steps'");
    expect(refused({ kind: "cosine", steps: 0 })).toContain("≥ 1");
    expect(refused({ kind: "cosine", steps: 5, alfa: 0.1 })).toContain("'alfa'");
    expect(refused({ kind: "random", min: 1, max: 0, seed: 1 })).toContain("min ≤ max");
    expect(refused({ kind: "clamped", schedule: { kind: "constant" } })).toContain("neither");
    expect(refused({ kind: "clamped", min: 1 })).toContain("not an object");
    expect(refused({ kind: "warmup", steps: 1.5, schedule: { kind: "constant" } })).toContain("'steps'");
    expect(refused({ kind: "warmup", steps: 1, schedule: { kind: "warm" } })).toContain("'warm'");
    expect(refused({ kind: "sequential" })).toContain("'schedules'");
    expect(refused({ kind: "sequential", schedules: [{ kind: "constant" }], milestones: [1] })).toContain(
      "0 milestones",
    );
    expect(refused({ kind: "sequential", schedules: [], milestones: [], extra: 1 })).toContain("'extra'");
    expect(refused({ kind: "scaled", schedule: { kind: "constant" } })).toContain("'factor'");
    expect(refused({ kind: "scaled", schedule: { kind: "constant" }, factor: 1, to: 2 })).toContain("'to'");
    expect(refused({ kind: "every", steps: 0, schedule: { kind: "constant" } })).toContain("'steps'");
    expect(refused({ kind: "every", steps: 2, schedule: { kind: "constant" }, by: 2 })).toContain("'by'");
    expect(refused({ kind: "every", steps: 2, schedule: 3 })).toContain("not an object");
    expect(refused({ kind: "shifted", steps: -1, schedule: { kind: "constant" } })).toContain("'steps'");
    expect(refused({ kind: "shifted", steps: 1, schedule: { kind: "constant" }, by: 2 })).toContain("'by'");
    expect(refused({ kind: "chained", schedules: 3 })).toContain("'schedules'");
    expect(refused({ kind: "chained", schedules: [], extra: 1 })).toContain("'extra'");
    expect(refused({ kind: "multiplicative", factor: 0.5 })).toContain("not an object");
    expect(refused({ kind: "multiplicative", factor: { kind: "constant" }, by: 1 })).toContain("'by'");
    expect(refused({ kind: "cyclic", start: 0, scale: 1 })).toContain("not an object");
    expect(refused({ kind: "onPlateau", state: { best: 1 } })).toContain("'badCount'");
    expect(refused({ kind: "onPlateau", state: null })).toContain("not an object");
  });

  test("nesting without end is refused, and deep nesting of use is not", () => {
    let json: object = { kind: "constant" };
    for (let depth = 0; depth < 64; depth++) json = { kind: "clamped", schedule: json, min: 0.5 };
    expect(scheduleFromJSON(json)(3)).toBe(1);
    expect(refused({ kind: "clamped", schedule: json, min: 0.5 })).toContain("64");
  });
});
