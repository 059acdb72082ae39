import { describe, expect, test } from "vitest";
import {
  clamped,
  cosine,
  exponential,
  linear,
  linearCosine,
  multistep,
  naturalExponential,
  onPlateau,
  piecewiseConstant,
  polynomial,
  type Schedule,
  sequential,
  step,
} from "../../src/schedules/index.js";
import constantLR from "../vectors/pytorch/schedules/ConstantLR.json";
import cosineAnnealingLR from "../vectors/pytorch/schedules/CosineAnnealingLR.json";
import exponentialLR from "../vectors/pytorch/schedules/ExponentialLR.json";
import linearLR from "../vectors/pytorch/schedules/LinearLR.json";
import multiStepLR from "../vectors/pytorch/schedules/MultiStepLR.json";
import polynomialLR from "../vectors/pytorch/schedules/PolynomialLR.json";
import reduceLROnPlateau from "../vectors/pytorch/schedules/ReduceLROnPlateau.json";
import sequentialLR from "../vectors/pytorch/schedules/SequentialLR.json";
import stepLR from "../vectors/pytorch/schedules/StepLR.json";
import textbook from "../vectors/textbook/schedules/textbook.json";

// Float64 against float64: formulas written differently part by some ulps (2.2e-16 each), and PyTorch's chained forms
// gather about one ulp a step over 60 steps. 1e-12 leaves room for that and for nothing else.
const relativeTolerance = 1e-12;

function expectRate(got: number, expected: number, what: string): void {
  expect(Math.abs(got - expected), `${what}: got ${got}, expected ${expected}`).toBeLessThanOrEqual(
    relativeTolerance * Math.abs(expected),
  );
}

/** Reads a number that the case must have. */
function number(params: object, name: string): number {
  const value = (params as Record<string, unknown>)[name];
  if (typeof value !== "number") throw new Error(`the case has no number '${name}'`);
  return value;
}

/** The schedule of a case in the textbook's names; rates become factors on the base rate. */
function textbookSchedule(name: string, params: object): Schedule {
  const get = (option: string) => number(params, option);
  const lr = name === "piecewise-constant" ? 1 : get("lr");
  switch (name) {
    case "exponential":
    case "exponential-staircase":
      return exponential({
        rate: get("decay_rate"),
        steps: get("decay_steps"),
        staircase: name === "exponential-staircase",
      });
    case "exponential-per-step":
      return exponential({ rate: get("gamma") });
    case "exponential-one-minus-gamma":
      return exponential({ rate: 1 - get("gamma") });
    case "clamped-exponential":
      return clamped(exponential({ rate: 1 - get("gamma") }), { min: get("min") / lr, max: get("max") / lr });
    case "clamped-linear":
      return clamped(linear({ end: 0, steps: get("decay_steps") }), { min: get("min") / lr });
    case "natural-exponential":
      return naturalExponential({ rate: get("decay_rate") });
    case "polynomial":
    case "polynomial-cycle":
      return polynomial({
        steps: get("decay_steps"),
        end: get("end") / lr,
        power: get("power"),
        cycle: name === "polynomial-cycle",
      });
    case "cosine":
      return cosine({ steps: get("decay_steps"), alpha: get("alpha") });
    case "linear-cosine":
      return linearCosine({
        steps: get("decay_steps"),
        alpha: get("alpha"),
        beta: get("beta"),
        periods: get("num_periods"),
      });
    case "linear":
      return linear({ end: get("end") / lr, steps: get("total") });
    case "piecewise-constant":
      // Its values are rates: base rate 1.
      return piecewiseConstant(params as { boundaries: number[]; values: number[] });
    default:
      throw new Error(`no schedule for the textbook's '${name}'`);
  }
}

describe("textbook schedules", () => {
  test("the file has its thirteen cases", () => expect(textbook.cases.length).toBe(13));

  test.each(textbook.cases.map((given) => [given.id, given] as const))("%s", (_id, given) => {
    const lr = "lr" in given.params ? number(given.params, "lr") : 1;
    const schedule = textbookSchedule(given.schedule, given.params);
    expect(given.steps.length).toBe(given.learning_rates.length);
    given.steps.forEach((s, i) => {
      expectRate(lr * schedule(s), given.learning_rates[i]!, `${given.id} at step ${s}`);
    });
  });
});

interface PyTorchCase<P> {
  readonly id: string;
  readonly base_lr: number;
  readonly learning_rates: readonly number[];
  readonly params: P;
}

/** Compares every case of a PyTorch file with the schedule made of its parameters. */
function compare<P>(cases: readonly PyTorchCase<P>[], make: (params: P, lr: number) => Schedule): void {
  expect(cases.length).toBeGreaterThan(0);
  for (const { id, base_lr, learning_rates, params } of cases) {
    const schedule = make(params, base_lr);
    expect(learning_rates.length).toBe(60);
    learning_rates.forEach((expected, s) => {
      expectRate(base_lr * schedule(s), expected, `${id} at step ${s}`);
    });
  }
}

describe("PyTorch schedules", () => {
  test("StepLR", () => compare(stepLR.cases, (p) => step({ size: p.step_size, gamma: p.gamma })));

  test("MultiStepLR", () => compare(multiStepLR.cases, (p) => multistep(p)));

  test("ConstantLR", () =>
    compare(constantLR.cases, (p) =>
      piecewiseConstant({ boundaries: [p.total_iters], values: [p.factor, 1], boundary: "at" }),
    ));

  test("LinearLR", () =>
    compare(linearLR.cases, (p) =>
      linear({ start: p.start_factor, end: p.end_factor, steps: p.total_iters }),
    ));

  test("ExponentialLR", () => compare(exponentialLR.cases, (p) => exponential({ rate: p.gamma })));

  test("CosineAnnealingLR", () =>
    compare(cosineAnnealingLR.cases, (p, lr) =>
      cosine({ steps: p.T_max, alpha: p.eta_min / lr, periodic: true }),
    ));

  test("PolynomialLR", () =>
    compare(polynomialLR.cases, (p) => polynomial({ steps: p.total_iters, power: p.power })));

  test("SequentialLR", () =>
    compare(sequentialLR.cases, ({ warmup, then, milestone }) =>
      sequential(
        [
          linear({ start: warmup.start_factor, end: warmup.end_factor, steps: warmup.total_iters }),
          exponential({ rate: then.gamma }),
        ],
        [milestone],
      ),
    ));

  test.each(reduceLROnPlateau.cases.map((given) => [given.id, given] as const))("%s", (id, given) => {
    const { params, base_lr, metrics, learning_rates } = given;
    const schedule = onPlateau({
      mode: params.mode as "min" | "max",
      factor: params.factor,
      patience: params.patience,
      threshold: params.threshold,
      thresholdMode: params.threshold_mode === "rel" ? "relative" : "absolute",
      cooldown: params.cooldown,
      minimum: params.min_lr / base_lr,
      eps: 1e-8 / base_lr,
    });
    expect(metrics.length).toBe(60);
    metrics.forEach((metric, s) => {
      expectRate(base_lr * schedule(s), learning_rates[s]!, `${id} at step ${s}`);
      schedule.report(metric);
    });
    // Had it never reduced, the case would show nothing.
    expect(schedule.state.factor).toBeLessThan(0.1);
  });
});
