/** What was asked of a device. */
export interface Work {
  dispatches: number;
  /** Buffers, bind groups, pipelines, encoders, passes and command buffers made. */
  objects: number;
  /**
   * Bytes that dispatches and copies may move: what is bound read-only once, what is bound writable twice, copies twice.
   * What is bound by a layout that the pipeline made itself is not known and not counted.
   */
  bytes: number;
}

/** Counts on a device. */
export interface WorkCounter {
  /** What `run` asks of the device until it resolves. */
  count(run: () => Promise<void>): Promise<Work>;
  /** Takes every wrapper off the device, so that timing is not that of the counting. */
  stop(): void;
}

/** Replaces a method on one object. */
function wrap<T extends object, K extends keyof T>(
  object: T,
  method: K,
  make: (original: T[K]) => T[K],
): void {
  const original = (object[method] as () => void).bind(object) as T[K];
  Object.defineProperty(object, method, { configurable: true, value: make(original) });
}

const makers = ["createBuffer", "createComputePipeline", "createComputePipelineAsync"] as const;

/** Starts to count. What is bound in steps to be counted must be made after this. */
export function countWork(device: GPUDevice): WorkCounter {
  const types = new Map<GPUBindGroupLayout, ReadonlyMap<number, GPUBufferBindingType>>();
  const sizes = new Map<GPUBindGroup, number>();
  const work: Work = { dispatches: 0, objects: 0, bytes: 0 };

  wrap(device, "createBindGroupLayout", (create) => (descriptor) => {
    const layout = create(descriptor);
    const entries = [...descriptor.entries].map(
      ({ binding, buffer }) => [binding, buffer?.type ?? "uniform"] as const,
    );
    types.set(layout, new Map(entries));
    return layout;
  });
  wrap(device, "createBindGroup", (create) => (descriptor) => {
    work.objects += 1;
    const group = create(descriptor);
    const bound = types.get(descriptor.layout);
    let bytes = 0;
    for (const { binding, resource } of descriptor.entries) {
      const { buffer, offset = 0, size = buffer.size - offset } = resource as GPUBufferBinding;
      const type = bound?.get(binding) ?? "uniform";
      bytes += type === "storage" ? 2 * size : type === "read-only-storage" ? size : 0;
    }
    sizes.set(group, bytes);
    return group;
  });
  for (const method of makers)
    wrap(device, method, (create) => (descriptor: never) => {
      work.objects += 1;
      return (create as (descriptor: never) => never)(descriptor);
    });
  wrap(device, "createCommandEncoder", (create) => (descriptor) => {
    const encoder = create(descriptor);
    work.objects += 1;
    countEncoder(encoder, sizes, work);
    return encoder;
  });

  return {
    async count(run) {
      Object.assign(work, { dispatches: 0, objects: 0, bytes: 0 });
      await run();
      return { ...work };
    },
    stop() {
      // The methods of the prototype show again.
      const wrapped = [...makers, "createBindGroupLayout", "createBindGroup", "createCommandEncoder"];
      for (const method of wrapped) Reflect.deleteProperty(device, method);
    },
  };
}

function countEncoder(
  encoder: GPUCommandEncoder,
  sizes: ReadonlyMap<GPUBindGroup, number>,
  work: Work,
): void {
  wrap(encoder, "finish", (finish) => (descriptor) => {
    work.objects += 1;
    return finish(descriptor);
  });
  wrap(
    encoder,
    "copyBufferToBuffer",
    (copy) =>
      ((...args: Parameters<typeof copy>) => {
        work.bytes += 2 * Number(args.at(-1));
        copy(...args);
      }) as typeof copy,
  );
  wrap(encoder, "beginComputePass", (begin) => (descriptor) => {
    const pass = begin(descriptor);
    work.objects += 1;
    const bound = new Map<number, GPUBindGroup>();
    wrap(
      pass,
      "setBindGroup",
      (set) =>
        ((index: number, group: GPUBindGroup, ...rest: []) => {
          bound.set(index, group);
          set(index, group, ...rest);
        }) as typeof set,
    );
    wrap(pass, "dispatchWorkgroups", (dispatch) => (...args) => {
      work.dispatches += 1;
      for (const group of bound.values()) work.bytes += sizes.get(group) ?? 0;
      dispatch(...args);
    });
    return pass;
  });
}
