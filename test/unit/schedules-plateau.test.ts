import { describe, expect, test } from "vitest";
import { chooseSchedule } from "../../src/checkpoint/schedules.js";
import { scheduleFromPyTorch } from "../../src/frameworks/schedules/index.js";
import {
  onPlateau,
  type PlateauOptions,
  type PlateauSchedule,
  scheduleFromJSON,
  warmup,
} from "../../src/schedules/index.js";
import { caught } from "../support/errors.js";

/** The factor after each report. */
function run(options: PlateauOptions, metrics: readonly number[]): number[] {
  const schedule = onPlateau(options);
  return metrics.map((metric, s) => {
    schedule.report(metric);
    return schedule(s);
  });
}

const repeat = (value: number, times: number) => Array.from({ length: times }, () => value);

describe("on plateau", () => {
  test("starts at 1 with PyTorch's defaults", () => {
    const schedule = onPlateau();
    expect(schedule(0)).toBe(1);
    expect(schedule.spec).toEqual({
      kind: "onPlateau",
      mode: "min",
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: "relative",
      margin: "magnitude",
      cooldown: 0,
      minimum: 0,
      eps: 1e-8,
    });
    expect(schedule.state).toEqual({ best: "Infinity", badCount: 0, cooldownCount: 0, factor: 1 });
  });

  test("reduces one report after the patience is used up", () => {
    // The first report is an improvement on nothing.
    expect(run({ factor: 0.5, patience: 2 }, repeat(1, 8))).toEqual([1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]);
    expect(run({ factor: 0.5, patience: 0 }, repeat(1, 4))).toEqual([1, 0.5, 0.25, 0.125]);
  });

  test("counts no bad report during the cooldown", () => {
    expect(run({ factor: 0.5, patience: 0, cooldown: 2 }, repeat(1, 8))).toEqual([
      1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125,
    ]);
  });

  test("an improvement begins the count anew", () => {
    expect(run({ factor: 0.5, patience: 1 }, [1, 1, 0.9, 0.9, 0.9])).toEqual([1, 1, 1, 1, 0.5]);
  });

  test.each([
    // An improvement must pass the threshold: equal to it is none.
    ["min", "relative", 0.25, [8, 6], 0.5],
    ["min", "relative", 0.25, [8, 5.9], 1],
    ["min", "absolute", 0.25, [8, 7.75], 0.5],
    ["min", "absolute", 0.25, [8, 7.7], 1],
    ["max", "relative", 0.25, [8, 10], 0.5],
    ["max", "relative", 0.25, [8, 10.1], 1],
    ["max", "absolute", 0.25, [8, 8.25], 0.5],
    ["max", "absolute", 0.25, [8, 8.3], 1],
  ] as const)("mode %s, threshold %s %d, metrics %j", (mode, thresholdMode, threshold, metrics, expected) => {
    const factors = run({ mode, thresholdMode, threshold, factor: 0.5, patience: 0 }, metrics);
    expect(factors).toEqual([1, expected]);
  });

  test.each(["min", "max"] as const)("mode %s: a metric below 0 that stays falls as one above 0", (mode) => {
    const options = { mode, factor: 0.5, patience: 2 };
    for (const metric of [1, -1, 0, -1e300, -1e-300])
      expect(run(options, repeat(metric, 8))).toEqual([1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]);
  });

  test.each([
    // Better by the quarter of 8 exactly, by more, and worse by less, of a reward and of a log-likelihood.
    ["max", [-8, -6], 0.5],
    ["max", [-8, -5.9], 1],
    ["max", [-8, -9], 0.5],
    ["min", [-8, -10], 0.5],
    ["min", [-8, -10.1], 1],
    ["min", [-8, -7], 0.5],
    // From one sign to the other.
    ["max", [-8, 1], 1],
    ["min", [8, -1], 1],
    ["max", [0, 1e-300], 1],
  ] as const)("mode %s, a margin of a quarter of |best|, metrics %j", (mode, metrics, expected) => {
    expect(run({ mode, threshold: 0.25, factor: 0.5, patience: 0 }, metrics)).toEqual([1, expected]);
  });

  test.each([
    ["max", [-8, -9.9], 1],
    ["max", [-8, -10], 0.5],
    ["min", [-8, -6.1], 1],
    ["min", [-8, -6], 0.5],
    ["max", [8, 10.1], 1],
    ["min", [8, 6], 0.5],
  ] as const)("mode %s, PyTorch's signed margin, metrics %j", (mode, metrics, expected) => {
    const params = { mode, threshold: 0.25, factor: 0.5, patience: 0 };
    expect(run({ ...params, margin: "signed" }, metrics)).toEqual([1, expected]);
    const { schedule } = scheduleFromPyTorch("ReduceLROnPlateau", params, 1);
    for (const metric of metrics) (schedule as PlateauSchedule).report(metric);
    expect(schedule(0)).toBe(expected);
    expect(schedule.spec).toMatchObject({ margin: "signed" });
  });

  test("both margins are one above 0, to the last bit", () => {
    let metric = 3;
    const metrics = Array.from({ length: 300 }, (_, i) => {
      metric *= 1 - 1e-4 + ((i * 7919) % 13) * 1e-5 - 5e-5;
      return metric;
    });
    for (const mode of ["min", "max"] as const)
      expect(run({ mode, patience: 1, factor: 0.9 }, metrics)).toEqual(
        run({ mode, patience: 1, factor: 0.9, margin: "signed" }, metrics),
      );
  });

  test("a large threshold takes in the first report", () => {
    for (const first of [-1, 1]) {
      const schedule = onPlateau({ mode: "max", threshold: 2 });
      schedule.report(first);
      expect(schedule.state.best).toBe(first);
    }
  });

  test("JSON from before there were two margins goes on with PyTorch's, and keeps its state", () => {
    const older = {
      kind: "onPlateau",
      mode: "max",
      factor: 0.5,
      patience: 1,
      threshold: 1e-4,
      thresholdMode: "relative",
      cooldown: 0,
      minimum: 0,
      eps: 1e-8,
      state: { best: -1, badCount: 0, cooldownCount: 0, factor: 0.25 },
    };
    const restored = scheduleFromJSON(older) as PlateauSchedule;
    expect(restored.spec).toMatchObject({ margin: "signed" });
    expect(restored.state).toEqual(older.state);
    for (let i = 0; i < 8; i++) restored.report(-1);
    expect(restored(0)).toBe(0.25);
    // Written by hand, with defaults left out, it is what the factory makes of it.
    expect(scheduleFromJSON({ kind: "onPlateau", mode: "max" }).spec).toEqual(
      onPlateau({ mode: "max" }).spec,
    );
  });

  test("a group of the same options goes on with its own margin, and the state of the file", () => {
    const own = onPlateau({ mode: "max", factor: 0.5, patience: 1 });
    const { margin: _, ...older } = JSON.parse(JSON.stringify(own));
    older.state = { best: -1, badCount: 1, cooldownCount: 0, factor: 0.25 };
    const chosen = chooseSchedule(own, scheduleFromJSON(older), undefined);
    if (!("from" in chosen)) throw new Error(`They differ: ${JSON.stringify(chosen)}`);
    expect(chosen).toMatchObject({ schedule: own, from: "file" });
    chosen.restore();
    expect(own.state).toEqual(older.state);
    own.report(-1);
    expect(own(0)).toBe(0.125);
  });

  test("does not go below the minimum", () => {
    expect(run({ factor: 0.5, patience: 0, minimum: 0.3 }, repeat(1, 4))).toEqual([1, 0.5, 0.3, 0.3]);
  });

  test("makes no reduction of eps or less, and does not raise the factor to a minimum above it", () => {
    expect(run({ factor: 0.5, patience: 0, eps: 0.25 }, repeat(1, 4))).toEqual([1, 0.5, 0.5, 0.5]);
    expect(run({ factor: 0.5, patience: 0, minimum: 2 }, repeat(1, 3))).toEqual([1, 1, 1]);
  });

  test("an infinite loss is a bad report", () => {
    expect(run({ factor: 0.5, patience: 1 }, [1, Infinity, Infinity])).toEqual([1, 1, 0.5]);
  });

  test("refuses NaN and keeps its state", () => {
    const schedule = onPlateau({ patience: 1 });
    schedule.report(1);
    schedule.report(2);
    const before = schedule.state;
    for (const wrong of [Number.NaN, undefined, "0.5", [1]])
      expect(caught(() => schedule.report(wrong as never)).code).toBe("invalid-argument");
    expect(schedule.state).toEqual(before);
    expect(before).toEqual({ best: 1, badCount: 1, cooldownCount: 0, factor: 1 });
  });

  test("goes on from JSON, or from its state, as if never interrupted", () => {
    const options = { factor: 0.5, patience: 2, cooldown: 1, minimum: 0.01 };
    const metrics = [3, 2, 2, 2.5, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5];
    const whole = run(options, metrics);
    for (let cut = 0; cut < metrics.length; cut++) {
      const before = onPlateau(options);
      for (const metric of metrics.slice(0, cut)) before.report(metric);
      const fromJSON = scheduleFromJSON(JSON.parse(JSON.stringify(before))) as PlateauSchedule;
      const restored = onPlateau(options);
      restored.restore(JSON.parse(JSON.stringify(before.state)));
      for (const after of [fromJSON, restored]) {
        expect(after.state).toEqual(before.state);
        const rest = metrics.slice(cut).map((metric) => {
          after.report(metric);
          return after(0);
        });
        expect(rest).toEqual(whole.slice(cut));
      }
    }
  });

  test("keeps an infinite best metric through JSON", () => {
    const schedule = onPlateau({ mode: "min" });
    schedule.report(-Infinity);
    const restored = scheduleFromJSON(JSON.parse(JSON.stringify(schedule))) as PlateauSchedule;
    expect(restored.state.best).toBe("-Infinity");
    expect(onPlateau({ mode: "max" }).state.best).toBe("-Infinity");
  });

  test("refuses what is no state and keeps its own", () => {
    const schedule = onPlateau();
    schedule.report(4);
    const good = schedule.state;
    const bad = [
      null,
      {},
      { ...good, best: Number.NaN },
      { ...good, best: null },
      { ...good, badCount: -1 },
      { ...good, cooldownCount: 0.5 },
      { ...good, factor: 1.5 },
      { ...good, factor: Number.NaN },
      { ...good, other: 1 },
    ];
    for (const state of bad) {
      expect(caught(() => schedule.restore(state as never)).code).toBe("invalid-schedule");
      expect(schedule.state).toEqual(good);
    }
  });

  test("composes: inside a warm-up it acts from the end of the warm-up, and its state is in the JSON", () => {
    const plateau = onPlateau({ factor: 0.5, patience: 0 });
    const schedule = warmup(4, plateau);
    plateau.report(1);
    plateau.report(1);
    expect([0, 2, 4, 9].map((s) => schedule(s))).toEqual([0, 0.5, 0.5, 0.5]);
    const restored = scheduleFromJSON(JSON.parse(JSON.stringify(schedule)));
    expect(restored(4)).toBe(0.5);
    // The inner schedule, to report to, is in the spec.
    (restored.spec.schedule as PlateauSchedule).report(1);
    expect(restored(4)).toBe(0.25);
    expect(schedule(4)).toBe(0.5);
  });
});
