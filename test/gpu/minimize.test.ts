// L-BFGS by a closure: strong Wolfe line searches, against the same search in float64.
import { expect, test } from "vitest";
import { type Sample, strongWolfe } from "../../src/engine/search/strong-wolfe.js";
import { createOptimizer, lbfgs, sgd } from "../../src/index.js";
import { twoLoop } from "../../src/reference/lbfgs.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { rosenbrock } from "../support/rosenbrock.js";

const watched = useDevice();

const start = Float64Array.from({ length: 10 }, (_, i) => (i % 2 ? 1 : -1.2));

/** Two tensors, at offsets that no four lanes fit, and the loss with its gradients at their values. */
function problem(device: GPUDevice, loss: (x: Float64Array) => ReturnType<typeof rosenbrock> = rosenbrock) {
  const parts = [start.slice(0, 7), start.slice(7)].map((part) => Float32Array.from(part));
  const parameters = parts.map((part, i) => ({
    name: `t${i}`,
    param: upload(device, part, { offset: 4 * i }),
    grad: upload(device, part, { offset: 8 * i }),
  }));
  const values = async () => {
    const found = await read(
      device,
      parameters.map(({ param }) => param),
    );
    return Float64Array.from(found.flatMap((part) => [...part]));
  };
  const losses: number[] = [];
  const closure = async () => {
    const { value, gradient } = loss(await values());
    write(device, parameters[0]!.grad, gradient.slice(0, 7));
    write(device, parameters[1]!.grad, gradient.slice(7));
    losses.push(value);
    return value;
  };
  const destroy = () => {
    for (const { param, grad } of parameters) for (const { buffer } of [param, grad]) buffer.destroy();
  };
  return { parameters, values, closure, losses, destroy };
}

/** The same in float64: losses of all points that are tried. */
async function reference(steps: number, historySize: number): Promise<number[]> {
  const losses: number[] = [];
  const at = (x: Float64Array) => {
    const found = rosenbrock(x);
    losses.push(found.value);
    return found;
  };
  const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const pairs: { s: Float64Array; y: Float64Array }[] = [];
  let x = start;
  let now = at(x);
  for (let step = 0; step < steps; step += 1) {
    const { direction } = twoLoop(now.gradient, pairs);
    const scale =
      step === 0 ? Math.min(1, 1 / now.gradient.reduce((sum, value) => sum + Math.abs(value), 0)) : 1;
    const d = direction.map((value) => -scale * value);
    const from = x;
    const point = (t: number) => from.map((value, i) => value + t * d[i]!);
    let last: { t: number; found: typeof now } | undefined;
    const sample = async (t: number): Promise<Sample> => {
      last = { t, found: at(point(t)) };
      return { t, value: last.found.value, slope: dot(last.found.gradient, d) };
    };
    const found = await strongWolfe(
      sample,
      { t: 0, value: now.value, slope: dot(now.gradient, d) },
      await sample(1),
      { decrease: 1e-4, curvature: 0.9, samples: 25, width: 1e-9 / Math.max(...d.map(Math.abs)) },
    );
    x = point(found.t);
    const next = found.t === last!.t ? last!.found : at(x);
    const pair = {
      s: d.map((value) => found.t * value),
      y: next.gradient.map((g, i) => g - now.gradient[i]!),
    };
    if (dot(pair.s, pair.y) > 1e-10) pairs.push(pair);
    if (pairs.length > historySize) pairs.shift();
    now = next;
  }
  return losses;
}

test("12 searches try the points of float64", async () => {
  const { device } = watched();
  const { parameters, closure, losses, destroy } = problem(device);
  const optimizer = await createOptimizer(device, { rule: lbfgs({ historySize: 5 }), parameters });
  const result = await optimizer.minimize(closure, { iterations: 12, evaluations: 1000 });
  const expected = await reference(12, 5);
  expect(result).toMatchObject({ iterations: 12, reason: "iterations", evaluations: expected.length });
  expect(losses).toHaveLength(expected.length);
  for (const [i, loss] of losses.entries())
    expect(Math.abs(loss - expected[i]!) / (1 + expected[i]!), `loss ${i}`).toBeLessThan(1e-3);
  expect(optimizer.groups[0]!.steps).toBe(12);
  optimizer.destroy();
  destroy();
});

