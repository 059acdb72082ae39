// One fresh device a test file, watched: an uncaptured error or a buffer left alive fails the test.
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { requestDevice } from "../../src/index.js";

/** What was made on a watched device since it was opened. */
export interface Counts {
  buffers: number;
  bindGroups: number;
  layouts: number;
  modules: number;
  pipelines: number;
  encoders: number;
  passes: number;
  commandBuffers: number;
  dispatches: number;
  submits: number;
  maps: number;
}

export interface Watched {
  readonly device: GPUDevice;
  readonly counts: Counts;
  /** Buffers made and not destroyed. */
  readonly live: Set<GPUBuffer>;
  readonly errors: string[];
  readonly software: boolean;
}

/** Replaces a method on one object by one that runs something around it. */
function around<T extends object, K extends keyof T>(object: T, method: K, after: (result: unknown) => void) {
  const original = object[method] as (...args: unknown[]) => unknown;
  Object.defineProperty(object, method, {
    configurable: true,
    value: (...args: unknown[]) => {
      const result = original.apply(object, args);
      after(result);
      return result;
    },
  });
}

/** Opens a device and counts what is made on it. `limits` lowers what the engine reads, below what WebGPU can set. */
export async function watchedDevice(limits: Partial<Record<keyof GPUSupportedLimits, number>> = {}) {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await requestDevice({ label: "test" });
  const counts: Counts = {
    buffers: 0,
    bindGroups: 0,
    layouts: 0,
    modules: 0,
    pipelines: 0,
    encoders: 0,
    passes: 0,
    commandBuffers: 0,
    dispatches: 0,
    submits: 0,
    maps: 0,
  };
  const live = new Set<GPUBuffer>();
  const errors: string[] = [];
  device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
  around(device, "createBuffer", (result) => {
    const buffer = result as GPUBuffer;
    counts.buffers += 1;
    live.add(buffer);
    around(buffer, "destroy", () => live.delete(buffer));
    around(buffer, "mapAsync", () => {
      counts.maps += 1;
    });
  });
  const count = (method: keyof GPUDevice, name: keyof Counts) =>
    around(device, method, () => {
      counts[name] += 1;
    });
  count("createBindGroup", "bindGroups");
  count("createBindGroupLayout", "layouts");
  count("createPipelineLayout", "layouts");
  count("createShaderModule", "modules");
  count("createComputePipeline", "pipelines");
  count("createComputePipelineAsync", "pipelines");
  around(device, "createCommandEncoder", (result) => {
    const encoder = result as GPUCommandEncoder;
    counts.encoders += 1;
    around(encoder, "finish", () => {
      counts.commandBuffers += 1;
    });
    around(encoder, "beginComputePass", (pass) => {
      counts.passes += 1;
      around(pass as GPUComputePassEncoder, "dispatchWorkgroups", () => {
        counts.dispatches += 1;
      });
    });
  });
  around(device.queue, "submit", () => {
    counts.submits += 1;
  });
  if (Object.keys(limits).length > 0) {
    const real = device.limits;
    Object.defineProperty(device, "limits", {
      value: new Proxy(real, {
        get: (_, name) => limits[name as keyof GPUSupportedLimits] ?? real[name as keyof GPUSupportedLimits],
      }),
    });
  }
  const software = adapter?.info.architecture === "swiftshader";
  return { device, counts, live, errors, software } satisfies Watched;
}

/** Gives the file's device. Tests own what they make: nothing may be alive after each. */
export function useDevice(limits: Partial<Record<keyof GPUSupportedLimits, number>> = {}): () => Watched {
  let watched: Watched;
  beforeAll(async () => {
    watched = await watchedDevice(limits);
  });
  beforeEach(() => {
    watched.errors.length = 0;
  });
  afterEach(async () => {
    // Errors arrive after the work that caused them, by a task of their own.
    await watched.device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => setTimeout(resolve));
    const left = [...watched.live].map(({ label }) => label);
    for (const buffer of watched.live) buffer.destroy();
    expect(watched.errors, "uncaptured GPU errors").toEqual([]);
    expect(left, "buffers left alive").toEqual([]);
  });
  afterAll(() => watched.device.destroy());
  return () => watched;
}

/** What changed between two counts. */
export function difference(after: Counts, before: Counts): Counts {
  return Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, value - before[name as keyof Counts]]),
  ) as unknown as Counts;
}
