import { describe, expect, test } from "vitest";
import { OptimError, type OptimErrorCode } from "../../src/errors.js";
import { lrRangeTest, type RangeTest, scheduleFromJSON } from "../../src/schedules/index.js";
import { normal } from "../../src/schedules/random-numbers.js";

function refused(code: OptimErrorCode, make: () => unknown): void {
  let thrown: unknown;
  try {
    make();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(OptimError);
  expect((thrown as OptimError).code).toBe(code);
}

/** Reports a loss for each rate until the test is done, and gives the number of steps. */
function sweep(range: RangeTest, loss: (rate: number, step: number) => number): number {
  let step = 0;
  for (; !range.done; step++) range.report(loss(range.schedule(step), step));
  return step;
}

describe("the learning-rate range test", () => {
  test("the rate grows from start to end, by a factor or by an amount", () => {
    for (const mode of ["exponential", "linear"] as const) {
      const { schedule } = lrRangeTest({ start: 0.01, end: 100, steps: 101, mode });
      const middle = mode === "exponential" ? 1 : 50.005;
      expect(schedule(0)).toBeCloseTo(0.01, 15);
      expect(Math.abs(schedule(50) / middle - 1)).toBeLessThan(1e-12);
      expect(Math.abs(schedule(100) / 100 - 1)).toBeLessThan(1e-12);
      expect(scheduleFromJSON(JSON.parse(JSON.stringify(schedule)))(37)).toBe(schedule(37));
    }
  });

  test("finds the steepest fall of a known curve, through noise", () => {
    // A logistic fall around 1e-3, then a rise past 0.3 to the point of divergence.
    const curve = (rate: number) => 2 / (1 + rate / 1e-3) + 0.2 + (rate / 0.3) ** 2;
    const range = lrRangeTest({ steps: 700 });
    const steps = sweep(range, (rate, step) => curve(rate) + 0.03 * normal(7, step));
    expect(steps).toBeLessThan(700);
    const { rate, steepest, minimum } = range.suggestion!;
    // One tenth of a decade is ten steps, and the window has thirty-five.
    expect(Math.abs(Math.log10(steepest / 1e-3))).toBeLessThan(0.25);
    // By calculus the minimum is at 0.045 (2·1e-3/r² = 2r/0.09).
    expect(Math.abs(Math.log10(minimum / 0.045))).toBeLessThan(0.3);
    expect(rate).toBe(Math.max(steepest, minimum / 10));
  });

  test("gradient descent diverges past 2 over the curvature, and the proposal is below", () => {
    // ½Σhθ² with curvatures 1 and 10: stable below 0.2.
    let theta = [1, 1];
    const curvature = [1, 10];
    const range = lrRangeTest({ start: 1e-4, end: 10, steps: 400 });
    const steps = sweep(range, (rate) => {
      const loss = theta.reduce((sum, value, i) => sum + 0.5 * curvature[i]! * value * value, 1);
      theta = theta.map((value, i) => value - rate * curvature[i]! * value);
      return loss;
    });
    expect(steps).toBeLessThan(400);
    expect(range.schedule(steps - 1)).toBeGreaterThan(0.2);
    expect(range.suggestion!.rate).toBeLessThan(0.2);
    expect(range.suggestion!.rate).toBeGreaterThan(1e-3);
    const { rates, losses } = range.curve;
    expect(rates.length).toBe(losses.length);
    expect(rates).toEqual([...rates].sort((a, b) => a - b));
  });

  test("the curve is a centred mean, shorter at the ends", () => {
    const range = lrRangeTest({ start: 1, end: 2, steps: 80 });
    for (const loss of [8, 6, 4, 5, 3, 7]) range.report(loss);
    // A fortieth of the steps to either side: two.
    expect(range.curve.losses).toEqual([6, 23 / 4, 26 / 5, 25 / 5, 19 / 4, 5]);
    expect(range.done).toBe(false);
  });

  test("divergence is four times the lowest mean of the latest losses, or what is not finite", () => {
    const make = (...losses: number[]) => {
      const range = lrRangeTest({ steps: 40 });
      for (const loss of losses) range.report(loss);
      return range;
    };
    // Means of two: 1, then (1 + 7)/2 = 4 is not above 4, (7 + 1.1)/2 is.
    expect(make(1, 1, 7).done).toBe(false);
    expect(make(1, 1, 7, 1.1).done).toBe(true);
    for (const loss of [Number.NaN, Infinity]) {
      const range = make(1, 1, loss);
      expect(range.done).toBe(true);
      range.report(0.5);
      expect(range.curve.losses).toEqual([1, 1]);
    }
    const whole = make(...Array.from({ length: 45 }, () => 1));
    expect(whole.done).toBe(true);
    expect(whole.curve.losses.length).toBe(40);
  });

  test("without a fall there is nothing to propose", () => {
    const range = lrRangeTest({ steps: 50 });
    expect(range.suggestion).toBeUndefined();
    sweep(range, (_, step) => 1 + step / 100);
    expect(range.suggestion).toBeUndefined();
    expect(range.toSVG()).not.toContain("proposed");
  });

  test("the picture holds the curve, both axes and the proposal, at every moment", () => {
    for (const mode of ["exponential", "linear"] as const) {
      const range = lrRangeTest({ start: 1e-4, end: 1, steps: 60, mode });
      const check = () => {
        const svg = range.toSVG();
        expect(svg).toMatch(/^<svg [^>]*>[\s\S]*<\/svg>\n$/);
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
        expect(svg.split("<text").length).toBe(svg.split("</text>").length);
        return svg;
      };
      check();
      for (let s = 0; s < 60; s++) {
        range.report(1 / (1 + 100 * range.schedule(s)));
        check();
      }
      const svg = check();
      expect(svg).toContain("smoothed training loss");
      expect(svg).toContain(mode === "exponential" ? "learning rate (log scale)" : "learning rate<");
      expect(svg).toContain(`proposed ${Number(range.suggestion!.rate.toPrecision(3))}`);
      expect(svg).toContain("prefers-color-scheme: dark");
      expect(/points="([^"]*)"/.exec(svg)![1]!.split(" ").length).toBe(60);
    }
  });

  test.each([
    ["no steps", {}],
    ["too few steps", { steps: 9 }],
    ["a fraction of steps", { steps: 10.5 }],
    ["a range turned round", { steps: 100, start: 1, end: 0.1 }],
    ["a range of one rate", { steps: 100, start: 1, end: 1 }],
    ["a start of 0", { steps: 100, start: 0 }],
    ["an infinite end", { steps: 100, end: Infinity }],
    ["another mode", { steps: 100, mode: "log" }],
    ["an unknown option", { steps: 100, beta: 0.98 }],
  ])("%s is refused", (_name, options) => refused("invalid-schedule", () => lrRangeTest(options as never)));

  test("what is no number is refused", () => {
    for (const loss of [undefined, null, "1"])
      refused("invalid-argument", () => lrRangeTest({ steps: 100 }).report(loss as never));
  });
});
