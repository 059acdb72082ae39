// Figures of public test suites, in their own words (test/vectors/published/schedules.json cites each), through the
// importers.
import { describe, expect, test } from "vitest";
import { type ImportedSchedule, scheduleFromFramework } from "../../src/frameworks/schedules/index.js";
import { adam } from "../../src/kernels.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { isPlateauSchedule } from "../../src/schedules/plateau.js";
import { normal } from "../../src/schedules/random-numbers.js";
import published from "../vectors/published/schedules.json";

type Params = Readonly<Record<string, unknown>>;

/** A case of the file; what it does not have, its kind of case does not need. */
interface PublishedCase {
  readonly id: string;
  readonly schedule: string;
  readonly kind: string;
  readonly hyperparameters: Params;
  readonly steps: readonly number[];
  readonly values: readonly number[];
  readonly momentum?: readonly number[];
  readonly tolerance_in_source: { readonly rtol?: number; readonly atol?: number };
  readonly noise_std_before_cosine_factor?: readonly number[];
}

const cases = published.cases as unknown as readonly PublishedCase[];

/** The file's short names of schedules. */
const names: Readonly<Record<string, string>> = {
  polynomial: "polynomial_schedule",
  "piecewise_constant(scale)": "piecewise_constant_schedule",
  exponential: "exponential_decay",
  "exponential with end_value": "exponential_decay",
  cosine: "cosine_decay_schedule",
  warmup_cosine: "warmup_cosine_decay_schedule",
  sgdr: "sgdr_schedule",
  piecewise_interp: "piecewise_interpolate_schedule",
  piecewise_interpolate: "piecewise_interpolate_schedule",
  linear_onecycle: "linear_onecycle_schedule",
  "StepLR+MultiStepLR on one optimizer": "ChainedScheduler",
};

/** The file's short names of parameters, by framework. */
const parameters: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  keras: { initial: "initial_learning_rate", end: "end_learning_rate" },
  tf1: { initial: "learning_rate" },
  optax: {
    init: "init_value",
    end: "end_value",
    peak: "peak_value",
    type: "interpolate_type",
    cycles: "cosine_kwargs",
  },
  torch: { anneal: "anneal_strategy", initial_lr: "base_lr" },
};

function rename(params: Params, by: Readonly<Record<string, string>>): Params {
  const inner = (value: unknown) =>
    Array.isArray(value) && typeof value[0] === "object"
      ? value.map((item: Params) => ("type" in item ? item : rename(item, by)))
      : value;
  return Object.fromEntries(Object.entries(params).map(([key, value]) => [by[key] ?? key, inner(value)]));
}

function importCase({ id, schedule, hyperparameters }: PublishedCase): ImportedSchedule {
  const [source = ""] = id.split("/");
  const { metrics: _, ...params } = rename(hyperparameters, parameters[source]!);
  const name = names[schedule] ?? schedule;
  if (source !== "torch")
    return scheduleFromFramework(source === "tf1" ? "tensorflow1" : source, name, params);
  if (name === "CyclicLR") return scheduleFromFramework("pytorch", name, params);
  const { base_lr, ...rest } = params;
  return scheduleFromFramework("pytorch", name, rest, base_lr as number | undefined);
}

/** Cases that are not the rates of a schedule, or of several, and have a test of their own below. */
const apart = [
  "keras/fit/loss_history",
  "optax/polynomial/zero_steps",
  "tf1/noisy_linear_cosine/default",
  "tf1/noisy_linear_cosine/nondefault",
];

// All others hold to 1e-12, like the vectors, though their sources compare at 1e-3 to 1e-7 (that is for float32), but:
const looser: Readonly<Record<string, readonly [tolerance: number, why: string]>> = {
  "optax/cosine/giant_steps": [1e-7, "printed with eight digits"],
  "optax/warmup_cosine/exponent2": [1e-6, "printed as float32 gave it"],
};

function expectClose(got: number, expected: number, tolerance: number, what: string): void {
  const error = Math.abs(got - expected);
  expect(error, `${what}: got ${got}, expected ${expected}`).toBeLessThanOrEqual(
    tolerance * Math.abs(expected),
  );
}

const find = (id: string) => cases.find((given) => given.id === id)!;

