// What tfjs's variables share with other tensors keeps its values.
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { createTfjsOptimizer } from "../../src/clients/tfjs.js";
import { sgd } from "../../src/index.js";
import { backend, down, useTfjs, valuesOf, variable } from "../support/tfjs.js";

useTfjs();

test("the tensor that variables were made of, and clones", async () => {
  const start = tf.tensor1d([1, 2]);
  const [v, w] = ["of a tensor", "of the same"].map((name) => tf.variable(start, true, name)) as [
    tf.Variable,
    tf.Variable,
  ];
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v, w] });
  down(optimizer, v);
  const clone = tf.clone(v);
  const view = tf.reshape(v, [2, 1]);
  down(optimizer, v, w);
  down(optimizer, v);
  expect(await valuesOf(start)).toEqual([1, 2]);
  expect(await valuesOf(clone)).toEqual([0, 1]);
  expect(await valuesOf(view)).toEqual([0, 1]);
  expect(await valuesOf(v)).toEqual([-2, -1]);
  expect(await valuesOf(w)).toEqual([0, 1]);
  optimizer.dispose();
  expect(await valuesOf(v)).toEqual([-2, -1]);
  tf.dispose([start, v, w, clone, view]);
});

test("a clone that outlives its variable's values, and the optimizer", async () => {
  const v = variable([5]);
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v] });
  down(optimizer, v);
  const clone = tf.clone(v);
  const next = tf.tensor1d([10]);
  v.assign(next);
  down(optimizer, v);
  expect(await valuesOf(v)).toEqual([9]);
  const last = tf.clone(v);
  v.dispose();
  optimizer.dispose();
  // What the pool hands out now overwrites nothing of theirs.
  const others = Array.from({ length: 6 }, () => tf.tidy(() => tf.add(next, 1)));
  expect(await valuesOf(clone)).toEqual([4]);
  expect(await valuesOf(last)).toEqual([9]);
  expect(await valuesOf(next)).toEqual([10]);
  tf.dispose([clone, next, last, ...others]);
});

test("a buffer of the caller's that a variable was made on", async () => {
  const { device } = backend();
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: 8, usage });
  device.queue.writeBuffer(buffer, 0, Float32Array.of(7, 8));
  const v = tf.tidy(() =>
    tf.variable(tf.tensor({ buffer, zeroCopy: true }, [2], "float32"), true, "zero-copy"),
  );
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v] });
  down(optimizer, v);
  const theirs = tf.tensor({ buffer, zeroCopy: true }, [2], "float32");
  expect(await valuesOf(theirs)).toEqual([7, 8]);
  expect(await valuesOf(v)).toEqual([6, 7]);
  optimizer.dispose();
  tf.dispose([v, theirs]);
  buffer.destroy();
});

test("values that are assigned are stepped from, from another variable too", async () => {
  const v = variable([1]);
  const target = variable([0]);
  const [one, two] = await Promise.all([
    createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v] }),
    createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [target] }),
  ]);
  target.assign(v);
  down(one, v);
  expect(await valuesOf(target)).toEqual([1]);
  down(two, target);
  down(two, target);
  expect(await valuesOf(v)).toEqual([0]);
  expect(await valuesOf(target)).toEqual([-1]);
  one.dispose();
  two.dispose();
  tf.dispose([v, target]);
});

test("a read that is under way does not hide later steps", async () => {
  const v = variable([3]);
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v] });
  const before = v.data();
  down(optimizer, v);
  expect([...(await before)]).toEqual([3]);
  expect(await valuesOf(v)).toEqual([2]);
  down(optimizer, v);
  expect(await valuesOf(v)).toEqual([1]);
  optimizer.dispose();
  v.dispose();
});

test("gradients that share a buffer, with each other and with the variable", async () => {
  const v = variable([1, 2]);
  const w = variable([3, 4]);
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v, w] });
  const ones = tf.tensor1d([1, 1]);
  const same = tf.clone(ones);
  optimizer.applyGradients({ [v.name]: ones, [w.name]: same });
  expect(await valuesOf(w)).toEqual([2, 3]);
  const self = tf.clone(v);
  optimizer.applyGradients({ [v.name]: self, [w.name]: ones });
  expect(await valuesOf(v)).toEqual([0, 0]);
  expect(await valuesOf(self)).toEqual([0, 1]);
  expect(await valuesOf(w)).toEqual([1, 2]);
  optimizer.dispose();
  tf.dispose([v, w, ones, same, self]);
});

test("gradients in ever other buffers", async () => {
  const v = variable([0]);
  const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v] });
  const gradients = Array.from({ length: 20 }, (_, i) => tf.tensor1d([i]));
  for (const gradient of gradients) optimizer.applyGradients({ [v.name]: gradient });
  expect(await valuesOf(v)).toEqual([-190]);
  optimizer.dispose();
  tf.dispose([v, ...gradients]);
});
