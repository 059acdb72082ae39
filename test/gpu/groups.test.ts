// Groups that change during training: tensors and groups that join, tensors that are frozen and thawed.
import { describe, expect, test } from "vitest";
import {
  adam,
  createArena,
  createOptimizer,
  type GuardOptions,
  nadam,
  partition,
  prodigy,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients, normals } from "../support/numbers.js";

const watched = useDevice();
const names = ["a", "b", "c"];
const lengths: Readonly<Record<string, number>> = { a: 33, b: 5, c: 64 };

function tensors() {
  const { device } = watched();
  return names.map((name, index) => ({
    name,
    param: upload(device, normals(index, lengths[name]!), { label: name }),
    grad: upload(device, new Float32Array(lengths[name]!), { label: `${name} gradient` }),
  }));
}
type Tensors = ReturnType<typeof tensors>;

const feed = (given: Tensors, t: number) =>
  given.forEach(({ name, grad }, index) => {
    write(watched().device, grad, gradients(10 + index, t, lengths[name]!));
  });
const parametersOf = (given: Tensors) =>
  read(
    watched().device,
    given.map(({ param }) => param),
  );
const destroy = (given: Tensors) => {
  for (const { param, grad } of given) for (const { buffer } of [param, grad]) buffer.destroy();
};

/** What a tensor is after steps of its own: the steps that it takes part in, each with the group's t. */
async function alone(index: number, steps: readonly number[], rule = nadam({ lr: 0.05 })) {
  const given = tensors();
  const { device } = watched();
  const optimizer = await createOptimizer(device, { rule, parameters: [given[index]!] });
  for (const t of steps) {
    feed(given, t);
    optimizer.step();
  }
  const parameters = (await parametersOf(given))[index]!;
  optimizer.destroy();
  destroy(given);
  return parameters;
}

const monitored: readonly (readonly [string, GuardOptions | undefined])[] = [
  ["plain", undefined],
  ["with guards", { clipGlobalNorm: 1e6 }],
];

