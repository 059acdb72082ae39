import { describe, expect, test } from "vitest";
import {
  adadelta,
  adagrad,
  adam,
  adamax,
  adamw,
  ademamix,
  ftrl,
  momentum,
  nadam,
  nesterovLookahead,
  novograd,
  prodigy,
  rmspropCentered,
  rmspropMomentum,
  rmspropNesterov,
  rules,
  scheduleFreeAdamw,
  scheduleFreeSgd,
  sgd,
} from "../../src/kernels.js";
import { reference } from "../../src/reference/rules.js";
import {
  referenceCurvature,
  referenceLookahead,
  referenceState,
  referenceStep,
} from "../../src/reference/step.js";
import { bounded, largest, square, sum } from "../../src/reference/summands.js";
import { type Rule, scalarsAt } from "../../src/rule.js";

const f64 = (...values: number[]) => Float64Array.from(values);

/** Steps of one element, with the gradient of each; the results of every step. */
function run({ row, options }: Rule, parameter: number, gradients: readonly number[], lr = options.lr) {
  let parameters: Float64Array = f64(parameter);
  let state = referenceState(row.name, options, parameters);
  return gradients.map((gradient, i) => {
    const step = referenceStep(row.name, options, { t: i + 1, lr }, parameters, f64(gradient), state);
    ({ parameters, state } = step);
    return { ...step, parameter: parameters[0]! };
  });
}

describe("rows and references are the same rules", () => {
  test("name for name", () => {
    expect(Object.keys(reference)).toEqual(rules.map(({ row }) => row.name));
  });

  test.each(rules.map((rule) => [rule.row.name, rule] as const))(
    "%s: states and look-ahead",
    (name, rule) => {
      const { options, row } = rule();
      const initial = reference[name]!.initial(options, 0);
      expect(Object.keys(initial)).toEqual(row.shader.states);
      const started = reference[name]!.initial(options, 7);
      for (const state of row.shader.states) {
        const copied = row.startsAtParameter?.includes(state) ?? false;
        expect(started[state]).toBe(copied ? 7 : (row.initial?.(options)[state] ?? 0));
      }
      if (row.shader.settled.length > 0) {
        const settled = reference[name]!.settled!(options);
        expect(Object.keys(settled)).toEqual(row.shader.settled);
        for (const value of row.shader.settled)
          expect(settled[value]).toBe(row.initial?.(options)[value] ?? 0);
      }
      expect(reference[name]!.measure !== undefined).toBe(row.shader.sums.length > 0);
      expect(reference[name]!.curvature !== undefined).toBe(row.shader.curvature);
      expect(reference[name]!.ownDecay).toBe(row.ownDecay);
      expect(reference[name]!.lookahead !== undefined).toBe(row.shader.lookahead);
    },
  );

  // Prodigy keeps its rate until it has come further than d0.
  const kept = ["d", "next_d", "ratio"];
  // Step sizes of Rprop move from the second step on.
  test.each(rules.map((rule) => [rule.row.name, rule] as const))(
    "%s: two steps change every state",
    (name, rule) => {
      const { options } = rule();
      const start = f64(1, -2);
      const before = referenceState(name, options, start);
      const given = reference[name]!.curvature
        ? referenceCurvature(name, options, f64(1, 2), before).state
        : before;
      const first = referenceStep(name, options, { t: 1, lr: 0.1, loss: 2 }, start, f64(0.5, 3), given);
      const after = referenceStep(
        name,
        options,
        { t: 2, lr: 0.1, loss: 1 },
        first.parameters,
        f64(0.75, 2.5),
        first.state,
      );
      expect(Object.keys(after.state)).toEqual(Object.keys(before));
      // Histories fill in more steps.
      for (const state of Object.keys(before).filter((state) => !kept.includes(state)))
        if (reference[name]!.arrays && after.state[state]!.length > start.length)
          expect(after.state[state]).not.toEqual(before[state]);
        else
          for (const [i, value] of after.state[state]!.entries()) expect(value).not.toBe(before[state]![i]);
      for (const [i, value] of after.parameters.entries()) {
        expect(value).not.toBe(start[i]);
        expect(after.largest.parameters[i]).toBeGreaterThanOrEqual(Math.abs(value) / 4);
      }
    },
  );
});

