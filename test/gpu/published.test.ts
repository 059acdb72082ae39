// The numbers of public test suites, free-running on the GPU through the engine's own guards, averages and accumulation.
import { describe, expect, test } from "vitest";
import { createOptimizer, fromKeras, type OptimizerOptions, type StepReport, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { decayedByKeras, type PublishedRun, publishedRuns } from "../support/published.js";
import { record } from "../support/record.js";
import { flat, type Nested, type PublishedCase, publishedCase } from "../vectors/published.js";

const watched = useDevice();

/** f32 rounding of up to a hundred steps, each a handful of roundings of 6e-8 of the parameter or the update. */
const TOLERANCE = 2e-6;

type Values = ArrayLike<number>;

/** An optimizer over tensors that begin with these values; all is destroyed at the end. */
async function over<T>(
  initial: readonly Values[],
  options: Omit<OptimizerOptions, "parameters" | "groups">,
  use: (made: Awaited<ReturnType<typeof make>>) => Promise<T>,
): Promise<T> {
  const made = await make(initial, options);
  try {
    return await use(made);
  } finally {
    made.optimizer.destroy();
    for (const { buffer } of [...made.params, ...made.grads]) buffer.destroy();
  }
}

async function make(initial: readonly Values[], options: Omit<OptimizerOptions, "parameters" | "groups">) {
  const { device } = watched();
  const params = initial.map((values) => upload(device, values));
  const grads = initial.map((values) => upload(device, new Float32Array(values.length)));
  const parameters = params.map((param, index) => ({ name: `${index}`, param, grad: grads[index]! }));
  const optimizer = await createOptimizer(device, { ...options, parameters });
  return {
    optimizer,
    params,
    grads,
    set: (gradients: readonly Values[]) => {
      gradients.forEach((values, index) => {
        write(device, grads[index]!, values);
      });
    },
    read: () => read(device, params),
  };
}

/** Where values are off by more than the tolerance of 1 + the largest magnitude. */
function errors(got: readonly Values[], expected: readonly Values[], largest = expected): string[] {
  return expected.flatMap((values, tensor) =>
    Array.from(values).flatMap((value, i) => {
      const found = got[tensor]?.[i];
      const bound = TOLERANCE * (1 + Math.abs(largest[tensor]![i]!));
      return found !== undefined && Math.abs(found - value) <= bound
        ? []
        : [`${tensor}[${i}]: ${found}, expected ${value}`];
    }),
  );
}

/** All that is wrong with a run. */
const runErrors = ({ at, ...run }: PublishedRun, { initial, gradients, expected }: PublishedCase) =>
  over(initial, { ...run, stepsInFlight: 128 }, async ({ optimizer, params, grads }) => {
    const { after } = await record(watched().device, optimizer, {
      steps: gradients.length,
      grads,
      gradients: (t) => gradients[t - 1]!,
      watch: params,
      before: (t) => at && optimizer.groups[0]!.set(at(t)),
    });
    const largest = initial.map((start, k) =>
      start.map((value, i) => after.reduce((most, step) => Math.max(most, Math.abs(step[k]![i]!)), value)),
    );
    return [...expected].flatMap(([t, tensors]) => errors(after[t - 1]!, tensors, largest));
  });

describe("the kernels follow", () => {
  test.each(Object.entries(publishedRuns))("%s", async (id, run) => {
    expect(await runErrors(run, publishedCase(id))).toEqual([]);
  });

  test.each(decayedByKeras.map((run) => [run.rule.row.name, run] as const))(
    "keras/all/decoupled_weight_decay_3x: %s",
    async (_, run) => {
      expect(await runErrors(run, publishedCase("keras/all/decoupled_weight_decay_3x"))).toEqual([]);
    },
  );
});

/** Keras's SGD with these keys. */
const kerasSgd = (config: object) => fromKeras({ class_name: "SGD", config });

test("keras/optimizer/ema", async () => {
  const { initial, gradients, hyperparameters, results } = publishedCase("keras/optimizer/ema");
  const { ema_overwrite_frequency: frequency, ...config } = hyperparameters;
  await over(
    initial,
    kerasSgd({ ...config, use_ema: true }),
    async ({ optimizer, set, read: readParameters }) => {
      for (const { after_step: t, params, ema } of results) {
        set(gradients[t! - 1]!);
        optimizer.step();
        // What Keras overwrites the parameters with is the average, which the caller swaps in here.
        if (t !== frequency) expect(errors(await readParameters(), flat(params!))).toEqual([]);
        optimizer.swapAverage();
        expect(errors(await readParameters(), flat(ema as readonly Nested[]))).toEqual([]);
        if (t !== frequency) optimizer.swapAverage();
      }
    },
  );
});

describe("keras/optimizer/global_clip_norm", () => {
  const { vectors } = publishedCase("keras/optimizer/global_clip_norm");
  test.each(vectors.map((one) => [one.mode, one] as const))("%s", async (mode, { limit, input, output }) => {
    const given = flat(input);
    const zeros = given.map(({ length }) => new Float32Array(length));
    await over(zeros, kerasSgd({ learning_rate: 1, [mode]: limit }), async ({ optimizer, set, ...made }) => {
      set(given);
      optimizer.step();
      const clipped = flat(output).map((values) => values.map((value) => -value));
      expect(errors(await made.read(), clipped)).toEqual([]);
    });
  });
  test("all three are there", () => {
    expect(vectors.map(({ mode }) => mode)).toEqual(["global_clipnorm", "clipnorm", "clipvalue"]);
  });
});

test("keras/optimizer/static_loss_scale", async () => {
  const { hyperparameters, ...one } = publishedCase("keras/optimizer/static_loss_scale");
  expect(await runErrors(kerasSgd(hyperparameters), { hyperparameters, ...one })).toEqual([]);
});

test.each(["keras/optimizer/grad_accumulation_3", "keras/optimizer/grad_accumulation_2_mean"])(
  "%s",
  async (id) => {
    const { initial, gradients, hyperparameters, results } = publishedCase(id);
    const count = hyperparameters.gradient_accumulation_steps as number;
    await over(initial, kerasSgd(hyperparameters), async ({ optimizer, set, ...made }) => {
      for (const [index, given] of gradients.entries()) {
        set(given);
        optimizer.accumulate();
        if ((index + 1) % count === 0) optimizer.step();
        const known = results.find(({ after_call: call }) => call === index + 1);
        if (!known) continue;
        expect(errors(await made.read(), flat(known.params!))).toEqual([]);
        expect(optimizer.groups[0]!.steps).toBe(known.iterations);
      }
    });
  },
);

/** Keras's loss scale around SGD: parameters, reports and the host's count after these gradients. */
async function underLossScale(
  id: string,
  initial: readonly Values[],
  gradients: readonly (readonly Values[])[],
) {
  const { learning_rate = 0.01, ...scale } = publishedCase(id).hyperparameters;
  const inner_optimizer = { class_name: "SGD", config: { learning_rate } };
  const reports: StepReport[] = [];
  const options = {
    ...fromKeras({ class_name: "LossScaleOptimizer", config: { inner_optimizer, ...scale } }),
    telemetry: { onReport: (report: StepReport) => reports.push(report) },
  };
  return over(initial, options, async ({ optimizer, set, ...made }) => {
    for (const given of gradients) {
      set(given);
      optimizer.step();
      // A rejection tells of the infinities, which are meant.
      await optimizer.settled();
    }
    return { parameters: await made.read(), reports, steps: optimizer.groups[0]!.steps };
  });
}

test.each(["keras/loss_scale/finite_step", "keras/loss_scale/infinite_step"])("%s", async (id) => {
  const { initial, gradients, expected } = publishedCase(id);
  const { parameters } = await underLossScale(id, initial, gradients);
  expect(errors(parameters, expected.get(1)!)).toEqual([]);
});

test.each(["keras/loss_scale/downscale", "keras/loss_scale/upscale"])("%s", async (id) => {
  const { gradients, results } = publishedCase(id);
  const initial = gradients[0]!.map(({ length }) => new Float32Array(length));
  // A report has the scale of its own step: one more shows what the last one left.
  const more = [...gradients, gradients[0]!];
  const { reports } = await underLossScale(id, initial, more);
  expect(reports.at(-1)!.lossScale).toBe(results[0]!.scale);
});

test("keras/loss_scale/iterations", async () => {
  const { results } = publishedCase("keras/loss_scale/iterations");
  for (const { after_step: t, iterations } of results) {
    const given = Array.from({ length: t! }, () => [[1]]);
    const { steps, reports } = await underLossScale("keras/loss_scale/iterations", [[1]], given);
    expect([steps, reports.at(-1)!.applied]).toEqual([iterations, iterations]);
  }
});

describe("tfa/moving_average", () => {
  const { initial, gradients, hyperparameters, expected, results, variants } =
    publishedCase("tfa/moving_average");
  const decay = hyperparameters.average_decay as number;

  test("from the initial parameters", async () => {
    const rule = sgd({ lr: hyperparameters.learning_rate as number });
    await over(initial, { rule, average: { decay, initial: true } }, async ({ optimizer, set, ...made }) => {
      for (const given of gradients) {
        set(given);
        optimizer.step();
      }
      expect(errors(await made.read(), expected.get(2)!)).toEqual([]);
      optimizer.swapAverage();
      expect(errors(await made.read(), flat(results[0]!.average as readonly Nested[]))).toEqual([]);
    });
  });

  test.each([
    ["start_step", { decay }],
    ["dynamic_decay", { decay, initial: true, warmup: true }],
  ])("%s", async (key, average) => {
    const variant = variants.find((one) => key in one)!;
    const rule = sgd({ lr: variant.learning_rate });
    await over(flat(variant.initial_params), { rule, average }, async ({ optimizer, set, ...made }) => {
      set(flat(variant.gradient));
      optimizer.step();
      optimizer.step();
      expect(errors(await made.read(), flat(variant.after_2))).toEqual([]);
      optimizer.swapAverage();
      expect(errors(await made.read(), flat(variant.average_after_2))).toEqual([]);
    });
  });
});

test("tfa/swa", async () => {
  const { initial, gradients, hyperparameters, expected, results } = publishedCase("tfa/swa");
  const rule = sgd({ lr: hyperparameters.learning_rate as number });
  const average = { kind: "equal", every: hyperparameters.average_period as number } as const;
  await over(initial, { rule, average }, async ({ optimizer, set, ...made }) => {
    for (const given of gradients) {
      set(given);
      optimizer.step();
    }
    expect(errors(await made.read(), expected.get(3)!)).toEqual([]);
    optimizer.swapAverage();
    expect(errors(await made.read(), flat(results[0]!.swa as readonly Nested[]))).toEqual([]);
  });
});
