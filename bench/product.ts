// The matrix product of rules over whole tensors, beside a plain loop and jax-js's.
import { productWork } from "../src/product.js";
import { code as productCode } from "../src/shaders/passes/product.wgsl?engine";
import type { Contest, Contestant } from "./contestants.js";
import { fill } from "./fill.js";

/** An element an invocation, as one would write it first. */
const LOOP = `
@group(0) @binding(0) var<uniform> size: vec4u;
@group(0) @binding(1) var<storage, read_write> scratch: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) work: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = size.x;
  let i = work.x * 64u + lane;
  if (i >= n * n) { return; }
  var sum = 0.0;
  for (var k = 0u; k < n; k++) {
    sum += scratch[i / n * n + k] * scratch[n * n + k * n + i % n];
  }
  scratch[2u * n * n + i] = sum;
}`;

const TILED = `
@group(0) @binding(0) var<uniform> size: vec4u;
@group(0) @binding(1) var<storage, read_write> scratch: array<vec4f>;
${productCode}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) work: vec3u, @builtin(local_invocation_index) lane: u32) {
  let n = size.x;
  let length = n * n / 4u;
  let left = Matrix(0u, n, n);
  let right = Matrix(length, n, n);
  let result = Matrix(2u * length, n, n);
  multiply(Product(result, false, left, false, right, false, 1.0, result, 0.0), work.x, lane);
}`;

/** Makes what multiplies two matrices of n rows and columns. */
export async function makeProducts(device: GPUDevice, n: number): Promise<Contest> {
  const size = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  device.queue.writeBuffer(size, 0, Uint32Array.of(n, n, n, n));
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const matrices = device.createBuffer({ label: "matrices", size: 12 * n * n, usage });
  fill(device, matrices);
  const kernel = (engine: string, code: string, workgroups: number): Contestant => {
    const module = device.createShaderModule({ code });
    const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
    const bindGroup = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [size, matrices].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const step = () => {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(workgroups);
      pass.end();
      device.queue.submit([encoder.finish()]);
    };
    return { engine, optimizer: "product", step, settled: async () => {}, bytesMoved: 12 * n * n };
  };
  const jax = await jaxProduct(n);
  return {
    contestants: [
      kernel("webgpu-optim", TILED, productWork(n, n)),
      kernel("loop", LOOP, Math.ceil((n * n) / 64)),
      { engine: "jax-js", optimizer: "product", ...jax, bytesMoved: 12 * n * n },
    ],
    tensors: 3,
    parameters: 3 * n * n,
    destroy() {
      for (const buffer of [size, matrices]) buffer.destroy();
      jax.destroy();
    },
  };
}

/** jax-js's product, on a device of its own of the same adapter. */
async function jaxProduct(n: number) {
  const { defaultDevice, getWebGPUDevice, init, jit, numpy: np } = await import("@jax-js/jax");
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js finds no WebGPU adapter.");
  defaultDevice("webgpu");
  const values = Float32Array.from({ length: n * n }, (_, i) => Math.sin(i));
  const [left, right] = [np.array(values, { shape: [n, n] }), np.array(values, { shape: [n, n] })];
  const dot = jit(np.dot);
  return {
    step() {
      const product = dot(left.ref, right.ref);
      product.ref.gpuBufferSync();
      product.dispose();
    },
    settled: () => getWebGPUDevice().queue.onSubmittedWorkDone(),
    destroy() {
      left.dispose();
      right.dispose();
    },
  };
}
