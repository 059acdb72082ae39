// tfjs's models, trained by the engine beside tfjs's own Adam. One file: each compiles all of tfjs's kernels.
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { expect, test } from "vitest";
import page from "../../examples/tfjs/index.html?raw";
import { createTfjsOptimizer, TfjsOptimizer } from "../../src/clients/tfjs.js";
import { adam, adamw, linear, sgd } from "../../src/index.js";
import { expectError } from "../support/errors.js";
import { long } from "../support/long.js";
import { batch, threeLayers, useTfjs, weightsOf } from "../support/tfjs.js";

useTfjs();

/** tfjs's own ε. */
const eps = 1e-7;
const steps = long ? 200 : 10;

test(`${steps} steps of a model of three layers have the losses of tfjs's own Adam`, async () => {
  const { x, y, dispose } = batch();
  const losses = async (make: (model: ReturnType<typeof threeLayers>) => Promise<tf.Optimizer>) => {
    const model = threeLayers();
    const optimizer = await make(model);
    model.compile({ optimizer, loss: "categoricalCrossentropy" });
    const got: number[] = [];
    for (let step = 0; step < steps; step += 1) got.push((await model.trainOnBatch(x, y)) as number);
    expect(optimizer.iterations).toBe(steps);
    optimizer.dispose();
    model.dispose();
    return got;
  };
  const theirs = await losses(async () => tf.train.adam(0.02, 0.9, 0.999, eps));
  const ours = await losses((model) =>
    createTfjsOptimizer({ rule: adam({ lr: 0.02, eps }), variables: model.trainableWeights }),
  );
  expect(theirs.at(-1)).toBeLessThan(theirs[0]! - 0.02);
  const apart = ours.map((loss, i) => Math.abs(loss - theirs[i]!));
  expect(Math.max(...apart)).toBeLessThan(1e-4);
  dispose();
}, 600_000);

test("fit trains, with groups, a schedule, guards and reports within reach", async () => {
  const { x, y, dispose } = batch();
  const model = threeLayers();
  const norms: number[] = [];
  const optimizer = await createTfjsOptimizer({
    rule: adamw({ lr: 0.05, weightDecay: 0.1 }),
    schedule: linear({ steps: 4, start: 1, end: 0.5 }),
    guards: { clipGlobalNorm: 1 },
    telemetry: { onReport: ({ gradientNorm }) => norms.push(gradientNorm!) },
    groups: [
      { match: /bias/, weightDecay: 0 },
      { variables: model.layers[2]!.trainableWeights, lr: 0.01 },
      {},
    ],
    variables: model.trainableWeights,
  });
  expect(optimizer).toBeInstanceOf(tf.Optimizer);
  model.compile({ optimizer, loss: "categoricalCrossentropy" });
  const { history } = await model.fit(x, y, { epochs: 2, batchSize: 16, verbose: 0, yieldEvery: "never" });
  expect(history.loss!.at(-1)).toBeLessThan(history.loss![0] as number);
  const { groups } = optimizer.engine;
  expect(groups.map(({ names }) => names.length)).toEqual([3, 1, 2]);
  expect(groups.map(({ options }) => options.weightDecay)).toEqual([0, 0.1, 0.1]);
  await optimizer.engine.settled();
  expect(groups.map(({ steps }) => steps)).toEqual([4, 4, 4]);
  expect(groups[1]!.rate).toBeLessThan(0.01);
  expect(norms).toHaveLength(4);
  expect(Math.min(...norms)).toBeGreaterThan(0);
  groups[2]!.lr = 0;
  const before = await weightsOf(model);
  await model.trainOnBatch(x, y);
  const after = await weightsOf(model);
  const moved = before.map((bits, i) => String(bits) !== String(after[i]));
  // Kernels of the first two layers are the group without a rate.
  expect(moved).toEqual([false, true, false, true, true, true]);
  optimizer.dispose();
  model.dispose();
  dispose();
});

test("a model is saved with its optimizer, loaded, opened and goes on as before", async () => {
  const { x, y, dispose } = batch(8);
  const model = threeLayers();
  const options = { rule: adamw({ lr: 0.01 }), guards: { clipGlobalNorm: 1 } };
  const optimizer = await createTfjsOptimizer({ ...options, variables: model.trainableWeights });
  model.compile({ optimizer, loss: "categoricalCrossentropy" });
  await model.trainOnBatch(x, y);
  let artifacts: tf.io.ModelArtifacts | undefined;
  const handler = tf.io.withSaveHandler(async (given) => {
    artifacts = JSON.parse(JSON.stringify({ ...given, weightData: undefined })) as tf.io.ModelArtifacts;
    artifacts.weightData = given.weightData!;
    return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(given) };
  });
  await model.save(handler, { includeOptimizer: true });
  const config = artifacts!.trainingConfig!.optimizer_config as unknown as Record<string, unknown>;
  expect(config).toMatchObject({
    class_name: "WebGPUOptim",
    config: { groups: [{ rule: "adamw", lr: 0.01, beta1: 0.9, weightDecay: 0.01 }] },
  });

  tf.serialization.registerClass(TfjsOptimizer);
  const loaded = await layers.loadLayersModel(tf.io.fromMemory(artifacts!));
  const idle = loaded.optimizer as TfjsOptimizer;
  expect(idle).toBeInstanceOf(TfjsOptimizer);
  expect(idle.getConfig()).toMatchObject(config.config as object);
  await expectError(() => loaded.trainOnBatch(x, y), "busy", "open(");
  await expectError(() => idle.engine, "busy");
  // Their names are tfjs's, numbered anew beside the first model's.
  const variables = loaded.trainableWeights;
  expect(variables[0]!.name).toBe(`${model.trainableWeights[0]!.name}_1`);
  await expectError(() => idle.open({ ...options, rule: sgd(), variables }), "invalid-checkpoint");
  await idle.open({ ...options, variables });
  await expectError(() => idle.open({ ...options, variables }), "busy");
  expect(idle.iterations).toBe(1);
  for (const one of [model, loaded]) await one.trainOnBatch(x, y);
  expect(await weightsOf(loaded)).toEqual(await weightsOf(model));
  for (const one of [optimizer, idle, model, loaded]) one.dispose();
  dispose();
});

test("examples/tfjs fits a sine", async () => {
  const body = document.createElement("div");
  body.innerHTML = page;
  document.body.append(body);
  expect(body.querySelector("script")!.getAttribute("src")).toBe("./main.ts");
  await import("../../examples/tfjs/main.js");
  const log = body.querySelector("#log")!.textContent!;
  expect(log).toMatch(/done\n$/);
  const [, first, last] = /loss (\S+) → (\S+)/.exec(log)!;
  expect(Number(last)).toBeLessThan(0.5 * Number(first));
  body.remove();
}, 120_000);
