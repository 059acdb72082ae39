// Buffers of TypeGPU's as parameters and gradients.
import tgpu from "typegpu";
import * as d from "typegpu/data";
import { expect, test } from "vitest";
import { createOptimizer, type Parameter, sgd } from "../../src/index.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";

const watched = useDevice();
const rootOf = (device: GPUDevice) => tgpu.initFromDevice({ device });

test("typed buffers, bindings and ranges of both are stepped in place", async () => {
  const root = rootOf(watched().device);
  const Block = d.struct({ scale: d.vec4f, shift: d.arrayOf(d.mat2x2f, 2) });
  const x = root.createBuffer(d.arrayOf(d.f32, 4), [1, 2, 3, 4]).$usage("storage");
  const dx = root.createReadonly(d.arrayOf(d.f32, 4), [1, 1, 1, 1]);
  const y = root.createMutable(Block);
  const dy = root.createBuffer(Block).$usage("storage");
  const other = root.createBuffer(d.arrayOf(d.vec2f, 2), [d.vec2f(2), d.vec2f(4)]).$usage("storage");
  const optimizer = await createOptimizer(root.device, {
    rule: sgd({ lr: 0.5 }),
    parameters: [
      { name: "x", param: { buffer: x, offset: 4 }, grad: dx },
      { name: "y", param: y, grad: dy },
    ],
  });
  expect(optimizer.device).toBe(root.device);
  optimizer.step();
  expect(await x.read()).toEqual([1, 1.5, 2.5, 3.5]);
  optimizer.setGradients({ x: other });
  optimizer.step();
  expect(await x.read()).toEqual([1, 0.5, 1.5, 1.5]);
  optimizer.destroy();
  for (const { buffer } of [{ buffer: x }, dx, y, { buffer: dy }, { buffer: other }]) buffer.destroy();
});

test("what does not fit is refused, and not made", async () => {
  const root = rootOf(watched().device);
  const values = d.arrayOf(d.f32, 4);
  const grad = root.createBuffer(values).$usage("storage");
  const gone = root.createBuffer(values).$usage("storage");
  gone.destroy();
  const make = (param: Parameter["param"]) =>
    createOptimizer(root.device, { rule: sgd(), parameters: [{ name: "x", param, grad }] });
  const { buffers } = watched().counts;
  const unused = root.createBuffer(values);
  await expectError(() => make(unused), "invalid-buffer", "no such usage");
  await expectError(() => make(gone), "invalid-buffer", "a destroyed one");
  for (const [schema, type] of [
    [d.arrayOf(d.u32, 4), "u32"],
    [d.arrayOf(d.atomic(d.i32), 4), "i32"],
    [d.arrayOf(d.vec2h, 4), "vec2h"],
    [d.struct({ a: d.f32, b: d.struct({ c: d.size(16, d.vec3u) }) }), "vec3u"],
  ] as const) {
    const wrong = root.createBuffer(schema as unknown as typeof values).$usage("storage");
    await expectError(() => make(wrong), "invalid-buffer", `got ${type}`);
    await expectError(() => make({ buffer: wrong, size: 4 }), "invalid-buffer", `got ${type}`);
  }
  const texture = { resourceType: "texture" } as unknown as GPUBuffer;
  await expectError(() => make(texture), "invalid-buffer", "is not a GPUBuffer");
  expect(watched().counts.buffers).toBe(buffers);
  // Said what is missing, it serves.
  const optimizer = await make(unused.$usage("storage"));
  optimizer.destroy();
  for (const buffer of [unused, grad]) buffer.destroy();
});

test("a buffer of another root's device is refused; of another root on the same device it is not", async () => {
  const { device } = watched();
  const adapter = await navigator.gpu.requestAdapter();
  const elsewhere = await adapter!.requestDevice();
  const values = d.arrayOf(d.f32, 4);
  const [own, other, foreign] = [device, device, elsewhere].map((of) =>
    rootOf(of).createBuffer(values).$usage("storage"),
  );
  const make = (grad: Parameter["grad"]) =>
    createOptimizer(device, { rule: sgd(), parameters: [{ name: "x", param: own!, grad }] });
  await expectError(() => make(foreign!), "gpu-error", "");
  const optimizer = await make(other!);
  optimizer.step();
  expect(await own!.read()).toEqual([0, 0, 0, 0]);
  optimizer.destroy();
  for (const buffer of [own!, other!, foreign!]) buffer.destroy();
  elsewhere.destroy();
});
