// What a cache, or what is remembered of a tensor, may forget: each of these was a defect that no other test saw.
import { expect, test } from "vitest";
import { adam, createArena, createOptimizer, rmsprop, scheduleFreeSgd, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { destroyTensors, tensor } from "../support/tensors.js";

const watched = useDevice();
const filled = (length: number, value: number) => new Float32Array(length).fill(value);

test("a gradient that moves within its buffer is read where it is", async () => {
  const { device } = watched();
  const param = upload(device, filled(64, 0));
  const grads = upload(
    device,
    Float32Array.from({ length: 192 }, (_, i) => 1 + Math.floor(i / 64)),
  );
  const part = (index: number) => ({ buffer: grads.buffer, offset: 256 * index, size: 256 });
  const optimizer = await createOptimizer(device, {
    rule: sgd({ lr: 1 }),
    parameters: [{ name: "x", param, grad: part(0) }],
  });
  const seen: number[] = [];
  for (const index of [0, 1, 2, 0]) {
    optimizer.setGradients({ x: part(index) });
    optimizer.step();
    seen.push((await read(device, [param]))[0]![63]!);
  }
  expect(seen).toEqual([-1, -3, -6, -7]);
  optimizer.destroy();
  for (const { buffer } of [param, grads]) buffer.destroy();
});

test.each([{}, { guards: { clipGlobalNorm: 1e9 }, telemetry: {} }])(
  "tensors that were one span and are two, and again, under %o",
  async (extras) => {
    const { device } = watched();
    const arena = createArena(device, [{ x: [64], y: [64] }]);
    const [x, y] = arena.groups[0] as [(typeof arena.groups)[0][0], (typeof arena.groups)[0][0]];
    device.queue.writeBuffer(arena.gradients, 0, filled(128, 1));
    const apart = upload(device, filled(64, 10));
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: arena.groups[0],
      ...extras,
    });
    const last = async () => (await read(device, [x.param, y.param])).map((values) => values.at(-1));
    optimizer.step();
    expect(await last()).toEqual([-1, -1]);
    optimizer.setGradients({ y: apart });
    optimizer.step();
    expect(await last()).toEqual([-2, -11]);
    optimizer.setGradients({ y: y.grad });
    optimizer.step();
    expect(await last()).toEqual([-3, -12]);
    await optimizer.settled();
    optimizer.destroy();
    apart.buffer.destroy();
    arena.destroy();
  },
);

test("after a file from before the first step, copies begin with what the parameters are then", async () => {
  const { device } = watched();
  const x = tensor(device, "x", 4);
  const make = () => createOptimizer(device, { rule: scheduleFreeSgd(), parameters: [x] });
  write(device, x.param, filled(4, 5));
  write(device, x.grad, filled(4, 0));
  const fresh = await make();
  const file = await fresh.save();
  fresh.destroy();
  const optimizer = await make();
  optimizer.step();
  await optimizer.load(file);
  write(device, x.param, filled(4, 7));
  optimizer.step();
  expect([...(await read(device, [x.param]))[0]!]).toEqual([7, 7, 7, 7]);
  optimizer.destroy();
  destroyTensors([x]);
});

test("a kernel that failed to compile once is compiled again", async () => {
  const { device } = watched();
  const x = tensor(device, "x", 4);
  const own = Object.getOwnPropertyDescriptor(device, "createComputePipelineAsync")!;
  Object.defineProperty(device, "createComputePipelineAsync", {
    ...own,
    value: () => Promise.reject(new Error("once")),
  });
  const make = () => createOptimizer(device, { rule: rmsprop({ eps: 0.125 }), parameters: [x] });
  await expect(make()).rejects.toMatchObject({ code: "invalid-shader" });
  Object.defineProperty(device, "createComputePipelineAsync", own);
  (await make()).destroy();
  destroyTensors([x]);
});

test("with the same strips unused, sums are of the last step alone", async () => {
  const { device } = watched();
  // Gradients of one length that lie aligned, with a head and a tail, and for single lanes.
  // What a step leaves in their place are squares of parameters.
  const param = upload(device, filled(100, 100), { offset: 4 });
  const offsets = [4, 20, 8];
  const grads = offsets.map((offset, i) => upload(device, filled(100, i + 1), { offset }));
  const norms: number[] = [];
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    parameters: [{ name: "x", param, grad: grads[0]! }],
    guards: {},
    telemetry: { onReport: ({ gradientNorm }) => norms.push(gradientNorm) },
  });
  for (const index of [0, 2, 0, 1, 2, 1]) {
    optimizer.setGradients({ x: grads[index]! });
    optimizer.step();
    await optimizer.settled();
  }
  expect(norms).toEqual([10, 30, 10, 20, 30, 20]);
  optimizer.destroy();
  for (const { buffer } of [param, ...grads]) buffer.destroy();
});

test("sums over all and by tensor may take turns, where strips of the one hold two tensors", async () => {
  const { device } = watched();
  const [params, grads] = [upload(device, filled(72, 100)), upload(device, filled(72, 1))];
  const part = (buffer: GPUBuffer, index: number) => ({ buffer, offset: 144 * index, size: 144 });
  const norms: number[] = [];
  const optimizer = await createOptimizer(device, {
    rule: sgd(),
    parameters: ["x", "y"].map((name, i) => ({
      name,
      param: part(params.buffer, i),
      grad: part(grads.buffer, i),
    })),
    guards: {},
    telemetry: { onReport: ({ gradientNorm }) => norms.push(gradientNorm) },
  });
  for (const clipNorm of [Infinity, 100, Infinity, 100, 100, Infinity]) {
    optimizer.setGuards({ clipNorm });
    optimizer.step();
    await optimizer.settled();
  }
  for (const norm of norms) expect(Math.abs(norm / Math.sqrt(72) - 1)).toBeLessThan(1e-6);
  expect(norms).toHaveLength(6);
  optimizer.destroy();
  for (const { buffer } of [params, grads]) buffer.destroy();
});