describe.each(monitored)("%s", (_, guards) => {
  const options = { rule: nadam({ lr: 0.05 }), ...(guards && { guards, telemetry: {} }) };

  test("a group joins with a step count of its own, and the others go on bit for bit", async () => {
    const { device } = watched();
    const given = tensors();
    const optimizer = await createOptimizer(device, { ...options, parameters: given.slice(0, 2) });
    for (const t of [1, 2, 3]) {
      feed(given, t);
      optimizer.step();
    }
    await optimizer.addGroup({ parameters: [given[2]!], rule: adam({ lr: 0.01 }) });
    for (const t of [4, 5]) {
      feed(given, t);
      optimizer.step();
    }
    await optimizer.settled();
    expect(optimizer.groups.map(({ steps }) => steps)).toEqual([5, 2]);
    expect(await parametersOf(given)).toEqual([
      await alone(0, [1, 2, 3, 4, 5]),
      await alone(1, [1, 2, 3, 4, 5]),
      await alone(2, [4, 5], adam({ lr: 0.01 })),
    ]);
    optimizer.destroy();
    destroy(given);
  });

  test("a group joins: its schedule begins at its start or goes on with the run, its tensors at step 1", async () => {
    const { device } = watched();
    const given = tensors();
    const schedule = (step: number) => 1 / (1 + step);
    const optimizer = await createOptimizer(device, {
      ...options,
      schedule,
      rule: adam({ lr: 0.5 }),
      parameters: given.slice(0, 1),
    });
    for (const t of [1, 2, 3]) {
      feed(given, t);
      optimizer.step();
    }
    // As it was given at creation.
    optimizer.groups[0]!.lr = 0.25;
    await expectError(
      () => optimizer.addGroup({ parameters: given.slice(1, 2) }, { scheduleFrom: "now" as never }),
      "invalid-argument",
      "'start' or 'run'",
    );
    await optimizer.addGroup({ parameters: given.slice(1, 2) });
    await optimizer.addGroup({ parameters: given.slice(2) }, { scheduleFrom: "run" });
    feed(given, 4);
    optimizer.step();
    await optimizer.settled();
    expect(optimizer.groups.map(({ rate }) => rate)).toEqual([0.0625, 0.5, 0.125]);
    expect(optimizer.groups.map(({ steps }) => steps)).toEqual([4, 1, 4]);
    expect(optimizer.groups.map((group, index) => group.stepsOf(names[index]!))).toEqual([4, 1, 1]);
    optimizer.destroy();
    destroy(given);
  });

  test("a tensor joins a group: fresh state, its own step count", async () => {
    const { device } = watched();
    const given = tensors();
    const rule = adam({ lr: 0.05 });
    const optimizer = await createOptimizer(device, { ...options, rule, parameters: given.slice(0, 1) });
    feed(given, 1);
    optimizer.step();
    await optimizer.addParameters(optimizer.groups[0]!, given.slice(1));
    expect(optimizer.groups[0]!.names).toEqual(names);
    feed(given, 2);
    optimizer.step();
    await optimizer.settled();
    expect(optimizer.groups[0]!.steps).toBe(2);
    expect(names.map((name) => optimizer.groups[0]!.stepsOf(name))).toEqual([2, 1, 1]);
    const [a, b] = await parametersOf(given);
    expect(a).toEqual(await alone(0, [1, 2], rule));
    // m = (1 − β1)g and v = (1 − β2)g² under the bias corrections of t = 1.
    const gradient = gradients(11, 2, 5);
    normals(1, 5).forEach((before, i) => {
      const m = (0.1 * gradient[i]!) / (1 - 0.9);
      const v = (0.001 * gradient[i]! ** 2) / (1 - 0.999);
      expect(Math.abs(b![i]! - (before - (0.05 * m) / (Math.sqrt(v) + 1e-8)))).toBeLessThanOrEqual(1e-6);
    });
    optimizer.destroy();
    destroy(given);
  });

  test("what is settled over all tensors holds for those that join or thaw", async () => {
    const { device } = watched();
    const given = tensors();
    const rule = prodigy({ d0: 1e-3 });
    const optimizer = await createOptimizer(device, { ...options, rule, parameters: given.slice(0, 1) });
    // A gradient that stays lets the distance grow.
    const step = () => {
      given.forEach(({ name, grad }) => {
        write(device, grad, new Float32Array(lengths[name]!).fill(1));
      });
      optimizer.step();
    };
    const distances = async (...of: readonly string[]) => {
      const values = await read(
        device,
        of.map((name) => optimizer.state(name, "next_d")),
      );
      return values.map(([distance]) => distance!);
    };
    for (let t = 0; t < 6; t += 1) step();
    const [grown] = await distances("a");
    expect(grown).toBeGreaterThan(2e-3);
    await optimizer.addParameters(optimizer.groups[0]!, given.slice(1, 2));
    await optimizer.addGroup({ parameters: given.slice(2) });
    expect(await distances(...names)).toEqual([grown, grown, grown]);
    await optimizer.freeze("b");
    for (let t = 0; t < 6; t += 1) step();
    const [a, b, c] = await distances(...names);
    expect(a).toBeGreaterThan(grown!);
    // Of frozen ones, too.
    expect([b, c]).toEqual([a, a]);
    await optimizer.thaw("b");
    step();
    const after = await distances(...names);
    expect(new Set(after).size).toBe(1);
    optimizer.destroy();
    destroy(given);
  });

  test("groups of other rates share one Prodigy distance", async () => {
    const { device } = watched();
    const given = tensors();
    const optimizer = await createOptimizer(device, {
      rule: prodigy({ d0: 1e-3 }),
      groups: [
        { parameters: given.slice(0, 1) },
        { parameters: given.slice(1, 2), lr: 0.5 },
        { parameters: given.slice(2), schedule: (step) => (step < 4 ? 0 : 1) },
      ],
    });
    const initial = await parametersOf(given);
    for (let t = 0; t < 8; t += 1) {
      for (const { name, grad } of given) write(device, grad, new Float32Array(lengths[name]!).fill(1));
      optimizer.step();
    }
    const distances = await read(
      device,
      names.map((name) => optimizer.state(name, "next_d")),
    );
    expect(new Set(distances.map(([distance]) => distance)).size).toBe(1);
    expect(distances[0]![0]).toBeGreaterThan(2e-3);
    // A step of the grown distance each.
    for (const [i, values] of (await parametersOf(given)).entries())
      expect(initial[i]![0]! - values[0]!).toBeGreaterThan(2e-3);
    optimizer.destroy();
    destroy(given);
  });

  test("a frozen tensor keeps its bits and its state, and goes on when thawed", async () => {
    const { device } = watched();
    const given = tensors();
    // Without bias correction the step count does not matter: the frozen steps are as if they had not been.
    const rule = sgd({ lr: 0.05, weightDecay: 0.1 });
    const optimizer = await createOptimizer(device, { ...options, rule, parameters: given });
    feed(given, 1);
    optimizer.step();
    await optimizer.freeze("b", "c");
    expect(optimizer.frozen).toEqual(["b", "c"]);
    const before = await parametersOf(given);
    feed(given, 2);
    optimizer.step();
    const during = await parametersOf(given);
    expect(during.slice(1)).toEqual(before.slice(1));
    await optimizer.thaw("b");
    feed(given, 3);
    optimizer.step();
    await optimizer.settled();
    expect(await parametersOf(given)).toEqual([
      await alone(0, [1, 2, 3], rule),
      await alone(1, [1, 3], rule),
      await alone(2, [1], rule),
    ]);
    optimizer.destroy();
    destroy(given);
  });
});

