// A ball with momentum gets over what stops plain gradient descent at the same rate after as many steps.
import { describe, expect, test } from "vitest";
import { momentum, nesterov, nesterovLookahead, sgd } from "../../src/index.js";
import { descend } from "../support/descend.js";
import { useDevice } from "../support/device.js";

const watched = useDevice();

/** Surfaces over (x, y), by their gradients. Where gradient descent stops was computed in float64. */
const surfaces = [
  {
    // Two slopes with next to nothing between them: |∂f/∂x| is 1.3e-3 at x = 0. The bowl's floor is where
    // x − 3 = 2·exp(−2(x − 2)²).
    name: "a plateau between two slopes",
    lr: 0.05,
    start: [-3, 1],
    slope: `
fn slope(i: u32) -> f32 {
  let left = x[0] + 2;
  let right = x[0] - 2;
  return select(x[1], -2 * exp(-2 * left * left) - 2 * exp(-2 * right * right) + max(x[0] - 3, 0), i == 0);
}`,
    stops: [-0.4146, 0],
    ends: [3.1452, 0],
  },
  {
    // f = x²/2 − y²/2 + y⁴/4: a saddle at the origin, minima at y = ±1.
    name: "a saddle",
    lr: 0.02,
    start: [1, 1e-6],
    slope: "fn slope(i: u32) -> f32 { return select(x[1] * x[1] * x[1] - x[1], x[0], i == 0); }",
    stops: [0.0023, 0.0004],
    ends: [0, 1],
  },
  {
    // f = x²/4 − cos 2x + y²/2: a shallow minimum at x = 2.7607, the deepest at the origin.
    name: "a shallow minimum",
    lr: 0.05,
    start: [4, 1],
    slope: "fn slope(i: u32) -> f32 { return select(x[1], 0.5 * x[0] + 2 * sin(2 * x[0]), i == 0); }",
    stops: [2.7607, 0],
    ends: [0, 0],
  },
] as const;

const STEPS = 300;
// Half a unit of the last digit given, and the roundings and the transcendental functions of f32 on top.
const TOLERANCE = 1e-4;

describe.each(surfaces)("$name", ({ lr, start, slope, stops, ends }) => {
  test.each([
    ["gradient descent stops", sgd({ lr }), stops],
    ["momentum gets over it", momentum({ lr }), ends],
    ["Polyak's velocity gets over it", momentum({ lr, form: "velocity" }), ends],
    ["Nesterov's shifted form gets over it", nesterov({ lr }), ends],
    ["Nesterov's look-ahead gets over it", nesterovLookahead({ lr }), ends],
  ] as const)("%s", async (_, rule, expected) => {
    const end = await descend(watched().device, { rule, start, slope, steps: STEPS });
    end.forEach((value, i) => {
      expect(Math.abs(value - expected[i]!), `${"xy"[i]} = ${value}`).toBeLessThanOrEqual(TOLERANCE);
    });
  });
});
