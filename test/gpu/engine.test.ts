// What the engine makes, counts and owns.
import { describe, expect, test } from "vitest";
import {
  adadelta,
  adam,
  adamw,
  createArena,
  createOptimizer,
  nesterovLookahead,
  type OptimizerOptions,
  type Parameter,
} from "../../src/index.js";
import { read, upload, whole } from "../support/buffers.js";
import { type Counts, difference, useDevice } from "../support/device.js";
import { destroyTensors, tensor } from "../support/tensors.js";

const watched = useDevice();

const none: Counts = {
  buffers: 0,
  bindGroups: 0,
  layouts: 0,
  modules: 0,
  pipelines: 0,
  encoders: 0,
  passes: 0,
  commandBuffers: 0,
  dispatches: 0,
  submits: 0,
  maps: 0,
};

/** What is made while `run` runs. */
function made(run: () => void): Counts {
  const { counts } = watched();
  const before = { ...counts };
  run();
  return difference(counts, before);
}

/** An arena of two groups with 500 tensors each, of many lengths. */
function thousandTensors(device: GPUDevice) {
  const group = (letter: string) =>
    Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${letter}${i}`, [1 + ((i * 7) % 90)]]));
  return createArena(device, [group("a"), group("b")]);
}

describe("dispatches", () => {
  test("one for each group of an arena, however many tensors it has", async () => {
    const { device } = watched();
    const arena = thousandTensors(device);
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      groups: arena.groups.map((parameters) => ({ parameters })),
    });
    expect(made(() => optimizer.step()).dispatches).toBe(2);
    optimizer.destroy();
    arena.destroy();
  });

  test.each([
    { what: "aligned, a multiple of four", length: 8, place: {}, dispatches: 1 },
    { what: "a tail", length: 9, place: {}, dispatches: 2 },
    { what: "only a tail", length: 3, place: {}, dispatches: 1 },
    { what: "a head", length: 7, place: { offset: 4 }, dispatches: 2 },
    { what: "a head and a tail", length: 9, place: { offset: 4 }, dispatches: 3 },
    { what: "parameter and gradient not congruent", length: 64, place: { gradientOffset: 4 }, dispatches: 1 },
  ])("of a loose tensor: $what", async ({ length, place, dispatches }) => {
    const { device } = watched();
    const tensors = [tensor(device, "x", length, place)];
    const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
    expect(made(() => optimizer.step()).dispatches).toBe(dispatches);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("neighbours in memory are one dispatch, in whatever order they are listed", async () => {
    const { device } = watched();
    const param = upload(device, new Float32Array(64)).buffer;
    const grad = upload(device, new Float32Array(64)).buffer;
    const at = (name: string, offset: number): Parameter => ({
      name,
      param: { buffer: param, offset, size: 64 },
      grad: { buffer: grad, offset, size: 64 },
    });
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: [at("c", 128), at("a", 0), at("d", 192), at("b", 64)],
    });
    expect(made(() => optimizer.step()).dispatches).toBe(1);
    optimizer.destroy();
    param.destroy();
    grad.destroy();
  });
});

describe("a warm step makes only encoder, pass and command buffer", () => {
  const kinds = [
    { kind: "plain", rule: adamw(), extra: {}, begin: () => {}, submits: 1, passes: 1, dispatches: 3 },
    {
      kind: "with a look-ahead",
      rule: nesterovLookahead(),
      extra: {},
      begin: (optimizer: Awaited<ReturnType<typeof createOptimizer>>) => optimizer.lookahead(),
      submits: 2,
      passes: 2,
      dispatches: 6,
    },
    {
      kind: "with accumulation",
      rule: adam(),
      extra: { accumulation: true },
      begin: (optimizer: Awaited<ReturnType<typeof createOptimizer>>) => optimizer.accumulate({ samples: 3 }),
      submits: 2,
      passes: 2,
      dispatches: 6,
    },
  ];

  test.each(kinds)("$kind", async ({ rule, extra, begin, submits, passes, dispatches }) => {
    const { device } = watched();
    const arena = createArena(device, [{ a: [33], b: [100] }]);
    const loose = [tensor(device, "loose", 21)];
    const optimizer = await createOptimizer(device, {
      rule,
      ...extra,
      groups: [{ parameters: arena.groups[0]! }, { parameters: loose, weightDecay: 0 }],
    } satisfies OptimizerOptions);
    const once = (i: number) => {
      optimizer.groups[0]!.lr = 1e-3 / (i + 1);
      begin(optimizer);
      optimizer.step();
    };
    once(0);
    const fifty = made(() => {
      for (let i = 0; i < 50; i += 1) once(i);
    });
    expect(fifty).toEqual({
      ...none,
      encoders: 50 * submits,
      passes: 50 * passes,
      commandBuffers: 50 * submits,
      submits: 50 * submits,
      dispatches: 50 * dispatches,
    });
    optimizer.destroy();
    arena.destroy();
    destroyTensors(loose);
  });

  test("encode makes a pass alone", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
    const encoder = device.createCommandEncoder();
    expect(made(() => optimizer.encode(encoder))).toEqual({ ...none, passes: 1, dispatches: 1 });
    device.queue.submit([encoder.finish()]);
    optimizer.destroy();
    destroyTensors(tensors);
  });
});

test("setGradients makes bind groups for a new buffer and nothing for one seen before", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 9), tensor(device, "y", 16)];
  const gradients = [1, 2, 3].map((value) => upload(device, new Float32Array(9).fill(value)));
  const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
  const original = tensors[0]!.grad;

  // A vec4 body and a scalar tail.
  expect(made(() => optimizer.setGradients({ x: gradients[0]! }))).toEqual({ ...none, bindGroups: 2 });
  expect(made(() => optimizer.setGradients({ x: gradients[0]! }))).toEqual(none);
  expect(made(() => optimizer.setGradients({ x: gradients[1]!.buffer }))).toEqual({ ...none, bindGroups: 2 });
  for (const seen of [gradients[0]!, original, gradients[1]!])
    expect(made(() => optimizer.setGradients({ x: seen, y: tensors[1]!.grad }))).toEqual(none);
  expect(made(() => optimizer.setGradients({}))).toEqual(none);

  // The one set last is the one read: Adam's first average is a tenth of it, rounded to f32.
  optimizer.setGradients({ x: gradients[2]! });
  optimizer.step();
  const [average] = await read(device, [optimizer.state("x", "exp_avg")]);
  for (const value of average!) expect(value).toBeCloseTo(0.3, 6);

  optimizer.destroy();
  destroyTensors(tensors);
  for (const { buffer } of gradients) buffer.destroy();
});

describe("ownership", () => {
  test("destroy frees exactly what the engine made", async () => {
    const { device, live, counts } = watched();
    const arena = createArena(device, [{ a: [33], b: [100] }]);
    const tensors = [tensor(device, "loose", 21)];
    const before = new Set(live);
    const optimizer = await createOptimizer(device, {
      rule: nesterovLookahead({ lr: 0.1 }),
      accumulation: true,
      groups: [{ parameters: arena.groups[0]! }, { parameters: tensors, rule: adam({ lr: 0.1 }) }],
    });
    expect(live.size).toBeGreaterThan(before.size);
    optimizer.lookahead();
    optimizer.step();
    optimizer.destroy();
    expect(new Set(live)).toEqual(before);
    const submits = counts.submits;
    optimizer.destroy();
    expect(counts.submits).toBe(submits);

    // The caller's buffers still serve another optimizer, and so does the device.
    const again = await createOptimizer(device, { rule: adam(), parameters: tensors });
    const [start] = await read(device, [tensors[0]!.param]);
    again.step();
    const [end] = await read(device, [tensors[0]!.param]);
    expect(end).not.toEqual(start);
    again.destroy();
    expect(new Set(live)).toEqual(before);
    arena.destroy();
    destroyTensors(tensors);
  });

  test("every object is labelled with the optimizer's label or the engine's name", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 9), tensor(device, "y", 5)];
    const labels: string[] = [];
    const methods = [
      "createBuffer",
      "createBindGroup",
      "createBindGroupLayout",
      "createPipelineLayout",
      "createShaderModule",
      "createComputePipelineAsync",
      "createCommandEncoder",
    ] as const;
    const originals = methods.map((method) => [method, device[method]] as const);
    for (const [method, original] of originals)
      Object.defineProperty(device, method, {
        configurable: true,
        value: (descriptor?: GPUObjectDescriptorBase) => {
          labels.push(descriptor?.label ?? `${method} without a label`);
          return (original as (descriptor?: object) => unknown).call(device, descriptor);
        },
      });
    const optimizer = await createOptimizer(device, {
      label: "sunflower",
      // A rule that no other test of this file compiles, so that pipelines are made here.
      rule: adadelta({ eps: 2e-6 }),
      accumulation: true,
      groups: [{ parameters: [tensors[0]!] }, { parameters: [tensors[1]!], rule: nesterovLookahead() }],
    });
    optimizer.lookahead();
    optimizer.accumulate();
    optimizer.step();
    optimizer.lookahead();
    optimizer.restore();
    for (const [method, original] of originals)
      Object.defineProperty(device, method, { configurable: true, value: original });
    expect(labels.length).toBeGreaterThan(20);
    expect(labels.filter((label) => !/sunflower|webgpu-optim/.test(label))).toEqual([]);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("the padding of an arena stays zero", async () => {
    const { device } = watched();
    const arena = createArena(device, [{ a: [3], b: [65] }]);
    for (const { param, grad } of arena.groups[0]!)
      for (const { buffer, offset, size } of [param, grad])
        device.queue.writeBuffer(buffer, offset, new Float32Array(size / 4).fill(2));
    const optimizer = await createOptimizer(device, {
      rule: adamw({ lr: 0.1, weightDecay: 0.5 }),
      parameters: arena.groups[0]!,
    });
    for (let i = 0; i < 5; i += 1) optimizer.step();
    const [all] = await read(device, [whole(arena.parameters)]);
    const inside = (index: number) =>
      arena.groups[0]!.some(
        ({ param }) => index * 4 >= param.offset && index * 4 < param.offset + param.size,
      );
    expect(all!.filter((_, index) => inside(index)).every((value) => value > 0 && value < 2)).toBe(true);
    expect(all!.filter((_, index) => !inside(index)).every((value) => Object.is(value, 0))).toBe(true);
    optimizer.destroy();
    arena.destroy();
  });
});
