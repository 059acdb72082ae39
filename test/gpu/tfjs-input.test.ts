// What tfjs's variables share with other tensors, and what an optimizer over them refuses.
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import {
  createTfjsOptimizer,
  type TfjsOptimizer,
  type TfjsOptimizerOptions,
} from "../../src/clients/tfjs.js";
import { adam, momentum, type OptimErrorCode, sgd } from "../../src/index.js";
import { caught, expectError } from "../support/errors.js";
import { backend, bitsOf, useTfjs, variable } from "../support/tfjs.js";

useTfjs();

const values = async (tensor: tf.Tensor) => [...(await tensor.data())];

function goneTensor(): tf.Tensor {
  const gone = tf.ones([2]);
  gone.dispose();
  return gone;
}

/** Steps each variable by −1: its gradient is 1 at the rate 1. */
function down(optimizer: TfjsOptimizer, ...variables: tf.Variable[]): void {
  tf.tidy(() =>
    optimizer.applyGradients(Object.fromEntries(variables.map((one) => [one.name, tf.onesLike(one)]))),
  );
}

describe("other tensors keep their values", () => {
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
    expect(await values(start)).toEqual([1, 2]);
    expect(await values(clone)).toEqual([0, 1]);
    expect(await values(view)).toEqual([0, 1]);
    expect(await values(v)).toEqual([-2, -1]);
    expect(await values(w)).toEqual([0, 1]);
    optimizer.dispose();
    expect(await values(v)).toEqual([-2, -1]);
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
    expect(await values(v)).toEqual([9]);
    const last = tf.clone(v);
    v.dispose();
    optimizer.dispose();
    // What the pool hands out now overwrites nothing of theirs.
    const others = Array.from({ length: 6 }, () => tf.tidy(() => tf.add(next, 1)));
    expect(await values(clone)).toEqual([4]);
    expect(await values(last)).toEqual([9]);
    expect(await values(next)).toEqual([10]);
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
    expect(await values(theirs)).toEqual([7, 8]);
    expect(await values(v)).toEqual([6, 7]);
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
    expect(await values(target)).toEqual([1]);
    down(two, target);
    down(two, target);
    expect(await values(v)).toEqual([0]);
    expect(await values(target)).toEqual([-1]);
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
    expect(await values(v)).toEqual([2]);
    down(optimizer, v);
    expect(await values(v)).toEqual([1]);
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
    expect(await values(w)).toEqual([2, 3]);
    const self = tf.clone(v);
    optimizer.applyGradients({ [v.name]: self, [w.name]: ones });
    expect(await values(v)).toEqual([0, 0]);
    expect(await values(self)).toEqual([0, 1]);
    expect(await values(w)).toEqual([1, 2]);
    optimizer.dispose();
    tf.dispose([v, w, ones, same, self]);
  });

  test("gradients in ever other buffers", async () => {
    const v = variable([0]);
    const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables: [v] });
    const gradients = Array.from({ length: 20 }, (_, i) => tf.tensor1d([i]));
    for (const gradient of gradients) optimizer.applyGradients({ [v.name]: gradient });
    expect(await values(v)).toEqual([-190]);
    optimizer.dispose();
    tf.dispose([v, ...gradients]);
  });
});

