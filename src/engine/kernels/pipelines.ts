import { OptimError } from "../../errors.js";
import { lossSettles, requireDevice } from "../device.js";

/** What a pipeline is made of; also its key in the cache. */
export interface PipelineSource {
  /** Quoted in error messages; not part of the key. */
  readonly label: string;
  readonly file: string;
  readonly code: string;
  readonly constants: Readonly<Record<string, number>>;
  /** Access of each storage buffer in bind group 1, after the chunk. */
  readonly storages: readonly GPUBufferBindingType[];
}

interface DeviceCache {
  readonly step: GPUBindGroupLayout;
  readonly chunks: Map<string, GPUBindGroupLayout>;
  readonly pipelines: Map<string, Promise<GPUComputePipeline>>;
}

const caches = new WeakMap<GPUDevice, DeviceCache>();

const COMPUTE = 0x4; // GPUShaderStage.COMPUTE, absent outside browsers

function cacheOf(device: GPUDevice): DeviceCache {
  let cache = caches.get(device);
  if (!cache) {
    const uniform = (binding: number) => ({
      binding,
      visibility: COMPUTE,
      buffer: { type: "uniform" as const, hasDynamicOffset: true },
    });
    cache = {
      step: device.createBindGroupLayout({
        label: "webgpu-optim step",
        entries: [uniform(0), uniform(1)],
      }),
      chunks: new Map(),
      pipelines: new Map(),
    };
    caches.set(device, cache);
  }
  return cache;
}

/** Layout of bind group 0: the rule's scalars and the engine's, at dynamic offsets. One a device. */
export function stepLayout(device: GPUDevice): GPUBindGroupLayout {
  return cacheOf(device).step;
}

/** Layout of bind group 1: the chunk, then the storage buffers. One a device and list of accesses. */
export function chunkLayout(
  device: GPUDevice,
  storages: readonly GPUBufferBindingType[],
): GPUBindGroupLayout {
  const { chunks } = cacheOf(device);
  const key = storages.join();
  let layout = chunks.get(key);
  if (!layout) {
    layout = device.createBindGroupLayout({
      label: `webgpu-optim chunk (${key})`,
      entries: ["uniform" as const, ...storages].map((type, binding) => ({
        binding,
        visibility: COMPUTE,
        buffer: { type },
      })),
    });
    chunks.set(key, layout);
  }
  return layout;
}

/**
 * The compiled kernel, made once a device however many optimizers ask for it at once.
 * @throws OptimError `invalid-shader` with line and column of each message.
 */
export function pipelineOf(device: GPUDevice, source: PipelineSource): Promise<GPUComputePipeline> {
  const { pipelines } = cacheOf(device);
  const key = JSON.stringify([source.code, source.constants, source.storages]);
  let pipeline = pipelines.get(key);
  if (!pipeline) {
    pipeline = compile(device, source);
    pipelines.set(key, pipeline);
    // A failure, a lost device say, must not be what the next caller gets.
    pipeline.catch(() => pipelines.delete(key));
  }
  return pipeline;
}

async function compile(device: GPUDevice, source: PipelineSource): Promise<GPUComputePipeline> {
  const { label, file, code, constants, storages } = source;
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: `${label} ${file}`, code });
  const made = device.createComputePipelineAsync({
    label: `${label} ${file}`,
    layout: device.createPipelineLayout({
      label: `${label} ${file}`,
      bindGroupLayouts: [stepLayout(device), chunkLayout(device, storages)],
    }),
    compute: { module, entryPoint: "engine_main", constants },
  });
  const scope = device.popErrorScope();
  // Settled together, so that no rejection is left without a handler.
  const [pipeline, error] = await Promise.allSettled([made, scope]);
  if (pipeline.status === "fulfilled" && !(error.status === "fulfilled" && error.value))
    return pipeline.value;
  const messages = await module
    .getCompilationInfo()
    .then(({ messages }) => messages.map((m) => `${file}:${m.lineNum}:${m.linePos}: ${m.type}: ${m.message}`))
    .catch(() => []);
  const cause = pipeline.status === "rejected" ? pipeline.reason : undefined;
  // A device that is lost meanwhile rejects before it says so, and has no message about the shader.
  if (cause?.reason === "internal" && messages.length === 0) {
    await lossSettles(device);
    requireDevice(device, label);
  }
  throw new OptimError(
    "invalid-shader",
    `The kernel of '${label}' does not compile`,
    {
      got: messages.join("; ") || String((cause as Error | undefined)?.message ?? "no message"),
      fix: "correct the WGSL",
    },
    { cause },
  );
}
