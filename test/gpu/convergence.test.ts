// optax's contract of convergence: by the optimizers and rates of its own tests, a parabola and Rosenbrock's function are
// within 3 % of their minima after 10 000 steps.
import { beforeAll, describe, expect, test } from "vitest";
import { type BufferRange, createOptimizer, fromOptax } from "../../src/index.js";
import { read, upload } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { long } from "../support/long.js";

const watched = useDevice();

interface Row {
  readonly name: string;
  readonly kwargs: object;
  /** Of a rule that optax takes to the parabola's minimum only: others need a falling rate. */
  readonly parabolaAlone?: true;
  /** Of a rule that is handed the loss: it sums over all its tensors, and so has an optimizer of its own. */
  readonly byLoss?: true;
}

/** Each is one line; its groups join those of the others. */
const every: readonly Row[] = [
  { name: "adafactor", kwargs: { learning_rate: 5e-3 } },
  { name: "adam", kwargs: { learning_rate: 1e-1 } },
  { name: "fromage", kwargs: { learning_rate: 5e-3 } },
  { name: "lamb", kwargs: { learning_rate: 1e-3 } },
  { name: "lars", kwargs: { learning_rate: 1 } },
  { name: "noisy_sgd", kwargs: { learning_rate: 1e-3, eta: 1e-4 } },
  { name: "optimistic_adam", kwargs: { learning_rate: 2e-3 } },
  { name: "optimistic_adam_v2", kwargs: { learning_rate: 2e-3 } },
  { name: "optimistic_gradient_descent", kwargs: { learning_rate: 2e-3, alpha: 0.7, beta: 0.1 } },
  { name: "polyak_sgd", kwargs: { max_learning_rate: 1 }, byLoss: true },
  { name: "sm3", kwargs: { learning_rate: 1 } },
];
/** Half of them; with `test --long` all. */
const rows = every.filter((_, index) => long || index % 2 === 0);

interface Target {
  readonly name: string;
  readonly start: readonly number[];
  readonly minimum: readonly number[];
  /** WGSL of the gradient at `p`, and of the value. */
  readonly slope: string;
  readonly value: string;
}

const targets: readonly Target[] = [
  {
    // Σ(p − minimum)²
    name: "parabola",
    start: [-1, 10, 1],
    minimum: [1, -1, 1],
    slope: "2 * (p - vec4f(1, -1, 1, 0))",
    value: "dot(p - vec4f(1, -1, 1, 0), p - vec4f(1, -1, 1, 0))",
  },
  {
    // (1 − x)² + 100(y − x²)²
    name: "Rosenbrock's function",
    start: [0, 0],
    minimum: [1, 1],
    slope: "vec4f(2 * (p.x - 1) - 400 * p.x * (p.y - p.x * p.x), 200 * (p.y - p.x * p.x), 0, 0)",
    value: "(1 - p.x) * (1 - p.x) + 100 * (p.y - p.x * p.x) * (p.y - p.x * p.x)",
  },
];

const STEPS = 10_000;
const PER_SUBMIT = 100;
/** Bytes of a tensor and its padding. */
const SLOT = 16;

/**
 * Where every row's parameters of a target end. One optimizer for all but those that are handed the loss: a step is one pass,
 * and nothing is read before the end.
 */
async function descendAll({ start, slope, value }: Target): Promise<Float32Array[]> {
  const { device } = watched();
  const padded = [...start, 0, 0, 0, 0].slice(0, 4);
  const params = upload(device, Float32Array.from(rows.flatMap(() => padded)));
  const grads = upload(device, new Float32Array(4 * rows.length));
  const values = upload(device, new Float32Array(rows.length));
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: {
      module: device.createShaderModule({
        code: `
@group(0) @binding(0) var<storage, read> parameters: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> gradients: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&gradients)) {
    let p = parameters[id.x];
    gradients[id.x] = ${slope};
    values[id.x] = ${value};
  }
}`,
      }),
    },
  });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [params, grads, values].map((resource, binding) => ({ binding, resource })),
  });
  const slot = ({ buffer, offset }: BufferRange, row: number) => ({
    buffer,
    offset: offset + SLOT * row,
    size: 4 * start.length,
  });
  const groups = rows.map(({ name, kwargs, byLoss }, row) => ({
    rule: fromOptax(name, kwargs),
    parameters: [{ name: `${row}`, param: slot(params, row), grad: slot(grads, row) }],
    loss: byLoss && { buffer: values.buffer, offset: 4 * row },
  }));
  const create = (own: typeof groups) =>
    createOptimizer(device, {
      groups: own.map(({ rule, parameters }) => ({ rule, parameters })),
      stepsInFlight: 2 * PER_SUBMIT,
    });
  const optimizers = [
    { optimizer: await create(groups.filter(({ loss }) => !loss)), loss: undefined },
    ...(await Promise.all(
      groups
        .filter(({ loss }) => loss)
        .map(async (own) => ({ optimizer: await create([own]), loss: own.loss })),
    )),
  ];
  for (let t = 0; t < STEPS; t += PER_SUBMIT) {
    const encoder = device.createCommandEncoder();
    for (let step = 0; step < PER_SUBMIT; step += 1) {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(Math.ceil(rows.length / 64));
      pass.end();
      for (const { optimizer, loss } of optimizers) optimizer.encode(encoder, { loss });
    }
    device.queue.submit([encoder.finish()]);
    for (const { optimizer } of optimizers) optimizer.submitted();
  }
  const ends = await read(
    device,
    rows.map((_, row) => slot(params, row)),
  );
  for (const { optimizer } of optimizers) optimizer.destroy();
  for (const { buffer } of [params, grads, values]) buffer.destroy();
  return ends;
}

// The second one takes as long again: with `test --long`.
describe.each(targets.slice(0, long ? 2 : 1))("$name", (target) => {
  let ends: Float32Array[];
  beforeAll(async () => {
    ends = await descendAll(target);
  }, 120_000);

  const judged = rows.map((row, i) => ({ ...row, i }));
  test.each(judged.filter(({ parabolaAlone }) => !parabolaAlone || target === targets[0]))(
    "$name $kwargs",
    ({ i }) => {
      for (const [k, expected] of target.minimum.entries())
        expect(Math.abs(ends[i]![k]! - expected)).toBeLessThanOrEqual(0.03 * (1 + Math.abs(expected)));
    },
  );
});
