// Adam over 2^24 parameters against kernels that only move memory, alternating on one adapter.
import { adam, createArena, createOptimizer } from "../src/index.js";

/** One kernel's result. */
export interface StreamRow {
  readonly engine: string;
  readonly parameters: number;
  readonly medianMs: number;
  readonly bytesPerSecond: number;
}

const WORKGROUP = 256;

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
@group(0) @binding(0) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(1) var<storage, read> gradients: array<vec4f>;
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

/** A kernel over whole buffers, as something to submit. */
function kernel(device: GPUDevice, code: string, buffers: readonly GPUBuffer[]): () => void {
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code }) },
  });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const workgroups = Math.ceil(buffers[0]!.size / 16 / WORKGROUP);
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

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Measures each kernel `rounds` times in turn, after one round to warm up. */
export async function measureStreams(
  device: GPUDevice,
  parameters = 2 ** 24,
  rounds = 15,
): Promise<StreamRow[]> {
  const bytes = parameters * 4;
  const storage = (label: string, size: number) =>
    device.createBuffer({ label, size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
  const arena = createArena(device, [{ x: [parameters] }]);
  const optimizer = await createOptimizer(device, { rule: adam(), parameters: arena.groups[0] });
  const guarded = await createOptimizer(device, {
    rule: adam(),
    parameters: arena.groups[0],
    guards: { clipGlobalNorm: 1, lossScale: {} },
    telemetry: { perTensor: true },
  });
  const [first, second] = [storage("first", bytes), storage("second", bytes)];
  // As many bytes as the seven streams of Adam: half read, half written.
  const moved = 7 * bytes;
  const [source, target] = [storage("source", moved / 2), storage("target", moved / 2)];
  const work: Record<string, () => void> = {
    "webgpu-optim-arena": () => optimizer.step(),
    // The gradients are read twice.
    "webgpu-optim-guards": () => guarded.step(),
    copy: kernel(device, COPY, [source, target]),
    "seven-streams": kernel(device, SEVEN, [arena.parameters, arena.gradients, first, second]),
  };
  const times = Object.fromEntries(Object.keys(work).map((name) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round += 1)
    for (const [name, run] of Object.entries(work)) {
      await device.queue.onSubmittedWorkDone();
      const start = performance.now();
      run();
      await device.queue.onSubmittedWorkDone();
      if (round >= 0) times[name]!.push(performance.now() - start);
    }
  optimizer.destroy();
  guarded.destroy();
  arena.destroy();
  for (const buffer of [first, second, source, target]) buffer.destroy();
  return Object.entries(times).map(([engine, values]) => {
    const medianMs = median(values);
    const bytes = engine === "webgpu-optim-guards" ? (moved * 8) / 7 : moved;
    return { engine, parameters, medianMs, bytesPerSecond: (bytes / medianMs) * 1000 };
  });
}
