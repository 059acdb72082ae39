// Kernels of your own compute the gradients on the same device, and the optimizer's step joins their encoder: prediction,
// gradient and update of a step are one submit.
import { adamw, cosine, createArena, createOptimizer, requestDevice } from "webgpu-optim";

const ROWS = 256;
const FEATURES = 16;
const STEPS = 400;

const device = await requestDevice();
const arena = createArena(device, [{ weight: [FEATURES] }, { bias: [1] }]);
const optimizer = await createOptimizer(device, {
  rule: adamw({ lr: 0.5, weightDecay: 1e-4 }),
  schedule: cosine({ steps: STEPS }),
  groups: [{ parameters: arena.groups[0] }, { parameters: arena.groups[1], weightDecay: 0 }],
});

// The data: y = Σ i·xᵢ + 3, and a last buffer for each row's error.
const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
const xs = Float32Array.from({ length: ROWS * FEATURES }, (_, i) => Math.sin(i * i));
const ys = Float32Array.from({ length: ROWS }, (_, row) =>
  xs.subarray(row * FEATURES, (row + 1) * FEATURES).reduce((sum, x, i) => sum + i * x, 3),
);
const [x, y, error] = [xs, ys, new Float32Array(ROWS)].map((values) => {
  const buffer = device.createBuffer({ size: values.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, values);
  return buffer;
}) as [GPUBuffer, GPUBuffer, GPUBuffer];

const module = device.createShaderModule({
  code: `
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read> y: array<f32>;
    @group(0) @binding(2) var<storage, read_write> error: array<f32>;
    @group(0) @binding(3) var<storage, read> weight: array<f32>;
    @group(0) @binding(4) var<storage, read> bias: array<f32>;
    @group(0) @binding(5) var<storage, read_write> d_weight: array<f32>;
    @group(0) @binding(6) var<storage, read_write> d_bias: array<f32>;

    @compute @workgroup_size(64)
    fn predict(@builtin(global_invocation_id) id: vec3u) { // a row an invocation
      if (id.x >= ${ROWS}u) { return; }
      var value = bias[0];
      for (var i = 0u; i < ${FEATURES}u; i++) { value += weight[i] * x[id.x * ${FEATURES}u + i]; }
      error[id.x] = value - y[id.x];
    }

    @compute @workgroup_size(${FEATURES + 1})
    fn differentiate(@builtin(local_invocation_index) i: u32) { // a parameter an invocation
      var sum = 0.0;
      for (var row = 0u; row < ${ROWS}u; row++) {
        sum += error[row] * select(1.0, x[row * ${FEATURES}u + min(i, ${FEATURES - 1}u)], i < ${FEATURES}u);
      }
      if (i < ${FEATURES}u) { d_weight[i] = 2.0 / ${ROWS} * sum; } else { d_bias[0] = 2.0 / ${ROWS} * sum; }
    }`,
});
const entries: GPUBindGroupLayoutEntry[] = [0, 0, 1, 0, 0, 1, 1].map((writes, binding) => ({
  binding,
  visibility: GPUShaderStage.COMPUTE,
  buffer: { type: writes ? "storage" : "read-only-storage" },
}));
const bindGroupLayout = device.createBindGroupLayout({ entries });
const layout = device.createPipelineLayout({ bindGroupLayouts: [bindGroupLayout] });
const [predict, differentiate] = await Promise.all(
  ["predict", "differentiate"].map((entryPoint) =>
    device.createComputePipelineAsync({ layout, compute: { module, entryPoint } }),
  ),
);
const { weight, bias } = { weight: arena.get("weight"), bias: arena.get("bias") };
const ranges = [weight.param, bias.param, weight.grad, bias.grad];
const resources = [{ buffer: x }, { buffer: y }, { buffer: error }, ...ranges];
const bindGroup = device.createBindGroup({
  layout: bindGroupLayout,
  entries: resources.map((resource, binding) => ({ binding, resource })),
});

for (let step = 0; step < STEPS; step += 1) {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setBindGroup(0, bindGroup);
  pass.setPipeline(predict!);
  pass.dispatchWorkgroups(Math.ceil(ROWS / 64));
  pass.setPipeline(differentiate!);
  pass.dispatchWorkgroups(1);
  pass.end();
  optimizer.encode(encoder); // appended to your commands
  device.queue.submit([encoder.finish()]);
  optimizer.submitted();
}

const read = device.createBuffer({
  size: 4 * FEATURES,
  usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
});
const encoder = device.createCommandEncoder();
encoder.copyBufferToBuffer(weight.param.buffer, weight.param.offset, read, 0, read.size);
device.queue.submit([encoder.finish()]);
await read.mapAsync(GPUMapMode.READ);
/** The weights, near to 0, 1, 2, … */
export const weights = [...new Float32Array(read.getMappedRange())];
console.log(weights.map((value) => value.toFixed(2)).join(" "));

optimizer.destroy();
arena.destroy();
for (const buffer of [x, y, error, read]) buffer.destroy();
