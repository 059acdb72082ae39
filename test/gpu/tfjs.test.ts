// The engine as an optimizer of tfjs's: its verbs over variables.
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createTfjsOptimizer } from "../../src/clients/tfjs.js";
import { adam, nesterovLookahead, polyakSgd, sgd } from "../../src/index.js";
import { long } from "../support/long.js";
import { bitsOf, useTfjs, variable } from "../support/tfjs.js";

useTfjs();

/** ½Σv² of variables, whose gradients are the variables. */
const half = (...variables: tf.Variable[]) =>
  tf.tidy(() => tf.addN(variables.map((one) => tf.mul(tf.sum(tf.mul(one, one)), 0.5)))) as tf.Scalar;

test("minimize and applyGradients step in place, and give back what tfjs's do", async () => {
  const v = variable([1, -2, 3]);
  const w = variable([4], []);
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 0.5 }), variables: [v, w] });
  const cost = optimizer.minimize(() => half(v, w), true)!;
  expect((await cost.data())[0]).toBe(15);
  expect(optimizer.minimize(() => half(v, w), false, [v])).toBeNull();
  expect([...(await v.data())]).toEqual([0.25, -0.5, 0.75]);
  expect([...(await w.data())]).toEqual([2]);
  const gradients = { [v.name]: tf.tensor1d([1, 1, 1]), [w.name]: tf.scalar(2) };
  optimizer.applyGradients(gradients);
  optimizer.applyGradients(Object.entries(gradients).map(([name, tensor]) => ({ name, tensor })));
  expect([...(await v.data())]).toEqual([-0.75, -1.5, -0.25]);
  expect([...(await w.data())]).toEqual([0]);
  expect(optimizer.iterations).toBe(4);
  optimizer.dispose();
  tf.dispose([v, w, cost, ...Object.values(gradients)]);
});

test("a variable without a gradient is left out: its state and count stay", async () => {
  const v = variable([1]);
  const w = variable([1]);
  const empty = variable([], [0, 3]);
  const optimizer = await createTfjsOptimizer({ rule: adam({ lr: 0.5 }), variables: [v, empty, w] });
  const one = tf.tensor1d([1]);
  // Their buffers change places, and w's old one becomes v's.
  for (let step = 0; step < 4; step += 1) optimizer.minimize(() => half(v));
  optimizer.applyGradients({ [v.name]: one, [w.name]: null as unknown as tf.Tensor });
  optimizer.minimize(() => half(w));
  optimizer.minimize(() => half(v, w));
  optimizer.applyGradients({ [empty.name]: empty });
  expect(optimizer.engine.groups[0]!.stepsOf(v.name)).toBe(6);
  expect(optimizer.engine.groups[0]!.stepsOf(w.name)).toBe(2);
  // Adam's first step is its rate.
  expect((await w.data())[0]).toBeLessThan(0.51);
  // A layer that is not trained has no gradients at all.
  v.trainable = false;
  optimizer.minimize(() => half(v, w), false, [v, w]);
  expect(optimizer.engine.groups[0]!.stepsOf(v.name)).toBe(6);
  optimizer.dispose();
  tf.dispose([v, w, one, empty]);
});

test("the rule's look-ahead and its loss come with minimize", async () => {
  const v = variable([1, 2]);
  const lookahead = await createTfjsOptimizer({
    rule: nesterovLookahead({ lr: 0.1, momentum: 0.5 }),
    variables: [v],
  });
  let at: tf.Tensor | undefined;
  lookahead.minimize(() => half(v));
  lookahead.minimize(() => {
    at = tf.keep(v.clone());
    return half(v);
  });
  // From 0.9 on by half of the velocity.
  expect((await at!.data())[0]).toBeCloseTo(0.85, 6);
  expect((await v.data())[0]).toBeCloseTo(0.9 - 0.05 - 0.085, 6);
  const before = await bitsOf([v]);
  expect(() =>
    lookahead.minimize(() => {
      throw new Error("the caller's");
    }),
  ).toThrow("the caller's");
  expect(await bitsOf([v])).toEqual(before);
  lookahead.dispose();
  // Polyak's step on ½v² is half of the way.
  const polyak = await createTfjsOptimizer({ rule: polyakSgd({ maxRate: 10 }), variables: [v] });
  const [start] = await v.data();
  polyak.minimize(() => half(v));
  expect((await v.data())[0]).toBeCloseTo(start! / 2, 6);
  polyak.dispose();
  tf.dispose([v, at!]);
});

test("micro-batches are accumulated; the average is evaluated, and clones keep what they are of", async () => {
  const v = variable([0]);
  const optimizer = await createTfjsOptimizer({
    rule: sgd({ lr: 1 }),
    variables: [v],
    accumulation: true,
    average: { decay: 0.5 },
  });
  const { engine } = optimizer;
  for (const [gradient, samples] of [
    [3, 1],
    [-1, 4],
  ] as const) {
    const tensor = tf.tensor1d([gradient]);
    optimizer.run((encoder) => engine.accumulate({ samples }, encoder), { [v.name]: tensor });
    tensor.dispose();
  }
  optimizer.run((encoder) => engine.encode(encoder));
  expect((await v.data())[0]).toBeCloseTo(0.2, 6);
  const gradient = tf.tensor1d([-1]);
  optimizer.applyGradients({ [v.name]: gradient });
  const trained = tf.clone(v);
  optimizer.run((encoder) => engine.swapAverage(encoder));
  expect((await v.data())[0]).toBeGreaterThan(0.2);
  expect((await v.data())[0]).toBeLessThan(1.1);
  optimizer.run((encoder) => engine.swapAverage(encoder));
  expect(await bitsOf([v])).toEqual(await bitsOf([trained]));
  optimizer.dispose();
  tf.dispose([v, gradient, trained]);
});

test("hundreds of steps leave no tensor and take no memory more", async () => {
  const v = variable(Array(64).fill(1));
  const w = variable(Array(64).fill(1));
  const u = variable([1], []);
  const optimizer = await createTfjsOptimizer({ rule: adam(), variables: [v, w, u] });
  const loss = () => tf.tidy(() => tf.add(tf.sum(tf.mul(tf.add(v, w), u)), half(v))) as tf.Scalar;
  const step = () => optimizer.minimize(loss);
  for (let count = 0; count < 20; count += 1) step();
  await v.data();
  const memory = () => tf.memory() as tf.MemoryInfo & Record<string, number>;
  const { numTensors, numDataBuffers, numBytesInGPU, numBytesAllocatedInGPU } = memory();
  for (let count = 0; count < (long ? 10_000 : 300); count += 1) {
    step();
    if (count % 50 === 0) await v.data();
  }
  expect(memory()).toMatchObject({ numTensors, numDataBuffers, numBytesInGPU, numBytesAllocatedInGPU });
  optimizer.dispose();
  tf.dispose([v, w, u]);
}, 600_000);
