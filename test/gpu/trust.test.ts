// Rules whose steps follow sums over whole tensors: how many dispatches they take, tails, and norms that f32 cannot square.
import { expect, test } from "vitest";
import {
  type BufferRange,
  createArena,
  createOptimizer,
  fromage,
  lamb,
  lars,
  type Rule,
  stableAdamw,
} from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { read } from "../support/buffers.js";
import { difference, useDevice } from "../support/device.js";

const watched = useDevice();

const named: readonly (readonly [string, Rule])[] = [
  ["lars", lars({ weightDecay: 0.01 })],
  ["lamb", lamb({ weightDecay: 0.01 })],
  ["fromage", fromage()],
  ["stable-adamw", stableAdamw()],
];

/** Lengths from 1 to 13: tails of every kind. */
const lengthOf = (i: number) => 1 + ((i * 5) % 13);

/** Two steps over tensors of an arena: the dispatches of one, and how far parameters are off. */
async function run(rule: Rule, tensors: number, scale = 1) {
  const { device, counts } = watched();
  const shapes = Array.from({ length: tensors }, (_, i) => [`t${i}`, [lengthOf(i)]]);
  const arena = createArena(device, [Object.fromEntries(shapes)]);
  const [group] = arena.groups;
  const fill = (buffer: GPUBuffer, ranges: readonly BufferRange[], value: (i: number) => number) => {
    const values = new Float32Array(buffer.size / 4);
    const filled = ranges.map(({ offset = 0, size = 0 }, i) =>
      values.subarray(offset / 4, (offset + size) / 4).map((_, k) => value(16 * i + k)),
    );
    for (const [i, own] of filled.entries()) values.set(own, (ranges[i]!.offset ?? 0) / 4);
    device.queue.writeBuffer(buffer, 0, values);
    return filled.map((own) => Float64Array.from(own));
  };
  const params = group.map(({ param }) => param);
  let parameters: readonly Float64Array[] = fill(arena.parameters, params, Math.cos);
  let states = parameters.map((own) => referenceState(rule.row, rule.options, own));
  const optimizer = await createOptimizer(device, { rule, parameters: group });
  let dispatches = 0;
  for (const t of [1, 2]) {
    const grads = group.map(({ grad }) => grad);
    const gradients = fill(arena.gradients, grads, (i) => scale * t * Math.sin(t + 3 * i));
    const encoder = device.createCommandEncoder();
    const before = { ...counts };
    optimizer.encode(encoder);
    ({ dispatches } = difference(counts, before));
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
    const at = { t, lr: rule.options.lr };
    const steps = parameters.map((own, i) =>
      referenceStep(rule.row, rule.options, at, own, gradients[i]!, states[i]!),
    );
    parameters = steps.map((one) => one.parameters);
    states = steps.map((one) => one.state);
  }
  const after = await read(device, params);
  const errors = parameters.flatMap((own, i) => [...own].map((value, k) => Math.abs(after[i]![k]! - value)));
  optimizer.destroy();
  arena.destroy();
  return { dispatches, error: Math.max(...errors) };
}

test.each(named)("%s: as many dispatches for a thousand tensors as for ten", async (_, rule) => {
  const few = await run(rule, 10);
  const many = await run(rule, 1000);
  expect(many.dispatches).toBe(few.dispatches);
  expect(many.dispatches).toBeLessThan(12);
  for (const { error } of [few, many]) expect(error).toBeLessThan(2e-6);
});

test.each(named.flatMap(([name, rule]) => [1e-30, 1e-20, 1e18].map((scale) => [name, scale, rule] as const)))(
  "%s: gradients of %d",
  async (_, scale, rule) => {
    expect((await run(rule, 10, scale)).error).toBeLessThan(2e-6);
  },
);
