// The client of jax-js: steps in place over a tree, held to Adam written with jax-js's own operations.
import { type Array as DeviceArray, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { describe, expect, test } from "vitest";
import { createJaxOptimizer, type JaxOptimizer, realize } from "../../src/clients/jax.js";
import { adam, adamw, constant, nesterovLookahead, polyakSgd, sgd, sophia } from "../../src/index.js";
import { useJax, valuesOf } from "../support/jax.js";
import { normals } from "../support/numbers.js";

const { device } = useJax();

type Layer = { w: DeviceArray; b: DeviceArray };
type Model = { layers: Layer[]; scale: DeviceArray };

const normal = (seed: number, ...shape: number[]) =>
  np.array(
    Float32Array.from(
      normals(
        seed,
        shape.reduce((a, b) => a * b, 1),
      ),
    ),
    { shape },
  );

const newModel = (): Model => ({
  layers: [
    { w: normal(1, 12, 16).mul(0.4), b: np.zeros([16]) },
    { w: normal(2, 16, 3).mul(0.4), b: np.zeros([3]) },
  ],
  scale: np.ones([3]),
});

/** The mean of the squared errors. */
function loss({ layers, scale }: Model, inputs: DeviceArray, targets: DeviceArray): DeviceArray {
  const [first, second] = layers as [Layer, Layer];
  const hidden = nn.relu(np.dot(inputs, first.w).add(first.b));
  return np.square(np.dot(hidden, second.w).add(second.b).mul(scale).sub(targets)).mean();
}

const batch = (step: number) => [normal(100 + step, 32, 12), normal(7, 32, 3)] as const;

/** Adam as the paper has it, by jax-js; the rate and the corrections of biases come from outside. */
const jaxAdam = jit((state: { p: Model; m: Model; v: Model }, g: Model, scalars: DeviceArray) => {
  const [rate, c1, c2] = [0, 1, 2].map((index) => scalars.ref.slice(index));
  scalars.dispose();
  const m = tree.map((m: DeviceArray, g: DeviceArray) => m.mul(0.9).add(g.ref.mul(0.1)), state.m, g) as Model;
  const v = tree.map(
    (v: DeviceArray, g: DeviceArray) => v.mul(0.999).add(np.square(g).mul(0.001)),
    state.v,
    g,
  ) as Model;
  const p = tree.map(
    (p: DeviceArray, m: DeviceArray, v: DeviceArray) =>
      p.sub(
        m.ref
          .mul(rate!.ref)
          .div(c1!.ref)
          .div(np.sqrt(v.ref.div(c2!.ref)).add(1e-8)),
      ),
    state.p,
    m,
    v,
  ) as Model;
  for (const scalar of [rate, c1, c2]) scalar!.dispose();
  return { p, m, v };
});

const zeros = (model: Model) => tree.map((array: DeviceArray) => np.zeros(array.shape), model) as Model;

async function lossesByJax(steps: number): Promise<number[]> {
  const compiled = jit(valueAndGrad(loss));
  const p = newModel();
  let state = { p, m: zeros(p), v: zeros(p) };
  const losses: number[] = [];
  for (let t = 1; t <= steps; t += 1) {
    const [value, gradients] = compiled(tree.ref(state.p), ...batch(t));
    losses.push(Number((await value.data())[0]));
    state = jaxAdam(state, gradients, np.array([0.02, 1 - 0.9 ** t, 1 - 0.999 ** t]));
  }
  tree.dispose(state);
  return losses;
}

describe.each(["jitted", "eager"])("%s gradients", (kind) => {
  test("have the losses of Adam by jax-js's own operations", async () => {
    const steps = kind === "jitted" ? 100 : 10;
    const expected = await lossesByJax(steps);
    const gradientsOf = kind === "jitted" ? jit(valueAndGrad(loss)) : valueAndGrad(loss);
    const parameters = newModel();
    const optimizer = await createJaxOptimizer(parameters, { rule: adam({ lr: 0.02 }) });
    const losses: DeviceArray[] = [];
    for (let t = 1; t <= steps; t += 1) {
      const [value, gradients] = gradientsOf(tree.ref(parameters), ...batch(t));
      optimizer.step(gradients, { loss: value.ref });
      losses.push(value);
    }
    const values = (await Promise.all(losses.map(valuesOf))).flat();
    tree.dispose(losses);
    expect(values[steps - 1]).toBeLessThan(values[0]! * (kind === "jitted" ? 0.8 : 1));
    values.forEach((value, index) => {
      expect(Math.abs(value - expected[index]!), `step ${index + 1}`).toBeLessThan(1e-4);
    });
    optimizer.destroy();
    tree.dispose(parameters);
  });
});

/** Some steps of plain gradients; what the parameters are then. */
async function valuesAfter<T extends Model>(
  steps: number,
  optimizer: JaxOptimizer<T>,
  parameters: T,
  act: (optimizer: JaxOptimizer<T>, gradients: (from: number) => T) => void,
): Promise<number[]> {
  const compiled = jit(valueAndGrad(loss));
  for (let t = 1; t <= steps; t += 1)
    act(optimizer, (at) => {
      const [value, gradients] = compiled(tree.ref(parameters), ...batch(at));
      value.dispose();
      return gradients as T;
    });
  const values = (await Promise.all(tree.leaves<DeviceArray>(parameters).map(valuesOf))).flat();
  return values;
}

test("paths name states and sort arrays into groups; a checkpoint goes on with the same bits", async () => {
  const make = async () => {
    const parameters = newModel();
    const optimizer = await createJaxOptimizer(parameters, {
      rule: adamw({ lr: 0.01, weightDecay: 0.1 }),
      schedule: constant(),
      groups: [
        { match: /\.b$/, weightDecay: 0 },
        { match: (_, shape) => shape?.length === 1, lr: 0.001 },
        {},
      ],
    });
    return { parameters, optimizer };
  };
  const a = await make();
  expect(a.optimizer.engine.groups.map(({ names }) => names)).toEqual([
    ["layers.0.b", "layers.1.b"],
    ["scale"],
    ["layers.0.w", "layers.1.w"],
  ]);
  const step = (optimizer: JaxOptimizer<Model>, gradients: (at: number) => Model) =>
    optimizer.step(gradients(3));
  await valuesAfter(3, a.optimizer, a.parameters, step);
  expect(a.optimizer.engine.state("layers.1.w", "exp_avg").size).toBe(4 * 16 * 3);
  const file = await a.optimizer.engine.save();
  const expected = await valuesAfter(2, a.optimizer, a.parameters, step);
  const b = await make();
  await b.optimizer.engine.load(file);
  expect(await valuesAfter(2, b.optimizer, b.parameters, step)).toEqual(expected);
  for (const { parameters, optimizer } of [a, b]) {
    optimizer.destroy();
    tree.dispose(parameters);
  }
});

test("micro-batches add up to the batch", async () => {
  const run = async (parts: readonly number[]) => {
    const parameters = newModel();
    const optimizer = await createJaxOptimizer(parameters, { rule: sgd({ lr: 0.1 }), accumulation: true });
    const values = await valuesAfter(2, optimizer, parameters, (optimizer, gradients) => {
      for (const samples of parts) optimizer.accumulate(gradients(5), { samples });
      optimizer.step();
    });
    optimizer.destroy();
    tree.dispose(parameters);
    return values;
  };
  const whole = await run([1]);
  (await run([2, 1, 4])).forEach((value, index) => {
    expect(value).toBeCloseTo(whole[index]!, 6);
  });
});

test("look-ahead, ascent, curvature, average and the loss go through", async () => {
  const lookahead = newModel();
  const nesterov = await createJaxOptimizer(lookahead, { rule: nesterovLookahead({ lr: 0.01 }) });
  await valuesAfter(3, nesterov, lookahead, (optimizer, gradients) => {
    optimizer.engine.lookahead();
    optimizer.step(gradients(1));
  });

  const others = newModel();
  const sam = await createJaxOptimizer(others, { rule: sgd({ lr: 0.1 }), sam: {}, average: { decay: 0.5 } });
  const trained = await valuesAfter(3, sam, others, (optimizer, gradients) => {
    optimizer.ascend(gradients(1));
    optimizer.step(gradients(1));
  });
  sam.engine.swapAverage();
  const averaged = (await Promise.all(tree.leaves<DeviceArray>(others).map(valuesOf))).flat();
  expect(averaged).not.toEqual(trained);
  sam.engine.swapAverage();
  expect((await Promise.all(tree.leaves<DeviceArray>(others).map(valuesOf))).flat()).toEqual(trained);
  // Given up, it is where it was.
  const still = await valuesAfter(1, sam, others, (optimizer, gradients) => {
    optimizer.ascend(gradients(1));
    optimizer.restore();
  });
  expect(still).toEqual(trained);

  const third = newModel();
  const second = await createJaxOptimizer(third, { rule: sophia({ lr: 0.01 }) });
  const before = (await Promise.all(tree.leaves<DeviceArray>(third).map(valuesOf))).flat();
  const after = await valuesAfter(2, second, third, (optimizer, gradients) => {
    optimizer.curvature(tree.map((g: DeviceArray) => np.square(g), gradients(1)) as Model);
    optimizer.step(gradients(1));
  });
  expect(after.filter((value, index) => value === before[index]).length).toBeLessThan(after.length / 2);
  for (const optimizer of [nesterov, sam, second]) optimizer.destroy();
  tree.dispose([lookahead, others, third]);
});

test("Polyak's rate is that of the loss handed in", async () => {
  const w = np.array([3, -1, 2]);
  const optimizer = await createJaxOptimizer(w, { rule: polyakSgd({ lr: 1, eps: 0 }) });
  // f = Σw²/2 = 7, g = w, |g|² = 14: half of w goes.
  const [value, gradients] = valueAndGrad((w: DeviceArray) => np.square(w).sum().mul(0.5))(w.ref);
  optimizer.step(gradients, { loss: value });
  (await valuesOf(w)).forEach((got, index) => {
    expect(got).toBeCloseTo([1.5, -0.5, 1][index]!, 5);
  });
  optimizer.destroy();
  w.dispose();
});

test("gradients that share storage with parameters or each other are read before anything is written", async () => {
  const parameters = { a: np.array([1, 2, 3]), b: np.array([4, 5, 6]), c: np.array([1, 1, 1]) };
  type Three = typeof parameters;
  const optimizer = await createJaxOptimizer(parameters, { rule: sgd({ lr: 1 }) });
  for (let step = 0; step < 2; step += 1) {
    const { a, b, c } = parameters;
    // As the gradients of a·b + b·c would be where nothing is copied.
    const gradients: Three = { a: b.ref, b: a.ref.reshape([3, 1]).reshape([3]), c: b.ref };
    optimizer.step(gradients);
    expect([a, b, c].map(({ refCount }) => refCount)).toEqual([1, 1, 1]);
  }
  // a, b, c: (1, 4, 1) → (−3, 3, −3) → (−6, 6, −6)
  const values = await Promise.all([parameters.a, parameters.b, parameters.c].map(valuesOf));
  expect(values.map(([first]) => first)).toEqual([-6, 6, -6]);
  optimizer.destroy();
  tree.dispose(parameters);
});

test("realize() starts what waits, before the parameters change", async () => {
  const w = np.array([1, 2, 3]);
  const optimizer = await createJaxOptimizer(w, { rule: sgd({ lr: 1 }) });
  const twice = realize(w.ref.mul(2));
  const late = w.ref.mul(2);
  optimizer.step(np.array([1, 1, 1]));
  expect(await valuesOf(twice)).toEqual([2, 4, 6]);
  // What waits reads them as they are later: the reason for realize().
  expect(await valuesOf(late)).toEqual([0, 2, 4]);
  optimizer.destroy();
  tree.dispose([w, twice, late]);
});

test("works on jax-js's device, with guards and reports", async () => {
  const w = np.array([1, 2, 3]);
  const reports: boolean[] = [];
  const optimizer = await createJaxOptimizer(w, {
    rule: sgd({ lr: 1 }),
    guards: { nonFinite: "skip" },
    telemetry: { onReport: ({ taken }) => reports.push(taken) },
  });
  expect(optimizer.engine.device).toBe(device());
  optimizer.step(np.array([1, Number.NaN, 1]));
  optimizer.step(np.array([1, 1, 1]));
  await optimizer.engine.settled();
  expect(reports).toEqual([false, true]);
  expect(await valuesOf(w)).toEqual([0, 1, 2]);
  optimizer.destroy();
  w.dispose();
});