describe("forms of momentum under a rate that changes", () => {
  // Two steps with g = 1 and μ = ½, the second at half the rate; by hand, exact in binary.
  const twoSteps = ({ row, options }: Rule) => {
    const first = referenceStep(
      row.name,
      options,
      { t: 1, lr: 1 },
      f64(0),
      f64(1),
      referenceState(row.name, options, 1),
    );
    return referenceStep(row.name, options, { t: 2, lr: 0.5 }, first.parameters, f64(1), first.state);
  };
  test.each([
    ["buffer", momentum({ momentum: 0.5 }), -1 - 0.5 * 1.5, 1.5],
    [
      "buffer, dampened from the second step",
      momentum({ momentum: 0.5, dampening: 0.75 }),
      -1 - 0.5 * 0.75,
      0.75,
    ],
    ["velocity", momentum({ momentum: 0.5, form: "velocity" }), -1 - 1, 1],
    ["average", momentum({ momentum: 0.5, form: "average" }), -0.5 - 0.5 * 0.75, 0.75],
    ["look-ahead", nesterovLookahead({ momentum: 0.5 }), -1 - 1, 1],
  ] as const)("%s", (_form, rule, parameter, buffer) => {
    const { parameters, state } = twoSteps(rule);
    expect(parameters[0]).toBe(parameter);
    expect(state.momentum_buffer![0]).toBe(buffer);
  });

  test("RMSProp keeps the rate inside the buffer or outside", () => {
    const inside = twoSteps(rmspropMomentum({ momentum: 0.5, rateInside: true })).parameters[0]!;
    const outside = twoSteps(rmspropMomentum({ momentum: 0.5 })).parameters[0]!;
    const [q1, q2] = [0.01, 0.0199].map((v) => 1 / (Math.sqrt(v) + 1e-8)) as [number, number];
    // Four roundings of numbers near 20.
    expect(inside).toBeCloseTo(-q1 - (0.5 * q1 + 0.5 * q2), 12);
    expect(outside).toBeCloseTo(-q1 - 0.5 * (0.5 * q1 + q2), 12);
  });
});

describe("Schedule-Free rules", () => {
  // The authors' code keeps y and z only and changes both in place; the same sequence, by other arithmetic.
  test.each([
    ["sgd", scheduleFreeSgd({ lr: 0.5, momentum: 0.8, warmupSteps: 4, weightDecay: 0.1 }), 0.8, 0],
    ["adamw", scheduleFreeAdamw({ lr: 0.5, beta1: 0.8, warmupSteps: 4, weightDecay: 0.1 }), 0.8, 0.999],
  ] as const)("%s steps as the authors' form in place", (_name, rule, beta, beta2) => {
    const gradients = Array.from({ length: 12 }, (_, i) => Math.sin(3 * i + 1));
    let [y, z, v, sum] = [2, 2, 0, 0];
    const expected = gradients.map((gradient, i) => {
      const t = i + 1;
      const rate = 0.5 * Math.min(1, t / 4) * (beta2 ? Math.sqrt(1 - beta2 ** t) : 1);
      v = beta2 * v + (1 - beta2) * gradient ** 2;
      const descent = gradient / (beta2 ? Math.sqrt(v) + 1e-8 : 1) + 0.1 * y;
      sum += rate ** 2;
      const weight = rate ** 2 / sum;
      y += weight * (z - y) + rate * (beta * (1 - weight) - 1) * descent;
      z -= rate * descent;
      return { y, z, x: (y - (1 - beta) * z) / beta };
    });
    for (const [i, { parameter, state }] of run(rule, 2, gradients).entries()) {
      expect(parameter).toBeCloseTo(expected[i]!.y, 12);
      expect(state.z![0]).toBeCloseTo(expected[i]!.z, 12);
      expect(state.x![0]).toBeCloseTo(expected[i]!.x, 12);
    }
  });

  test("the first steps of a state that begins at the parameter need the parameter", () => {
    const { row, options } = scheduleFreeSgd();
    expect(() => referenceState(row.name, options, 3)).toThrow(/'z' of schedule-free-sgd begins as/);
    expect(referenceState(row.name, options, f64(1, 2)).x).toEqual(f64(1, 2));
  });
});

