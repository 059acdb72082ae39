// L-BFGS by a closure: strong Wolfe line searches, against PyTorch's own in float64.
import { expect, test } from "vitest";
import { createOptimizer, lbfgs, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { rosenbrock } from "../support/rosenbrock.js";
import recorded from "../vectors/pytorch/lbfgs.json";

const watched = useDevice();

const start = Float64Array.from(recorded.initial);

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

test.each(recorded.cases.filter(({ config }) => config.line_search_fn !== null))(
  "searches try the points of PyTorch: $config",
  async ({ config, steps, losses: expected }) => {
    const { device } = watched();
    const { parameters, closure, losses, destroy } = problem(device);
    const rule = lbfgs({ historySize: config.history_size, lr: config.lr });
    const optimizer = await createOptimizer(device, { rule, parameters });
    const tolerances = { toleranceGradient: 0, toleranceChange: 0 };
    const result = await optimizer.minimize(closure, {
      iterations: steps,
      evaluations: 1000,
      ...tolerances,
    });
    expect(result).toMatchObject({ iterations: steps, reason: "iterations", evaluations: expected.length });
    // A point that a search refuses lies far out, where the loss is steep.
    for (const [i, loss] of losses.entries())
      expect(Math.abs(loss - expected[i]!) / (1 + expected[i]!), `loss ${i}`).toBeLessThan(2e-3);
    expect(optimizer.groups[0]!.steps).toBe(steps);
    optimizer.destroy();
    destroy();
  },
);

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
