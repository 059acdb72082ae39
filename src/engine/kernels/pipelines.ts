import type { Width } from "../memory/spans.js";

/** How a kernel accesses a buffer; `window` is read-only, at a dynamic offset. */
export type Access = GPUBufferBindingType | "window";

/** What pipelines are made of: a text, in one width or both, and the buffers it binds. */
export interface KernelSource {
  /** Quoted in error messages. */
  readonly label: string;
  readonly file: string;
  readonly compose: (width: Width) => string;
  /** Access of each storage buffer in bind group 1, after its uniform. */
  readonly storages: readonly Access[];
  /** Values of `override` constants in every variant. */
  readonly constants?: Readonly<Record<string, number>>;
}

/** Values of `override` constants by which the pipelines of one kernel differ. Told apart by identity. */
export type Variant = Readonly<Record<string, number>>;

const ONLY: Variant = {};

interface DeviceCache {
  /** Of bind group 0. */
  readonly step: GPUBindGroupLayout;
  readonly chunks: Map<string, GPUBindGroupLayout>;
  readonly modules: Map<string, GPUShaderModule>;
  readonly pipelines: Map<string, Promise<GPUComputePipeline>>;
  /** Those that are compiled. */
  readonly ready: Map<string, GPUComputePipeline>;
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
      modules: new Map(),
      pipelines: new Map(),
      ready: new Map(),
    };
    caches.set(device, cache);
  }
  return cache;
}

/** A bind group 0: the rule's scalars and the engine's, at dynamic offsets. */
export const bindStep = (
  device: GPUDevice,
  label: string,
  scalars: GPUBufferBinding,
  stage: GPUBufferBinding,
): GPUBindGroup =>
  device.createBindGroup({
    label,
    layout: cacheOf(device).step,
    entries: [scalars, stage].map((resource, binding) => ({ binding, resource })),
  });

/** Layout of bind group 1: a uniform, then the storage buffers. One a device and list of accesses. */
function chunkLayout(device: GPUDevice, storages: readonly Access[]): GPUBindGroupLayout {
  const { chunks } = cacheOf(device);
  const key = storages.join();
  let layout = chunks.get(key);
  if (!layout) {
    layout = device.createBindGroupLayout({
      label: `webgpu-optim chunk (${key})`,
      entries: ["uniform" as const, ...storages].map((type, binding) => ({
        binding,
        visibility: COMPUTE,
        buffer: type === "window" ? { type: "read-only-storage", hasDynamicOffset: true } : { type },
      })),
    });
    chunks.set(key, layout);
  }
  return layout;
}

/** A bind group 1. */
export const bindChunk = (
  device: GPUDevice,
  label: string,
  storages: readonly Access[],
  resources: readonly GPUBufferBinding[],
): GPUBindGroup =>
  device.createBindGroup({
    label,
    layout: chunkLayout(device, storages),
    entries: resources.map((resource, binding) => ({ binding, resource })),
  });

/** One text and its pipelines, by width and variant. */
export class Kernel {
  readonly #device: GPUDevice;
  readonly #source: KernelSource;
  readonly #pipelines = new Map<Variant, { [W in Width]?: GPUComputePipeline }>();

  constructor(device: GPUDevice, source: KernelSource) {
    this.#device = device;
    this.#source = source;
  }

  /**
   * Compiles what will be needed, once a device however many optimizers ask for it at once.
   * @throws OptimError `invalid-shader` with line and column of each message.
   */
  async compile(widths: Iterable<Width>, variants: Iterable<Variant> = [ONLY]): Promise<void> {
    const { pipelines } = cacheOf(this.#device);
    await Promise.all(
      [...widths].flatMap((width) =>
        [...variants].map(async (variant) => {
          const { key, descriptor, code } = this.#describe(width, variant);
          let pipeline = pipelines.get(key);
          if (!pipeline) {
            pipeline = compile(this.#device, this.#source, code, descriptor);
            pipelines.set(key, pipeline);
            // A failure, a lost device say, must not be what the next caller gets.
            pipeline.catch(() => pipelines.delete(key));
          }
          this.#keep(key, width, variant, await pipeline);
        }),
      ),
    );
  }

  /** A pipeline. One that nobody foresaw, after a change of options, is compiled by the driver before its first use. */
  pipeline(width: Width, variant: Variant = ONLY): GPUComputePipeline {
    const known = this.#pipelines.get(variant)?.[width];
    if (known) return known;
    const { key, descriptor } = this.#describe(width, variant);
    const pipeline = cacheOf(this.#device).ready.get(key) ?? this.#device.createComputePipeline(descriptor());
    this.#keep(key, width, variant, pipeline);
    return pipeline;
  }

  #keep(key: string, width: Width, variant: Variant, pipeline: GPUComputePipeline): void {
    cacheOf(this.#device).ready.set(key, pipeline);
    const kept = this.#pipelines.get(variant) ?? {};
    kept[width] = pipeline;
    this.#pipelines.set(variant, kept);
  }

  #describe(width: Width, variant: Variant) {
    const { label, file, compose, storages, constants: fixed } = this.#source;
    const code = compose(width);
    const constants = { ...fixed, ...variant };
    const device = this.#device;
    // Made when asked for: a pipeline that another optimizer has made already needs none of it.
    const descriptor = (): GPUComputePipelineDescriptor => ({
      label: `${label} ${file}`,
      layout: device.createPipelineLayout({
        label: `${label} ${file}`,
        bindGroupLayouts: [cacheOf(device).step, chunkLayout(device, storages)],
      }),
      compute: { module: moduleOf(device, `${label} ${file}`, code), entryPoint: "engine_main", constants },
    });
    return { key: JSON.stringify([code, constants, storages]), code, descriptor };
  }
}

/** Kernels of one text are one module. */
function moduleOf(device: GPUDevice, label: string, code: string): GPUShaderModule {
  const { modules } = cacheOf(device);
  let module = modules.get(code);
  if (!module) {
    module = device.createShaderModule({ label, code });
    modules.set(code, module);
  }
  return module;
}

async function compile(
  device: GPUDevice,
  { label, file }: KernelSource,
  code: string,
  describe: () => GPUComputePipelineDescriptor,
): Promise<GPUComputePipeline> {
  device.pushErrorScope("validation");
  const descriptor = describe();
  const made = device.createComputePipelineAsync(descriptor);
  const scope = device.popErrorScope();
  // Settled together, so that no rejection is left without a handler.
  const [pipeline, error] = await Promise.allSettled([made, scope]);
  if (pipeline.status === "fulfilled" && !(error.status === "fulfilled" && error.value))
    return pipeline.value;
  cacheOf(device).modules.delete(code);
  const cause = pipeline.status === "rejected" ? pipeline.reason : undefined;
  const { compileError } = await import("./compile-error.js");
  throw await compileError(device, label, file, descriptor.compute.module, cause);
}