describe("cautious updates", () => {
  // Buffers come to 3, 1, −1 and 2: two of four take the gradient's way.
  const state = { momentum_buffer: f64(4, 4, -4, 0) };
  const gradient = f64(1, -1, 1, 2);
  test.each([
    ["off", [3, 1, -1, 2]],
    ["scaled", [6, 0, 0, 4]],
    ["paper", [4, 0, 0, 8 / 3]],
  ] as const)("%s, with decay that is not held back", (cautious, taken) => {
    const { row, options } = momentum({
      lr: 1,
      momentum: 0.5,
      cautious,
      weightDecay: 0.1,
      decay: "decoupled",
    });
    const { parameters, state: after } = referenceStep(
      row.name,
      options,
      { t: 2, lr: 1 },
      f64(10, 10, 10, 10),
      gradient,
      state,
    );
    taken.forEach((update, i) => {
      expect(parameters[i]).toBeCloseTo(10 - update - 1, 12);
    });
    expect([...after.momentum_buffer!]).toEqual([3, 1, -1, 2]);
  });

  test("are scaled by a thousand at most", () => {
    const { row, options } = momentum({ lr: 1, momentum: 0.5, cautious: "scaled" });
    const length = 4000;
    const buffers = new Float64Array(length).fill(-4);
    const at = { t: 2, lr: 1 };
    const zeros = new Float64Array(length);
    const ones = new Float64Array(length).fill(1);
    buffers[7] = 0;
    const { parameters } = referenceStep(row.name, options, at, zeros, ones, { momentum_buffer: buffers });
    expect(parameters[7]).toBe(-1000);
    expect(parameters.filter((value) => value !== 0)).toHaveLength(1);
  });
});

describe("what is summed over a tensor", () => {
  test("NovoGrad divides by an average of the tensor's norm", () => {
    const { row, options } = novograd({ lr: 1, beta1: 0.5, beta2: 0.75, eps: 1e-12 });
    const state = referenceState(row.name, options, 2);
    const first = referenceStep(row.name, options, { t: 1, lr: 1 }, f64(1, 1), f64(3, 4), state);
    // ‖g‖ = 5: the first v is its square.
    expect([...first.parameters]).toEqual([expect.closeTo(1 - 3 / 5, 10), expect.closeTo(1 - 4 / 5, 10)]);
    const second = referenceStep(row.name, options, { t: 2, lr: 1 }, f64(0, 0), f64(0, 15), first.state);
    expect(second.state.exp_avg_sq![0]).toBe(0.75 * 25 + 0.25 * 225);
    expect(second.parameters[1]).toBeCloseTo(-(0.5 * 0.8 + 15 / Math.sqrt(75)), 10);
  });

  test("Prodigy's rate grows to the distance and no further", () => {
    const { row, options } = prodigy();
    // f = Σ|θ − 3|, whose distance from the start is 3 in every direction.
    let parameters: Float64Array = f64(0, 0, 0);
    let state = referenceState(row.name, options, parameters);
    const estimates: number[] = [];
    for (let t = 1; t <= 400; t++) {
      const gradients = parameters.map((value) => Math.sign(value - 3));
      const at = { t, lr: 1 };
      ({ parameters, state } = referenceStep(row.name, options, at, parameters, gradients, state));
      estimates.push(state.next_d![0]!);
    }
    expect(estimates[0]).toBe(1e-6);
    for (const [i, estimate] of estimates.entries())
      expect(estimate).toBeGreaterThanOrEqual(estimates[i - 1] ?? 0);
    // d ≤ ‖x₀ − x*‖∞ for exact slopes of a convex function, up to how far steps go beyond the minimum.
    expect(estimates.at(-1)).toBeGreaterThan(0.3);
    expect(estimates.at(-1)).toBeLessThan(3.3);
    for (const value of parameters) expect(Math.abs(value - 3)).toBeLessThan(0.5);
  });
});

test("AdEMAMix warms alpha up in a line, and beta3 so that its half-life grows in a line", () => {
  const { row, options } = ademamix({ alpha: 8, beta3: 0.999, alphaWarmup: 100, beta3Warmup: 100 });
  const halfLife = (beta: number) => Math.log(0.5) / Math.log(beta);
  const at = (t: number) => scalarsAt(row, options, t, 1, []) as { slow_rate: number; beta3: number };
  for (const t of [1, 25, 50, 99]) {
    expect(at(t).slow_rate).toBeCloseTo((8 * t) / 100, 12);
    const line = (1 - t / 100) * halfLife(0.9) + (t / 100) * halfLife(0.999);
    expect(halfLife(at(t).beta3)).toBeCloseTo(line, 9);
  }
  for (const t of [100, 1000]) expect(at(t)).toMatchObject({ slow_rate: 8, beta3: 0.999 });
  // Without a fast average the line begins at 0; the row and the reference agree there too.
  const sudden = ademamix({ beta1: 0, beta3: 0.75, beta3Warmup: 4 });
  expect(run(sudden, 0, [1])[0]!.state.exp_avg_slow![0]).toBeCloseTo(1 - 0.75 ** 4, 12);
  expect(scalarsAt(sudden.row, sudden.options, 1, 1, []).beta3).toBeCloseTo(0.75 ** 4, 12);
});