test("what is not possible now is refused and changes nothing", async () => {
  const { device, live } = watched();
  const given = tensors();
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    parameters: given.slice(0, 2),
    accumulation: true,
    average: {},
  });
  const before = live.size;
  await expectError(() => optimizer.addGroup({ parameters: [given[0]!] }), "duplicate-name");
  await expectError(
    () => optimizer.addGroup({ parameters: [{ ...given[0]!, name: "again" }] }),
    "aliased-buffers",
  );
  await expectError(() => optimizer.addGroup({ parameters: [given[2]!], beta1: 2 }), "invalid-option");
  await expectError(() => optimizer.freeze("nothing"), "unknown-name");
  const encoder = device.createCommandEncoder();
  optimizer.encode(encoder);
  await expectError(() => optimizer.addGroup({ parameters: [given[2]!] }), "busy");
  device.queue.submit([encoder.finish()]);
  optimizer.submitted();
  optimizer.accumulate();
  await expectError(() => optimizer.freeze("a"), "busy");
  optimizer.step();
  optimizer.swapAverage();
  await expectError(() => optimizer.freeze("a"), "averaged");
  optimizer.swapAverage();
  const joining = optimizer.addGroup({ parameters: [given[2]!] });
  await expectError(() => optimizer.step(), "busy");
  await joining;
  optimizer.step();
  expect(optimizer.groups.map(({ steps }) => steps)).toEqual([3, 1]);
  expect(live.size).toBeGreaterThan(before);
  optimizer.destroy();
  destroy(given);
});

test("partition sorts by name", async () => {
  const { device } = watched();
  const arena = createArena(device, [
    { "layer.weight": [3, 4], "layer.bias": [4], "norm.weight": [4], other: [2] },
  ]);
  const [parameters] = arena.groups;
  const groups = partition(parameters, [
    { match: /bias|norm/g, weightDecay: 0 },
    { match: (_, shape) => shape?.length === 2, lr: 0.5 },
    {},
  ]);
  expect(groups.map(({ parameters, ...options }) => [parameters.map(({ name }) => name), options])).toEqual([
    [["layer.bias", "norm.weight"], { weightDecay: 0 }],
    [["layer.weight"], { lr: 0.5 }],
    [["other"], {}],
  ]);
  const optimizer = await createOptimizer(device, { rule: adam({ weightDecay: 0.1 }), groups });
  expect(optimizer.groups.map(({ lr, options }) => [lr, options.weightDecay])).toEqual([
    [1e-3, 0],
    [0.5, 0.1],
    [1e-3, 0.1],
  ]);
  await expectError(() => partition(parameters, [{ match: /bias/ }]), "invalid-argument");
  await expectError(() => partition(parameters, [{ match: "bias" as never }]), "invalid-argument");
  optimizer.destroy();
  arena.destroy();
});
