// Trains in Node on the npm package `webgpu` (Dawn): npm install webgpu webgpu-optim; on Debian also libvulkan1.
import { readFile, writeFile } from "node:fs/promises";
import { create } from "webgpu";
import { adamw, cosine, createArena, createOptimizer, requestDevice } from "webgpu-optim";

const STEPS = 200;
const COUNT = 1000;

// No globals are needed: WebGPU is handed over.
const device = await requestDevice({ gpu: create([]) });
console.log("adapter:", device.adapterInfo.description || device.adapterInfo.device);

const arena = createArena(device, [{ x: [COUNT] }]);
const options = {
  rule: adamw({ lr: 0.05, weightDecay: 0 }),
  schedule: cosine({ steps: STEPS }),
  parameters: arena.groups[0],
  guards: { clipGlobalNorm: 10, nonFinite: "skip" },
  telemetry: {
    onReport: ({ attempt, gradientNorm }) => {
      if (attempt % 50 === 0) console.log(`step ${attempt}: gradient norm ${gradientNorm.toFixed(4)}`);
    },
  },
};

// The gradient of ½Σ(x − sin i)².
const module = device.createShaderModule({
  code: `
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < ${COUNT}u) { gradient[id.x] = x[id.x] - sin(f32(id.x)); }
    }`,
});
const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
const bindGroup = device.createBindGroup({
  layout: pipeline.getBindGroupLayout(0),
  entries: [arena.parameters, arena.gradients].map((buffer, binding) => ({ binding, resource: { buffer } })),
});

function train(optimizer, steps) {
  for (let step = 0; step < steps; step += 1) {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(Math.ceil(COUNT / 64));
    pass.end();
    optimizer.encode(encoder);
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
  }
  return optimizer.settled(); // all steps are reported then
}

/** A value of the parameters. */
async function read(offset, size) {
  const staging = device.createBuffer({ size, usage: 0x1 | 0x8 }); // MAP_READ | COPY_DST
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(arena.parameters, offset, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(0x1); // READ
  const [value] = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return value;
}

const file = new URL("checkpoint.safetensors", import.meta.url);
const first = await createOptimizer(device, options);
await train(first, STEPS / 2);
await writeFile(file, await first.save());
first.destroy();

// Another process could go on from here.
const second = await createOptimizer(device, options);
await second.load(await readFile(file));
await train(second, STEPS / 2);
console.log(
  `after ${STEPS} steps, half of them from a checkpoint: x[1] = ${(await read(4, 4)).toFixed(3)}, near to sin 1`,
);

second.destroy();
arena.destroy();
device.destroy();
