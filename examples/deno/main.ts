// Trains in Deno, which has WebGPU: deno add npm:webgpu-optim && deno run -A --unstable-webgpu main.ts
import { readFile, writeFile } from "node:fs/promises";
import {
  adamw,
  cosine,
  createArena,
  createOptimizer,
  type Optimizer,
  type OptimizerOptions,
  requestDevice,
} from "webgpu-optim";

const STEPS = 200;
const COUNT = 1000;

const device = await requestDevice();
console.log("adapter:", device.adapterInfo.description || device.adapterInfo.device);

const arena = createArena(device, [{ x: [COUNT] }]);
const options: OptimizerOptions = {
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

function train(optimizer: Optimizer, steps: number): Promise<void> {
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
async function read(offset: number, size: number): Promise<number> {
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(arena.parameters, offset, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const [value] = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return value!;
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