describe("published figures", () => {
  test("the file has its 68 cases", () => expect(cases.length).toBe(68));

  const run = cases.filter(({ id }) => !apart.includes(id));
  test.each(run.map((given) => [given.id, given] as const))("%s", (id, given) => {
    const { lr, schedule, momentum } = importCase(given);
    const [tolerance] = looser[id] ?? [1e-12];
    const metrics = given.hyperparameters.metrics as readonly number[] | undefined;
    expect(isPlateauSchedule(schedule)).toBe(metrics !== undefined);
    expect(given.values.length).toBe(given.steps.length);
    given.steps.forEach((s, i) => {
      // Of a plateau the source prints the rate after the report.
      if (isPlateauSchedule(schedule)) schedule.report(metrics![i]!);
      expectClose(lr * schedule(s), given.values[i]!, tolerance, `rate at step ${s}`);
      if (given.momentum) expectClose(momentum!(s), given.momentum[i]!, tolerance, `momentum at step ${s}`);
    });
  });

  test("optax/polynomial/zero_steps: with no or negative steps it stays where it begins", () => {
    const given = find("optax/polynomial/zero_steps");
    const counts = given.hyperparameters.transition_steps as readonly number[];
    expect(counts).toEqual([-1, 0]);
    for (const transition_steps of counts) {
      const { lr, schedule } = importCase({
        ...given,
        hyperparameters: { ...given.hyperparameters, transition_steps },
      });
      expect(given.steps.map((s) => lr * schedule(s))).toEqual(given.values);
    }
  });

  // The source checks no figure of it; the file has the mean and the deviation.
  test.each(["tf1/noisy_linear_cosine/default", "tf1/noisy_linear_cosine/nondefault"])(
    "%s: its mean, and the deviation of its noise",
    (id) => {
      const given = find(id);
      const make = (changed: Params) =>
        importCase({ ...given, hyperparameters: { ...given.hyperparameters, ...changed } }).schedule;
      const mean = make({ initial_variance: 0 });
      const { num_periods, decay_steps } = given.hyperparameters as Record<string, number>;
      let noisy = 0;
      given.steps.forEach((s, i) => {
        expectClose(mean(s), given.values[i]!, 1e-12, `mean at step ${s}`);
        const clipped = Math.min(s, decay_steps!);
        const cosine = 0.5 * (1 + Math.cos((2 * Math.PI * num_periods! * clipped) / decay_steps!));
        if (cosine < 1e-9) return;
        noisy++;
        for (const seed of [1, 2, 3]) {
          const deviation = (make({ seed })(s) - mean(s)) / cosine / normal(seed, clipped);
          // Noise and cosine are small against the mean, so that the difference loses some digits.
          expectClose(deviation, given.noise_std_before_cosine_factor![i]!, 1e-9, `deviation at step ${s}`);
        }
      });
      expect(noisy).toBeGreaterThanOrEqual(4);
    },
  );

  test("keras/fit/loss_history: Adam under the schedule, through the reference", () => {
    const given = find("keras/fit/loss_history");
    const { initial, decay_steps, decay_rate, batch_size, epochs } = given.hyperparameters as Record<
      string,
      number
    >;
    const { lr, schedule } = importCase({
      ...given,
      schedule: "ExponentialDecay",
      hyperparameters: { initial, decay_steps, decay_rate },
    });
    // Keras has ε beside √v before the correction; against gradients of some hundreds it is nothing.
    const { row, options } = adam({ eps: 1e-7 });
    // Dense(2) on two inputs: kernel [[k00, k01], [k10, k11]], then the bias, all ones.
    let parameters: Float64Array = Float64Array.of(1, 1, 1, 1, 1, 1);
    let state = referenceState(row.name, options, parameters.length);
    const examples = Array.from({ length: 16 }, (_, i) => [2 * i, 2 * i + 1] as const);
    let t = 0;
    for (let epoch = 0; epoch < epochs!; epoch++) {
      const losses: number[] = [];
      for (let from = 0; from < examples.length; from += batch_size!) {
        const batch = examples.slice(from, from + batch_size!);
        const gradient = new Float64Array(parameters.length);
        let loss = 0;
        for (const x of batch)
          for (const output of [0, 1] as const) {
            const [k0, k1, bias] = [parameters[output]!, parameters[2 + output]!, parameters[4 + output]!];
            const error = k0 * x[0] + k1 * x[1] + bias - x[output];
            const weight = 1 / (2 * batch.length);
            loss += error * error * weight;
            gradient[output]! += 2 * error * x[0] * weight;
            gradient[2 + output]! += 2 * error * x[1] * weight;
            gradient[4 + output]! += 2 * error * weight;
          }
        losses.push(loss);
        const rate = lr * schedule(t);
        t++;
        ({ parameters, state } = referenceStep(
          row.name,
          options,
          { t, lr: rate },
          parameters,
          gradient,
          state,
        ));
      }
      const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
      // The source's tolerance: it trains in float32.
      expectClose(mean, given.values[epoch]!, given.tolerance_in_source.rtol!, `loss of epoch ${epoch}`);
    }
  });
});