test("reaches the minimum of Rosenbrock's function in ten dimensions, and stays there", async () => {
  const { device } = watched();
  const { parameters, closure, values, destroy } = problem(device);
  const optimizer = await createOptimizer(device, { rule: lbfgs({ historySize: 10 }), parameters });
  const result = await optimizer.minimize(closure, { iterations: 200, evaluations: 1000 });
  expect(result.loss).toBeLessThan(1e-9);
  expect(["change", "gradient", "direction"]).toContain(result.reason);
  for (const value of await values()) expect(Math.abs(value - 1)).toBeLessThan(1e-4);
  const again = await optimizer.minimize(closure, { toleranceGradient: 1 });
  expect(again).toMatchObject({ iterations: 0, evaluations: 1, reason: "gradient" });
  optimizer.destroy();
  destroy();
});

test("without a search each step is taken as it is; gradient descent may search, too", async () => {
  const { device } = watched();
  const bowl = (x: Float64Array) => ({
    value: x.reduce((sum, value) => sum + 0.5 * value ** 2, 0),
    gradient: x.slice(),
  });
  const made = problem(device, bowl);
  const optimizer = await createOptimizer(device, { rule: sgd({ lr: 0.5 }), parameters: made.parameters });
  const plain = await optimizer.minimize(made.closure, {
    iterations: 3,
    evaluations: 9,
    lineSearch: "none",
  });
  expect(plain).toMatchObject({ iterations: 3, evaluations: 4, reason: "iterations" });
  for (const [i, value] of (await made.values()).entries()) expect(value).toBeCloseTo(start[i]! / 8, 6);
  // From a rate so small that the search has to go further out.
  optimizer.groups[0]!.lr = 1e-3;
  const searched = await optimizer.minimize(made.closure, { iterations: 1 });
  expect(searched.loss).toBeLessThan(0.9 * plain.loss);
  optimizer.destroy();
  made.destroy();
});

test("a loss that is not finite, no loss and wrong options are refused, with the parameters as they were", async () => {
  const { device } = watched();
  let broken: number | string = Number.NaN;
  const limits = { from: 0, calls: 0 };
  const made = problem(device);
  const closure = async () => {
    const value = await made.closure();
    limits.calls += 1;
    return limits.calls > limits.from ? (broken as number) : value;
  };
  const optimizer = await createOptimizer(device, { rule: lbfgs(), parameters: made.parameters });
  const before = await made.values();
  await expectError(() => optimizer.minimize(closure), "invalid-argument", "no finite loss to begin with");
  broken = "1";
  await expectError(() => optimizer.minimize(closure), "invalid-argument", "gives no loss");
  await expectError(() => optimizer.minimize(undefined as never), "invalid-argument", "a function");
  for (const wrong of [{ iterations: 0 }, { evaluations: 1.5 }, { toleranceChange: -1 }, { tolerance: 1 }])
    await expectError(() => optimizer.minimize(closure, wrong as object), "invalid-argument");
  await expectError(
    () => optimizer.minimize(closure, { lineSearch: "armijo" as never }),
    "invalid-argument",
    "'strongWolfe' or 'none'",
  );
  expect(optimizer.groups[0]!.steps).toBe(0);
  // Further along nothing is finite: the search comes back to where it began.
  broken = Number.POSITIVE_INFINITY;
  Object.assign(limits, { from: limits.calls + 1 });
  await expectError(() => optimizer.minimize(closure), "invalid-argument", "no finite loss along a step");
  expect(await made.values()).toEqual(before);
  optimizer.destroy();

  const fixed = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  const grad = upload(device, new Float32Array(4));
  const other = await createOptimizer(device, {
    rule: lbfgs(),
    parameters: [{ name: "x", param: fixed, grad }],
  });
  await expectError(() => other.minimize(closure), "invalid-buffer", "COPY_SRC and COPY_DST");
  other.destroy();
  fixed.destroy();
  grad.buffer.destroy();
  made.destroy();
});
