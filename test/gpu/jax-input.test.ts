// What the client of jax-js refuses, and what it leaves behind.
import { type Array as DeviceArray, grad, jit, numpy as np, tree } from "@jax-js/jax";
import { describe, expect, test } from "vitest";
import { createJaxOptimizer, type JaxOptimizer } from "../../src/clients/jax.js";
import { adam, sgd } from "../../src/index.js";
import { caught, expectError } from "../support/errors.js";
import { useJax, valuesOf } from "../support/jax.js";
import { long } from "../support/long.js";

const { live } = useJax();

type Pair = { w: DeviceArray; layers: DeviceArray[] };
const newPair = (): Pair => ({ w: np.array([1, 2]), layers: [np.array([[3], [4]])] });
const ones = (): Pair => ({ w: np.ones([2]), layers: [np.ones([2, 1])] });

describe("at creation", () => {
  const refused = (parameters: unknown, ...what: [Parameters<typeof expectError>[1], string]) =>
    expectError(() => createJaxOptimizer(parameters as Pair, { rule: sgd() }), ...what);

  test("leaves that are no array, or of another kind", async () => {
    await refused({ w: 3 }, "invalid-argument", "Parameter 'w' is no array of jax-js");
    await refused({ w: new Float32Array(3) }, "invalid-argument", "got Float32Array");
    await refused({ w: undefined }, "invalid-argument", "got undefined");
    await refused([], "invalid-argument", "is empty");
    await refused({ "a.b": np.ones([1]), a: { b: np.ones([1]) } }, "duplicate-name", "'a.b'");
    await refused({ w: np.array([1], { dtype: np.int32 }) }, "invalid-buffer", "dtype int32");
    await refused({ w: np.array([1], { device: "cpu" }) }, "invalid-buffer", "device 'cpu'");
    const w = np.array([1, 2]);
    w.dispose();
    await refused({ w }, "invalid-buffer", "was consumed");
  });

  test("arrays that share their storage", async () => {
    const pair = newPair();
    await refused({ a: pair.w, b: pair.w }, "aliased-buffers", "that of 'a'");
    await refused({ a: pair.w, b: pair.w.ref.reshape([2, 1]) }, "aliased-buffers", "that of 'a'");
    const optimizer = await createJaxOptimizer(pair, { rule: sgd() });
    await refused([pair.w], "aliased-buffers", "that of another optimizer");
    optimizer.destroy();
    (await createJaxOptimizer([pair.w], { rule: sgd() })).destroy();
  });

  test("what createOptimizer refuses gives the arrays back", async () => {
    const pair = newPair();
    await expectError(() => createJaxOptimizer(pair, {}), "invalid-argument");
    await expectError(
      () => createJaxOptimizer(pair, { rule: sgd(), groups: [{ match: /^w$/ }] }),
      "invalid-argument",
      "No group takes 'layers.0'",
    );
    expect([pair.w.refCount, pair.layers[0]?.refCount]).toEqual([1, 1]);
    const optimizer = await createJaxOptimizer(pair, { rule: sgd() });
    optimizer.destroy();
    tree.dispose(pair);
  });
});

