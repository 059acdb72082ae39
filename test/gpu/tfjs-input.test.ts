// What an optimizer over tfjs's variables refuses.
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import {
  createTfjsOptimizer,
  type TfjsOptimizer,
  type TfjsOptimizerOptions,
} from "../../src/clients/tfjs.js";
import { adam, momentum, type OptimErrorCode, sgd } from "../../src/index.js";
import { caught, expectError } from "../support/errors.js";
import { backend, bitsOf, down, useTfjs, valuesOf, variable } from "../support/tfjs.js";

useTfjs();

function goneTensor(): tf.Tensor {
  const gone = tf.ones([2]);
  gone.dispose();
  return gone;
}

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
    expect(await valuesOf(v)).toEqual([0.5, 1.5]);
    expect(optimizer.iterations).toBe(1);
    down(optimizer, v);
    // The momentum is that of two steps.
    expect((await valuesOf(v))[0]).toBeCloseTo(0.5 - 0.5 * 1.9, 6);
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

  test("no gradients at all", () =>
    refused("invalid-argument", "no gradients", ({ optimizer }) =>
      optimizer.applyGradients(undefined as unknown as tf.NamedTensorMap),
    ));

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
    expect(await valuesOf(v)).toEqual([-1]);
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
    expect(await valuesOf(v)).toEqual([0]);
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