test("FTRL at power −½ from zero is AdaGrad, at power 0 gradient descent", () => {
  const gradients = Array.from({ length: 10 }, (_, i) => Math.cos(2 * i) + 0.3);
  const values = (rule: Rule) => run(rule, 0, gradients).map(({ parameter }) => parameter);
  const near = (expected: readonly number[]) => expected.map((value) => expect.closeTo(value, 12));
  const initialAccumulatorValue = 0.1;
  expect(values(ftrl({ lr: 0.5, initialAccumulatorValue }))).toEqual(
    near(values(adagrad({ lr: 0.5, initialAccumulatorValue, eps: 0 }))),
  );
  expect(values(ftrl({ lr: 0.5, learningRatePower: 0 }))).toEqual(near(values(sgd({ lr: 0.5 }))));
});

describe("0/0 is no update", () => {
  test.each([
    ["adagrad", adagrad({ eps: 0 })],
    ["adagrad, ε inside", adagrad({ eps: 0, epsInside: true })],
    ["adamax", adamax({ eps: 0 })],
    ["rmsprop-nesterov", rmspropNesterov()],
  ])("%s", (_name, rule) => {
    const [none, one] = run(rule, 3, [0, 2]);
    expect(none!.parameter).toBe(3);
    expect(one!.parameter).toBeLessThan(3);
    for (const values of Object.values(none!.state)) expect(values[0]).toBe(0);
  });

  test("a constant gradient does not take the centered variance below zero", () => {
    for (const { parameter } of run(
      rmspropCentered(),
      1,
      Array.from({ length: 200 }, () => 0.1),
    ))
      expect(parameter).toBeLessThan(1);
  });
});

describe("stages around the rule", () => {
  const step = (rule: Rule, at: { lr: number; gradientScale?: number }, parameter = 2, gradient = 3) =>
    referenceStep(
      rule.row.name,
      rule.options,
      { t: 1, ...at },
      f64(parameter),
      f64(gradient),
      referenceState(rule.row.name, rule.options, 1),
    );

  test("the scale acts before coupled decay, the sign too", () => {
    const rule = sgd({ weightDecay: 0.5 });
    expect(step(rule, { lr: 1, gradientScale: 0.25 }).parameters[0]).toBe(2 - (0.75 + 1));
    const up = sgd({ weightDecay: 0.5, maximize: true });
    expect(step(up, { lr: 1, gradientScale: 0.25 }).parameters[0]).toBe(2 - (-0.75 + 1));
  });

  test("decoupled decay takes ηλθ of the old parameter", () => {
    expect(step(sgd({ weightDecay: 0.5, decay: "decoupled" }), { lr: 0.5 }).parameters[0]).toBe(
      2 - 0.5 - 1.5,
    );
    const decayed = step(adamw({ weightDecay: 0.5 }), { lr: 0.5 }).parameters[0]!;
    const plain = step(adam(), { lr: 0.5 }).parameters[0]!;
    // One rounding of numbers near 2.
    expect(decayed - plain).toBeCloseTo(-0.5, 15);
  });

  test("under look-ahead coupled decay is of the point, decoupled of the parameter", () => {
    const at = { t: 2, lr: 1 };
    const state = { momentum_buffer: f64(4) };
    const coupled = nesterovLookahead({ momentum: 0.5, weightDecay: 0.25 });
    const { name } = coupled.row;
    expect(referenceLookahead(name, coupled.options, f64(10), state)).toEqual(f64(8));
    const first = referenceStep(name, coupled.options, at, f64(10), f64(1), state);
    expect(first.state.momentum_buffer![0]).toBe(2 + 1 + 0.25 * 8);
    expect(first.parameters[0]).toBe(10 - 5);
    const decoupled = nesterovLookahead({ momentum: 0.5, weightDecay: 0.25, decay: "decoupled" });
    const second = referenceStep(name, decoupled.options, at, f64(10), f64(1), state);
    expect(second.state.momentum_buffer![0]).toBe(3);
    expect(second.parameters[0]).toBe(10 - 2.5 - 3);
  });

  test("a rule without look-ahead takes its gradient at the parameter", () => {
    const { row, options } = adam();
    const state = referenceState(row.name, options, 2);
    expect(referenceLookahead(row.name, options, f64(1, 2), state)).toEqual(f64(1, 2));
  });

  test("what is passed in stays as it is", () => {
    const { row, options } = nadam({ weightDecay: 0.1 });
    const [parameters, gradients] = [f64(1), f64(2)];
    const state = referenceState(row.name, options, 1);
    referenceStep(row.name, options, { t: 1, lr: 0.1 }, parameters, gradients, state);
    expect([parameters, gradients, state.exp_avg, state.exp_avg_sq]).toEqual([
      f64(1),
      f64(2),
      f64(0),
      f64(0),
    ]);
  });

  test("the rate of a step is the one passed, not the option", () => {
    expect(step(adadelta({ lr: 100 }), { lr: 0 }).parameters[0]).toBe(2);
  });
});

