// TypeGPU's typed buffers as parameters and gradients: its kernel and the optimizer's step share device and encoder.
import tgpu from "typegpu";
import * as d from "typegpu/data";
import { adam, createOptimizer, requestDevice } from "webgpu-optim";

const COUNT = 100;
const STEPS = 200;

const root = tgpu.initFromDevice({ device: await requestDevice() });
const values = d.arrayOf(d.f32, COUNT);
const param = root.createBuffer(values).$usage("storage");
const grad = root.createBuffer(values).$usage("storage");
const optimizer = await createOptimizer(root.device, {
  rule: adam({ lr: 0.05 }),
  parameters: [{ name: "x", param, grad }], // typed buffers as they are
});

// The gradient of ½Σ(x − sin i)². With TypeGPU's bundler plugin such a function can be TypeScript.
const layout = tgpu.bindGroupLayout({
  x: { storage: values, access: "readonly" },
  gradient: { storage: values, access: "mutable" },
});
const differentiate = tgpu.computeFn({ in: { id: d.builtin.globalInvocationId }, workgroupSize: [64] })`{
    if (in.id.x < ${COUNT}u) { layout.$.gradient[in.id.x] = layout.$.x[in.id.x] - sin(f32(in.id.x)); }
  }`.$uses({ layout });
const pipeline = root
  .createComputePipeline({ compute: differentiate })
  .with(root.createBindGroup(layout, { x: param, gradient: grad }));

for (let step = 0; step < STEPS; step += 1) {
  const encoder = root.device.createCommandEncoder();
  pipeline.with(encoder).dispatchWorkgroups(Math.ceil(COUNT / 64));
  optimizer.encode(encoder);
  root.device.queue.submit([encoder.finish()]); // gradient and update in one
  optimizer.submitted();
}

/** Near to sin i. */
export const result = await param.read();
console.log(
  result
    .slice(0, 5)
    .map((value) => value.toFixed(3))
    .join(" "),
);

optimizer.destroy();
root.destroy();
