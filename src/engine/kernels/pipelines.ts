import { memo } from "../../memo.js";
import type { Form } from "../memory/spans.js";

/** How a kernel accesses a buffer; `window` is read-only, at a dynamic offset. */
export type Access = GPUBufferBindingType | "window";

/** What pipelines are made of: a text, in one width or both, and the buffers it binds. */
export interface KernelSource {
  /** Quoted in error messages. */
  readonly label: string;
  readonly file: string;
  readonly compose: (width: Form) => string;
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
  /** Of bind group 1, by accesses: a uniform, then the storage buffers. */
  readonly chunks: Map<string, GPUBindGroupLayout>;
  readonly modules: Map<string, GPUShaderModule>;
  readonly compiled: Map<string, Promise<GPUComputePipeline>>;
  /** Those that are compiled. */
  readonly ready: Map<string, GPUComputePipeline>;
}

const caches = new WeakMap<GPUDevice, DeviceCache>();

const layoutOf = (
  device: GPUDevice,
  label: string,
  buffers: readonly GPUBufferBindingLayout[],
): GPUBindGroupLayout =>
  device.createBindGroupLayout({
    label: `webgpu-optim ${label}`,
    // GPUShaderStage.COMPUTE, absent outside browsers
    entries: buffers.map((buffer, binding) => ({ binding, visibility: 0x4, buffer })),
  });

function cacheOf(device: GPUDevice): DeviceCache {
  return memo(caches, device, () => {
    const uniform = { type: "uniform", hasDynamicOffset: true } as const;
    return {
      step: layoutOf(device, "step", [uniform, uniform]),
      chunks: new Map(),
      modules: new Map(),
      compiled: new Map(),
      ready: new Map(),
    };
  });
}

const chunkOf = (device: GPUDevice, storages: readonly Access[]): GPUBindGroupLayout =>
  memo(cacheOf(device).chunks, storages.join(), (key) =>
    layoutOf(device, `chunk (${key})`, [
      { type: "uniform" },
      ...storages.map((type) =>
        type === "window" ? { type: "read-only-storage" as const, hasDynamicOffset: true } : { type },
      ),
    ]),
  );

const describe = (
  label: string,
  layout: GPUBindGroupLayout,
  resources: readonly GPUBufferBinding[],
): GPUBindGroupDescriptor => ({
  label,
  layout,
  entries: resources.map((resource, binding) => ({ binding, resource })),
});

/** A bind group 0: the rule's scalars and the engine's, at dynamic offsets. */
export const bindStep = (
  device: GPUDevice,
  label: string,
  ...blocks: readonly [scalars: GPUBufferBinding, stage: GPUBufferBinding]
): GPUBindGroup => device.createBindGroup(describe(label, cacheOf(device).step, blocks));

/** What a bind group 1 is made of. */
export const describeChunk = (
  device: GPUDevice,
  label: string,
  storages: readonly Access[],
  resources: readonly GPUBufferBinding[],
): GPUBindGroupDescriptor => describe(label, chunkOf(device, storages), resources);

/** A bind group 1. */
export const bindChunk = (...[device, ...what]: Parameters<typeof describeChunk>): GPUBindGroup =>
  device.createBindGroup(describeChunk(device, ...what));

/** One text and its pipelines, by width and variant. */
export class Kernel {
  readonly #device: GPUDevice;
  readonly #source: KernelSource;
  readonly #pipelines = {
    1: new Map<Variant, GPUComputePipeline>(),
    4: new Map<Variant, GPUComputePipeline>(),
    parted: new Map<Variant, GPUComputePipeline>(),
  };

  constructor(device: GPUDevice, source: KernelSource) {
    this.#device = device;
    this.#source = source;
  }

  /**
   * Compiles what will be needed, once a device however many optimizers ask for it at once.
   * @throws OptimError `invalid-shader` with line and column of each message.
   */
  async compile(forms: Iterable<Form>, variants: Iterable<Variant> = [ONLY]): Promise<void> {
    const wanted = [...variants];
    await Promise.all([...forms].flatMap((width) => wanted.map((variant) => this.#compile(width, variant))));
  }

  async #compile(width: Form, variant: Variant): Promise<void> {
    const { compiled, modules, ready } = cacheOf(this.#device);
    const { key, code, descriptor } = this.#describe(width, variant);
    const pipeline = await memo(compiled, key, () => {
      const made = compile(this.#device, this.#source, descriptor);
      // A failure, a lost device say, must not be what the next caller gets.
      made.catch(() => {
        compiled.delete(key);
        modules.delete(code);
      });
      return made;
    });
    ready.set(key, pipeline);
    this.#pipelines[width].set(variant, pipeline);
  }

  /** A pipeline. One that nobody foresaw, after a change of options, is compiled by the driver before its first use. */
  pipeline(width: Form, variant: Variant = ONLY): GPUComputePipeline {
    return memo(this.#pipelines[width], variant, () => {
      const { key, descriptor } = this.#describe(width, variant);
      return memo(cacheOf(this.#device).ready, key, () => this.#device.createComputePipeline(descriptor()));
    });
  }

  #describe(width: Form, variant: Variant) {
    const { label: owner, file, compose, storages, constants: fixed } = this.#source;
    const code = compose(width);
    const constants = { ...fixed, ...variant };
    const device = this.#device;
    const label = `${owner} ${file}`;
    // Made when asked for: a pipeline that another optimizer has made already needs none of it. Kernels of one text are
    // one module.
    const descriptor = (): GPUComputePipelineDescriptor => ({
      label,
      // One for each pipeline: between pipelines of one layout, wgpu (Deno, Firefox) goes on asking for the sizes of buffers
      // that the first of them asks for.
      layout: device.createPipelineLayout({
        label,
        bindGroupLayouts: [cacheOf(device).step, chunkOf(device, storages)],
      }),
      compute: {
        module: memo(cacheOf(device).modules, code, () => device.createShaderModule({ label, code })),
        entryPoint: "engine_main",
        constants,
      },
    });
    return { key: JSON.stringify([code, constants, storages]), code, descriptor };
  }
}

async function compile(
  device: GPUDevice,
  { label, file }: KernelSource,
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
  const cause = pipeline.status === "rejected" ? pipeline.reason : undefined;
  const { compileError } = await import("./compile-error.js");
  throw await compileError(device, label, file, descriptor.compute.module, cause);
}