describe("largest summands", () => {
  test("count θ, the decay and every term of the update", () => {
    const { row, options } = sgd({ weightDecay: 1 });
    // θ = 1000 and g = −999.5: the gradient after decay is ½, of summands near 1000.
    const result = referenceStep(row.name, options, { t: 1, lr: 4 }, f64(1000), f64(-999.5), {});
    expect(result.parameters[0]).toBe(998);
    expect(result.largest.parameters[0]).toBe(4000);
  });

  test("count what cancels inside a state and inside a square", () => {
    const { row, options } = adam({ weightDecay: 1, beta1: 0.5, beta2: 0.5 });
    const state = referenceState(row.name, options, 1);
    const result = referenceStep(row.name, options, { t: 1, lr: 1 }, f64(1000), f64(-999), state);
    expect(result.state.exp_avg![0]).toBe(0.5);
    expect(result.largest.state.exp_avg![0]).toBe(500);
    expect(result.state.exp_avg_sq![0]).toBe(0.5);
    // An error of a summand enters twice.
    expect(result.largest.state.exp_avg_sq![0]).toBe(1000);
  });

  test("the centered variance keeps its digits where gradients hardly change", () => {
    // v − ḡ² = 2⁻ᵗ(1 − 2⁻ᵗ), which float64 itself loses as a difference at t = 60.
    const steps = run(
      rmspropCentered({ alpha: 0.5 }),
      1,
      Array.from({ length: 60 }, () => 1),
    );
    for (const t of [1, 26, 60]) {
      const variance = 2 ** -t * (1 - 2 ** -t);
      expect(steps[t - 1]!.state.square_dev![0]! / variance).toBeCloseTo(1, 12);
      const before = t === 1 ? 1 : steps[t - 2]!.parameter;
      const update = 0.01 / (Math.sqrt(variance) + 1e-8);
      expect((before - steps[t - 1]!.parameter) / update).toBeCloseTo(1, 6);
      expect(steps[t - 1]!.largest.parameters[0]).toBeLessThan(1e9);
    }
  });

  test("helpers", () => {
    expect(sum([1, 1e20, -1e20])).toBe(1);
    expect(sum([])).toBe(0);
    expect(largest([1, -3, 2])).toBe(3);
    expect(bounded(2, 1)).toEqual([2]);
    expect(sum(bounded(1e-9, 1e9))).toBe(1e-9);
    expect(sum(square([1000.5, -1000]))).toBe(0.25);
    expect(largest(square([1000.5, -1000]))).toBe(1000.5);
    expect(square([3])).toEqual([9]);
  });
});

describe("errors", () => {
  const { options } = adam();
  const state = () => referenceState("adam", options, 2);
  const at = { t: 1, lr: 0.1 };
  test("an unknown rule", () => {
    for (const name of ["adaam", "toString"]) {
      expect(() => referenceState(name, options, 1)).toThrow(
        expect.objectContaining({ code: "unknown-name" }),
      );
      expect(() => referenceStep(name, options, at, f64(1), f64(1), {})).toThrow(/sgd, momentum/);
    }
  });
  test("states of another rule, and lengths that differ", () => {
    const invalid = expect.objectContaining({ code: "invalid-argument" });
    expect(() => referenceStep("adam", options, at, f64(1, 2), f64(1, 2), {})).toThrow(invalid);
    expect(() => referenceStep("adam", options, at, f64(1, 2), f64(1), state())).toThrow(/gradients.*differ/);
    expect(() => referenceStep("adam", options, at, f64(1), f64(1), state())).toThrow(
      /State 'exp_avg'.*differ/,
    );
    expect(() => referenceLookahead("adam", options, f64(1), {})).toThrow(/exp_avg, exp_avg_sq/);
    expect(() => referenceStep("sgd", options, at, f64(1), f64(1), { sum: f64(1) })).toThrow(/no state/);
  });
});
