// Weights and checkpoints of an optimizer over tfjs's variables.
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createTfjsOptimizer } from "../../src/clients/tfjs.js";
import { adam, amsgrad, linear, nadam, sgd } from "../../src/index.js";
import { expectError } from "../support/errors.js";
import { bitsOf, useTfjs, variable } from "../support/tfjs.js";

useTfjs();

const half = (...variables: tf.Variable[]) =>
  tf.tidy(() => tf.addN(variables.map((one) => tf.mul(tf.sum(tf.mul(one, one)), 0.5)))) as tf.Scalar;

test("getWeights and setWeights resume bit for bit", async () => {
  const v = variable([1, -2, 3]);
  const w = variable([4, 5], [2, 1]);
  const create = () =>
    createTfjsOptimizer({
      // Its memory, a product over the steps, is in no state.
      rule: nadam({ lr: 0.1 }),
      schedule: linear({ steps: 10, start: 1, end: 0.1 }),
      variables: [v, w],
      groups: [{ match: (name) => name === w.name, lr: 0.05 }, {}],
    });
  let optimizer = await create();
  const steps = (count: number) => {
    for (let step = 0; step < count; step += 1) optimizer.minimize(() => half(v, w));
  };
  steps(2);
  optimizer.minimize(() => half(v));
  const weights = await optimizer.getWeights();
  expect(weights.map(({ name }) => name)).toEqual([
    "iter",
    "webgpu-optim",
    ...[v, w].flatMap(({ name }) => ["exp_avg", "exp_avg_sq"].map((state) => `${name}/${state}`)),
  ]);
  expect(weights[2]!.tensor.shape).toEqual([3]);
  expect(weights[4]!.tensor.shape).toEqual([2, 1]);
  // Through what tfjs writes to files.
  const { data, specs } = await tf.io.encodeWeights(weights as never);
  const decoded = tf.io.decodeWeights(data as ArrayBuffer, specs);
  const named = weights.map(({ name }) => ({ name, tensor: decoded[name]! }));
  const start = [tf.tensor(await v.data(), [3]), tf.tensor(await w.data(), [2, 1])] as const;
  steps(3);
  const straight = await bitsOf([v, w]);
  optimizer.dispose();

  optimizer = await create();
  steps(1);
  v.assign(start[0]);
  w.assign(start[1]);
  await optimizer.setWeights(named);
  expect(optimizer.iterations).toBe(3);
  expect(optimizer.engine.groups.map(({ steps }) => steps)).toEqual([3, 3]);
  expect(optimizer.engine.groups[0]!.stepsOf(w.name)).toBe(2);
  steps(3);
  expect(await bitsOf([v, w])).toEqual(straight);
  optimizer.dispose();
  tf.dispose([v, w, ...start, decoded]);
});

test("weights that are not its own are refused, with nothing changed", async () => {
  const v = variable([1, 2]);
  const w = variable([1, 2, 3]);
  const optimizer = await createTfjsOptimizer({ rule: adam({ lr: 0.1 }), variables: [v] });
  const other = await createTfjsOptimizer({ rule: amsgrad(), variables: [w] });
  optimizer.minimize(() => half(v));
  const before = await optimizer.getWeights();
  const states = await bitsOf(before.slice(2).map(({ tensor }) => tensor));
  const iter = tf.scalar(5, "int32");
  const moment = tf.zeros([2]);
  const theirs = [
    { name: "iter", tensor: iter },
    { name: `${v.name}/m`, tensor: moment },
  ];
  for (const weights of [theirs, [], undefined, await other.getWeights()])
    await expectError(() => optimizer.setWeights(weights as never), "invalid-checkpoint");
  const shorter = before.map((weight, i) =>
    i === 2 ? { ...weight, tensor: tf.slice(weight.tensor, 0, 1) } : weight,
  );
  await expectError(() => optimizer.setWeights(shorter), "invalid-checkpoint");
  expect(optimizer.iterations).toBe(1);
  const after = await optimizer.getWeights();
  expect(await bitsOf(after.slice(2).map(({ tensor }) => tensor))).toEqual(states);
  for (const one of [optimizer, other]) one.dispose();
  tf.dispose([v, w, iter, moment, shorter[2]!.tensor]);
});

test("a checkpoint holds the variables as they are, and loads into them alone", async () => {
  const v = variable([1, 2]);
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 0.5 }), variables: [v] });
  const assigned = tf.tensor1d([3, 4]);
  v.assign(assigned);
  const file = await optimizer.save();
  optimizer.minimize(() => half(v));
  const clone = tf.clone(v);
  await optimizer.load(file);
  expect([...(await v.data())]).toEqual([3, 4]);
  expect([...(await clone.data())]).toEqual([1.5, 2]);
  expect([...(await assigned.data())]).toEqual([3, 4]);
  optimizer.dispose();
  tf.dispose([v, assigned, clone]);
});
