// Passes over one matrix without the engine: the bindings and entries that it writes around them.
import { read, upload, whole } from "./buffers.js";

export interface Pass {
  /** Of the function. */
  readonly name: string;
  /** Workgroups. */
  readonly work: number;
  /** Whether it is told the round. */
  readonly round?: number;
}

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** vec4s that a matrix takes where rows are whole vec4s. */
export const padded = (rows: number, columns: number): number => rows * Math.ceil(columns / 4);

/** The values of a matrix with rows of whole vec4s. */
export function pad({ rows, columns, values }: Matrix): Float32Array {
  const stride = 4 * Math.ceil(columns / 4);
  const all = new Float32Array(rows * stride);
  for (let row = 0; row < rows; row += 1)
    all.set(values.subarray(row * columns, (row + 1) * columns), row * stride);
  return all;
}

/** The rows of a matrix without what pads them; what pads them. */
export function unpad(all: Float32Array, rows: number, columns: number) {
  const stride = 4 * Math.ceil(columns / 4);
  const inside = (_: number, i: number) => i % stride < columns;
  const some = all.subarray(0, rows * stride);
  return { values: some.filter(inside), padding: some.filter((_, i) => !inside(0, i)) };
}

/** Runs passes over a matrix; gives what `directions` and `scratch` hold then. */
export async function runPasses(
  device: GPUDevice,
  code: string,
  passes: readonly Pass[],
  tensor: Readonly<Record<string, number>>,
  { directions, scratch }: { readonly directions: Float32Array; readonly scratch: Float32Array },
) {
  const module = device.createShaderModule({
    code: `
struct Tensor { ${Object.keys(tensor)
      .map((name) => `${name}: u32`)
      .join(", ")} }
@group(0) @binding(0) var<uniform> engine_tensor: Tensor;
@group(0) @binding(1) var<storage, read_write> directions: array<f32>;
@group(0) @binding(2) var<storage, read_write> scratch: array<vec4f>;
${code}
${passes
  .map(
    ({ name, round }, i) => `
@compute @workgroup_size(64)
fn engine_pass_${i}(@builtin(workgroup_id) work: vec3u, @builtin(local_invocation_index) lane: u32) {
  _ = &directions;
  _ = &scratch;
  ${name}(engine_tensor, work.x, lane${round === undefined ? "" : `, ${round}u`});
}`,
  )
  .join("\n")}`,
  });
  const layout = device.createBindGroupLayout({
    entries: (["uniform", "storage", "storage"] as const).map((type, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type },
    })),
  });
  const uniform = device.createBuffer({
    size: Math.ceil((4 * Object.keys(tensor).length) / 16) * 16,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });
  device.queue.writeBuffer(uniform, 0, Uint32Array.from(Object.values(tensor)));
  const buffers = [uniform, upload(device, directions).buffer, upload(device, scratch).buffer] as const;
  const bindGroup = device.createBindGroup({
    layout,
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] });
  const encoder = device.createCommandEncoder();
  const compute = encoder.beginComputePass();
  compute.setBindGroup(0, bindGroup);
  for (const [i, { work }] of passes.entries()) {
    const entryPoint = `engine_pass_${i}`;
    compute.setPipeline(
      await device.createComputePipelineAsync({ layout: pipelineLayout, compute: { module, entryPoint } }),
    );
    compute.dispatchWorkgroups(work);
  }
  compute.end();
  device.queue.submit([encoder.finish()]);
  const [direction, rest] = await read(device, buffers.slice(1).map(whole));
  for (const buffer of buffers) buffer.destroy();
  return { directions: direction!, scratch: rest! };
}