describe("refused, with nothing changed", () => {
  /** Runs what is refused over two variables in the middle of a run, and goes on. */
  async function refused(
    code: OptimErrorCode,
    part: string | RegExp,
    act: (given: { optimizer: TfjsOptimizer; v: tf.Variable; w: tf.Variable }) => unknown,
  ): Promise<void> {
    const run = async (disturb: boolean) => {
      const v = variable([1, 2]);
      const w = variable([3]);
      const optimizer = await createTfjsOptimizer({ rule: momentum({ lr: 0.5 }), variables: [v, w] });
      down(optimizer, v, w);
      const { numTensors } = tf.memory();
      if (disturb) await expectError(() => act({ optimizer, v, w }), code, part);
      expect(tf.memory().numTensors).toBe(numTensors);
      await tf.setBackend("webgpu");
      down(optimizer, v, w);
      const after = await bitsOf([v, w]);
      expect(optimizer.iterations).toBe(2);
      optimizer.dispose();
      tf.dispose([v, w]);
      return after;
    };
    expect(await run(true)).toEqual(await run(false));
  }

  test("a variable that was created since", () =>
    refused("unknown-name", "make the optimizer after all variables", ({ optimizer, v, w }) => {
      const late = variable([1]);
      try {
        optimizer.minimize(() => tf.tidy(() => tf.sum(tf.concat([v, w, late]))) as tf.Scalar);
      } finally {
        late.dispose();
      }
    }));

  test("a variable that was disposed; others go on", async () => {
    const v = variable([1, 2]);
    const w = variable([3]);
    const optimizer = await createTfjsOptimizer({ rule: momentum({ lr: 0.5 }), variables: [v, w] });
    down(optimizer, v, w);
    const one = tf.tensor1d([1]);
    w.dispose();
    await expectError(
      () => tf.tidy(() => optimizer.applyGradients({ [v.name]: tf.onesLike(v), [w.name]: one })),
      "invalid-buffer",
      /got none/,
    );
    expect(await values(v)).toEqual([0.5, 1.5]);
    expect(optimizer.iterations).toBe(1);
    down(optimizer, v);
    // The momentum is that of two steps.
    expect((await values(v))[0]).toBeCloseTo(0.5 - 0.5 * 1.9, 6);
    optimizer.dispose();
    tf.dispose([v, one]);
  });

  test("a variable that was made anew with another shape", () =>
    refused("invalid-buffer", "another of shape [2,2]", ({ optimizer, v }) => {
      const { name } = v;
      delete tf.engine().registeredVariables[name];
      const anew = tf.tidy(() => tf.variable(tf.ones([2, 2]), true, name));
      try {
        down(optimizer, anew);
      } finally {
        anew.dispose();
        tf.engine().registeredVariables[name] = v;
      }
    }));

  test.each<[string, () => unknown, RegExp]>([
    ["of another shape", () => tf.ones([3]), /got shape \[3\]/],
    ["of its length in another shape", () => tf.ones([1, 2]), /got shape \[1,2\]/],
    ["of another type", () => tf.ones([2], "int32"), /int32/],
    ["that is disposed", goneTensor, /disposed/],
    ["that is none", () => [1, 2], /got object/],
  ])("a gradient %s", (_, make, part) =>
    refused("invalid-argument", part, ({ optimizer, v }) =>
      tf.tidy(() => optimizer.applyGradients({ [v.name]: make() as tf.Tensor })),
    ),
  );

  test("a step on another backend, and one after it is back", () =>
    refused("invalid-argument", "got 'cpu'", async ({ optimizer, v, w }) => {
      const { readSync } = Object.getPrototypeOf(backend());
      const known = new Map([
        [v.dataId, await v.data()],
        [w.dataId, await w.data()],
      ]);
      // tfjs reads by a canvas, which the software adapter cannot.
      Object.assign(backend(), { readSync: (dataId: object) => known.get(dataId) });
      await tf.setBackend("cpu");
      tf.tidy(() => void tf.addN([tf.sum(v), tf.sum(w)]));
      Object.assign(backend(), { readSync });
      down(optimizer, v, w);
    }));

  test("creation on another backend", async () => {
    await tf.setBackend("cpu");
    await expectError(() => createTfjsOptimizer({ rule: sgd() }), "invalid-argument", "its WebGPU backend");
  });

  test("a second optimizer, until the first is disposed", async () => {
    const v = variable([1]);
    const w = variable([1]);
    const create = (variables: tf.Variable[]) => createTfjsOptimizer({ rule: sgd({ lr: 1 }), variables });
    const first = await create([v]);
    await expectError(() => create([w, v]), "aliased-buffers", "dispose() the first");
    await expectError(() => create([w, w]), "aliased-buffers");
    down(first, v);
    first.dispose();
    first.dispose();
    const second = await create([w, v]);
    expect(caught(() => down(first, v)).code).toBe("destroyed");
    down(second, v, w);
    expect(await values(v)).toEqual([-1]);
    second.dispose();
    tf.dispose([v, w]);
  });

  test.each<[string, (v: tf.Variable) => unknown, OptimErrorCode, string | RegExp]>([
    ["no list of variables", (v) => ({ rule: sgd(), variables: v }), "invalid-argument", "no list"],
    ["what is no variable", () => ({ rule: sgd(), variables: [1] }), "invalid-argument", "is none"],
    ["a tensor", (v) => ({ rule: sgd(), variables: [{ ...v, assign: 1 }] }), "invalid-argument", "is none"],
    ["no rule", (v) => ({ variables: [v] }), "invalid-argument", "rule"],
    ["no options", () => undefined, "invalid-argument", ""],
    [
      "an option that there is not",
      (v) => ({ rule: adam(), variables: [v], lr: 1 }),
      "invalid-argument",
      "lr",
    ],
    ["parameters", (v) => ({ rule: adam(), variables: [v], parameters: [] }), "invalid-argument", ""],
    [
      "groups that do not take all",
      (v) => ({ rule: adam(), variables: [v], groups: [{ match: /^x/ }] }),
      "invalid-argument",
      "No group takes",
    ],
  ])("%s at creation", async (_, optionsOf, code, part) => {
    const v = variable([1]);
    await expectError(() => createTfjsOptimizer(optionsOf(v) as TfjsOptimizerOptions), code, part);
    // It is free again.
    const optimizer = await createTfjsOptimizer({ rule: sgd({ lr: 1 }) });
    down(optimizer, v);
    expect(await values(v)).toEqual([0]);
    optimizer.dispose();
    v.dispose();
  });

  test("variables that are disposed or not float32", async () => {
    const gone = variable([1]);
    gone.dispose();
    const whole = tf.tidy(() => tf.variable(tf.tensor1d([1], "int32"), true, "whole"));
    for (const [variables, part] of [
      [[gone], "is disposed"],
      [[whole], "int32"],
    ] as const)
      await expectError(() => createTfjsOptimizer({ rule: sgd(), variables }), "invalid-argument", part);
    whole.dispose();
  });
});
