// jax-js on its own device, watched: an uncaptured error fails the test.
import { type Array as DeviceArray, defaultDevice, getWebGPUDevice, init } from "@jax-js/jax";
import { afterEach, beforeAll, expect } from "vitest";

/** Buffers made on jax-js's device and not destroyed, by its pool or anyone. */
const live = new Set<GPUBuffer>();
const errors: string[] = [];

/** Starts jax-js before the tests of a file. */
export function useJax(): { readonly live: ReadonlySet<GPUBuffer>; readonly device: () => GPUDevice } {
  beforeAll(async () => {
    await init("webgpu");
    defaultDevice("webgpu");
    const device = getWebGPUDevice();
    device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      live.add(buffer);
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        live.delete(buffer);
        return destroy();
      };
      return buffer;
    };
  });
  afterEach(async () => {
    await getWebGPUDevice().queue.onSubmittedWorkDone();
    await new Promise((resolve) => setTimeout(resolve));
    expect(errors.splice(0)).toEqual([]);
  });
  return { live, device: getWebGPUDevice };
}

/** The values of an array that stays the caller's. */
export async function valuesOf(array: DeviceArray): Promise<number[]> {
  return [...((await array.ref.data()) as Float32Array)];
}
