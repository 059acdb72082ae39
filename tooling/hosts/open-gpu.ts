import process from "node:process";
import type { Started } from "./events.ts";

/** The host's WebGPU: Deno has one, in Node it is the package `webgpu`. */
export async function openGpu({ dawn, driver, request }: Started): Promise<GPU> {
  if (!dawn) return navigator.gpu;
  const { create, globals } = (await import(/* @vite-ignore */ dawn.url)) as typeof import("webgpu");
  // The library needs none of these; the benchmark and its contestants do.
  if (request.job === "bench") Object.assign(globalThis, globals);
  let gpu = create([]);
  // Mesa's Vulkan before 24 has too few features for Dawn; its OpenGL has enough for what is called compatible.
  if (driver === "llvmpipe" && !(await gpu.requestAdapter())) gpu = compatible(create(["backend=opengles"]));
  const userAgent = `Node.js/${process.versions.node} webgpu/${dawn.version}`;
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { gpu, userAgent } });
  return gpu;
}

/** Adapters of the compatible kind, with workgroups as large as elsewhere. */
function compatible(gpu: GPU): GPU {
  const requestAdapter: GPU["requestAdapter"] = async (options) => {
    const adapter = await gpu.requestAdapter({ ...options, featureLevel: "compatibility" });
    if (!adapter) return null;
    const own = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = (descriptor) => {
      const requiredLimits = { maxComputeWorkgroupSizeX: 256, maxComputeInvocationsPerWorkgroup: 256 };
      return own({ ...descriptor, requiredLimits: { ...descriptor?.requiredLimits, ...requiredLimits } });
    };
    return adapter;
  };
  return { requestAdapter } as GPU;
}
