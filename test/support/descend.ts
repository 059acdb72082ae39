import { createOptimizer, type Rule, type Schedule } from "../../src/index.js";
import { read, upload } from "./buffers.js";

/** A minimization whose gradients a kernel of the test computes, so that nothing is read back before the end. */
export interface DescendOptions {
  readonly rule: Rule;
  readonly schedule?: Schedule;
  readonly start: ArrayLike<number>;
  /** WGSL of `fn slope(i: u32) -> f32`, the gradient of element i; it reads `x` and `noise`, an array of f32 each. */
  readonly slope: string;
  /** 64 values for each step; zeros if left out. */
  readonly noise?: Float32Array;
  readonly steps: number;
}

const ROW = 256;
const PER_SUBMIT = 100;

/** Takes all steps, a hundred encoded per submit, and gives where the parameters end. At most 64 of them. */
export async function descend(
  device: GPUDevice,
  { rule, schedule = () => 1, start, slope, noise, steps }: DescendOptions,
): Promise<Float32Array> {
  const param = upload(device, start);
  const grad = upload(device, new Float32Array(start.length));
  const rows = upload(device, noise ?? new Float32Array(ROW / 4));
  const layout = device.createBindGroupLayout({
    entries: (["read-only-storage", "storage", "read-only-storage"] as const).map((type, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type, hasDynamicOffset: binding === 2 },
    })),
  });
  const module = device.createShaderModule({
    code: `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> noise: array<f32>;
${slope}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&gradient)) {
    gradient[id.x] = slope(id.x);
  }
}`,
  });
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module },
  });
  const bindGroup = device.createBindGroup({
    layout,
    entries: [param, grad, { ...rows, size: ROW }].map((resource, binding) => ({ binding, resource })),
  });
  const optimizer = await createOptimizer(device, {
    rule,
    schedule,
    parameters: [{ name: "x", param, grad }],
    // A look-ahead takes a slot of its own.
    stepsInFlight: rule.row.shader.lookahead ? 2 * PER_SUBMIT : 128,
  });
  for (let t = 0; t < steps; ) {
    const encoder = device.createCommandEncoder();
    const end = Math.min(t + PER_SUBMIT, steps);
    for (; t < end; t += 1) {
      optimizer.lookahead(encoder);
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup, [noise ? t * ROW : 0]);
      pass.dispatchWorkgroups(1);
      pass.end();
      optimizer.encode(encoder);
    }
    device.queue.submit([encoder.finish()]);
    optimizer.submitted();
  }
  const [values] = await read(device, [param]);
  optimizer.destroy();
  for (const { buffer } of [param, grad, rows]) buffer.destroy();
  return values!;
}
