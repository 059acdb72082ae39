// Muon under guards: a rule with passes is skipped, resumed and left out as any other.
import { expect, test } from "vitest";
import { createOptimizer, muon, type Optimizer } from "../../src/index.js";
import { read, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { gradients } from "../support/numbers.js";
import { bits, destroyTensors, tensor } from "../support/tensors.js";

const watched = useDevice();

const shapes = { w: [12, 20], v: [20, 7] } as const;
// Two iterations show what five would, and take less time.
const rule = muon({ lr: 0.1, weightDecay: 0.1, steps: 2 });
const guards = {
  clipGlobalNorm: 4,
  adaptiveClip: 0.5,
  centralize: true,
  lossScale: { initial: 1024, interval: 3 },
};

/** The tensors, and optimizers over them. */
function makeRun() {
  const { device } = watched();
  const tensors = Object.entries(shapes).map(([name, shape]) => ({
    ...tensor(device, name, shape[0] * shape[1]),
    shape,
  }));
  const params = tensors.map(({ param }) => param);
  return {
    make: () =>
      createOptimizer(device, {
        rule,
        schedule: (t) => 0.9 ** t,
        parameters: tensors,
        guards,
        telemetry: {},
      }),
    /** A step by gradients of a seed, that are multiplied by the scale that the GPU has. */
    async step(optimizer: Optimizer, seed: number, bad?: number) {
      const [scale] = await read(device, [optimizer.lossScale]);
      for (const [i, { grad }] of tensors.entries()) {
        const values = gradients(seed, i, grad.size / 4).map((value) => value * scale![0]!);
        if (bad !== undefined && i === 1) values[137] = bad;
        write(device, grad, values);
      }
      optimizer.step();
    },
    /** Parameters and momenta. */
    async held(optimizer: Optimizer) {
      await optimizer.settled();
      const states = tensors.map(({ name }) => optimizer.state(name, "momentum_buffer"));
      return bits(await read(device, [...params, ...states]));
    },
    async reset() {
      for (const { name, param } of tensors) write(device, param, gradients(77, name.length, param.size / 4));
    },
    destroy: () => destroyTensors(tensors),
  };
}

test("steps that are not finite leave no trace; halfway, a file goes on with the same bits", async () => {
  const { make, step, held, reset, destroy } = makeRun();
  await reset();
  const straight = await make();
  for (const seed of [1, 2, 3, 4]) await step(straight, seed);
  const right = await held(straight);
  straight.destroy();

  await reset();
  const first = await make();
  await step(first, 1);
  await step(first, 8, Number.NaN);
  await step(first, 2);
  await step(first, 9, Number.POSITIVE_INFINITY);
  await first.settled();
  expect(first.groups[0]!.steps).toBe(2);
  const file = await first.save();
  await step(first, 3);
  await step(first, 4);
  expect(await held(first)).toEqual(right);
  first.destroy();

  // From other parameters: the file's come in their place.
  await reset();
  const second = await make();
  await step(second, 50);
  await second.settled();
  second.destroy();
  const resumed = await make();
  await resumed.load(file);
  expect(resumed.groups[0]!.steps).toBe(2);
  await step(resumed, 3);
  await step(resumed, 4);
  expect(await held(resumed)).toEqual(right);
  resumed.destroy();
  destroy();
});