describe("at a step", () => {
  /** What is refused leaves parameters, state, gradients and the optimizer as they were. */
  async function unharmed(
    act: (optimizer: JaxOptimizer<Pair>, pair: Pair) => unknown,
    ...what: [Parameters<typeof expectError>[1], string]
  ) {
    const pair = newPair();
    const optimizer = await createJaxOptimizer(pair, { rule: adam({ lr: 1 }), accumulation: true });
    await expectError(() => act(optimizer, pair), ...what);
    expect(optimizer.engine.groups[0]?.steps).toBe(0);
    expect(await valuesOf(pair.w)).toEqual([1, 2]);
    optimizer.restore();
    optimizer.step(ones());
    expect((await valuesOf(pair.w)).map(Math.round)).toEqual([0, 1]);
    optimizer.destroy();
    tree.dispose(pair);
  }

  test("trees of another structure or shape", async () => {
    await unharmed((it) => it.step({ w: np.ones([2]) } as never), "invalid-argument", "'layers.0'");
    await unharmed(
      (it) => it.step({ ...ones(), b: np.ones([1]) } as never),
      "invalid-argument",
      "one at 'b'",
    );
    await unharmed((it) => it.step(np.ones([2]) as never), "invalid-argument", "tree of gradients");
    await unharmed((it) => it.step({ ...ones(), w: np.ones([2, 1]) }), "invalid-argument", "shape [2,1]");
    await unharmed((it) => it.step(), "invalid-argument", "steps once for all");
    await unharmed(
      (it) => {
        it.accumulate(ones());
        it.step(ones());
      },
      "invalid-argument",
      "beside those accumulated",
    );
  });

  test("arrays that are consumed, of another type or elsewhere", async () => {
    const consumed = ones();
    consumed.w.dispose();
    await unharmed((it) => it.step(consumed), "invalid-buffer", "'w' of the gradients was consumed");
    await unharmed(
      (it) => it.step({ ...ones(), w: np.ones([2], { dtype: np.int32 }) }),
      "invalid-buffer",
      "int32",
    );
    await unharmed(
      (it) => it.step({ ...ones(), w: np.ones([2], { device: "wasm" }) }),
      "invalid-buffer",
      "'wasm'",
    );
    await unharmed((it) => it.step(ones(), { loss: np.ones([2]) }), "invalid-argument", "not one number");
    await unharmed((it) => it.step(ones(), { without: ["v"] }), "unknown-name", "'v'");
    // The loss is checked, too, before gradients move.
    await unharmed((it) => it.step(ones(), { loss: 3 as never }), "invalid-argument", "The loss is no array");
  });

  test("one array at two places needs two references", async () => {
    const two = { a: np.ones([2]), b: np.ones([2]) };
    const optimizer = await createJaxOptimizer(two, { rule: sgd({ lr: 1 }) });
    const g = np.ones([2]);
    await expectError(() => optimizer.step({ a: g, b: g }), "invalid-buffer", "2 references");
    optimizer.step({ a: g.ref, b: g });
    expect(g.refCount).toBe(0);
    expect([await valuesOf(two.a), await valuesOf(two.b)].flat()).toEqual([0, 0, 0, 0]);
    optimizer.destroy();
    tree.dispose(two);
  });

  test("a parameter that its owner consumed: the values are still there to save", async () => {
    const pair = newPair();
    const optimizer = await createJaxOptimizer(pair, { rule: sgd({ lr: 1 }) });
    const gradients = ones();
    // Without .ref, as it is easily forgotten.
    const loss = jit((pair: Pair) => pair.w.sum().add(pair.layers[0]!.sum()));
    expect((await loss(pair).data())[0]).toBe(10);
    await expectError(() => optimizer.step(gradients), "invalid-buffer", "Parameter 'w' was consumed");
    tree.dispose(gradients);
    const other = newPair();
    const next = await createJaxOptimizer(other, { rule: sgd({ lr: 1 }) });
    next.step(ones());
    await next.engine.load(await optimizer.engine.save());
    expect(await valuesOf(other.w)).toEqual([1, 2]);
    optimizer.destroy();
    expect(caught(() => optimizer.step(ones())).code).toBe("destroyed");
    next.destroy();
    tree.dispose(other);
  });
});

test("no array and no buffer is left over by steps", async () => {
  const pair = newPair();
  const optimizer = await createJaxOptimizer(pair, { rule: adam({ lr: 1e-3 }) });
  const gradientsOf = jit(
    grad((pair: Pair) => np.square(pair.w).sum().add(np.square(pair.layers[0]!).sum())),
  );
  const heap = () =>
    (performance as unknown as { memory?: { usedJSHeapSize: number } }).memory?.usedJSHeapSize ?? 0;
  const run = async (steps: number) => {
    for (let step = 1; step <= steps; step += 1) {
      const gradients = gradientsOf(tree.ref(pair));
      optimizer.step(gradients);
      expect([gradients.w.refCount, pair.w.refCount]).toEqual([0, 1]);
      if (step % 100 === 0) await optimizer.engine.device.queue.onSubmittedWorkDone();
    }
  };
  await run(100);
  const [buffers, before] = [live.size, heap()];
  await run(long ? 10_000 : 300);
  expect(live.size).toBe(buffers);
  expect(heap() - before).toBeLessThan(16e6);
  optimizer.destroy();
  tree.dispose(pair);
});

test("destroy() frees what was made, and nothing of the caller's", async () => {
  const pair = newPair();
  await valuesOf(pair.w);
  const before = live.size;
  const optimizer = await createJaxOptimizer(pair, { rule: adam(), average: {}, guards: {} });
  optimizer.step({ w: pair.w.ref, layers: [pair.layers[0]!.ref] });
  expect(live.size).toBeGreaterThan(before);
  optimizer.destroy();
  optimizer.destroy();
  expect(live.size).toBeLessThanOrEqual(before + 1);
  expect([pair.w.refCount, pair.layers[0]?.refCount]).toEqual([1, 1]);
  tree.dispose(pair);
});
