// Kernels that only move memory: what the adapter can do at best for as many bytes as Adam's plain step.
import type { Contestant } from "./contestants.js";
import { fill } from "./fill.js";

const WORKGROUP = 256;
/** Of Adam: parameters and two states, read and written, and gradients, read. */
const STREAMS = 7;

/** One vec4 read and one written per invocation. */
const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4f>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${WORKGROUP};
  if (i >= arrayLength(&source)) { return; }
  destination[i] = source[i];
}`;

/** The seven streams of Adam (four read, three written) with as little arithmetic as keeps them. */
const SEVEN = `
@group(0) @binding(0) var<storage, read> gradients: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> first: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> second: array<vec4f>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${WORKGROUP};
  if (i >= arrayLength(&parameters)) { return; }
  let gradient = gradients[i];
  first[i] = first[i] + gradient;
  second[i] = second[i] + gradient;
  parameters[i] = parameters[i] + gradient;
}`;

/** A kernel over ranges of one size, as something to submit. */
function kernel(device: GPUDevice, code: string, ranges: readonly Required<GPUBufferBinding>[]): () => void {
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }) },
  });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: ranges.map((resource, binding) => ({ binding, resource })),
  });
  const workgroups = Math.ceil(ranges[0]!.size / 16 / WORKGROUP);
  const rows = Math.ceil(workgroups / device.limits.maxComputeWorkgroupsPerDimension);
  return () => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(Math.ceil(workgroups / rows), rows);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
}

/** Both kernels over the same two flat buffers, of half the bytes each. */
export function makeStreams(
  device: GPUDevice,
  parameters: number,
  own: <T extends { destroy(): void }>(resource: T) => T,
): Contestant[] {
  const bytes = parameters * 4;
  const bytesMoved = STREAMS * bytes;
  const [source, target] = ["source", "target"].map((label) => {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    const buffer = own(device.createBuffer({ label, size: bytesMoved / 2, usage }));
    fill(device, buffer);
    return buffer;
  }) as [GPUBuffer, GPUBuffer];
  const half = (buffer: GPUBuffer) => ({ buffer, offset: 0, size: buffer.size });
  const stream = (buffer: GPUBuffer, index: number) => ({ buffer, offset: index * bytes, size: bytes });
  const seven = [stream(source, 0), ...[0, 1, 2].map((index) => stream(target, index))];
  return [
    { engine: "copy", step: kernel(device, COPY, [half(source), half(target)]) },
    { engine: "seven-streams", step: kernel(device, SEVEN, seven) },
  ].map((one) => ({ ...one, optimizer: "adam", settled: async () => {}, bytesMoved }));
}
