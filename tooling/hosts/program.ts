// Runs in Node or Deno: does what the file of its one argument asks for, and answers with events on standard output.
import { readFileSync } from "node:fs";
import process from "node:process";
import { runBench } from "../../bench/run.js";
import { runConformance } from "../../src/conformance/index.ts";
import { requestDevice, rules } from "../../src/index.ts";
import { describeAdapter } from "../describe-adapter.ts";
import { type HostEvent, MARK, type Started } from "./events.ts";

const send = (event: HostEvent) =>
  new Promise<void>((resolve) => process.stdout.write(`${MARK}${JSON.stringify(event)}\n`, () => resolve()));

/** The host's WebGPU: Deno has one, in Node it is the package `webgpu`. */
async function openGpu({ dawn, driver, request }: Started): Promise<GPU> {
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

async function answer(started: Started): Promise<void> {
  const gpu = await openGpu(started);
  const found = await describeAdapter(gpu);
  if (!found) throw new Error("The host gives no WebGPU adapter.");
  await send({ kind: "adapter", adapter: found.adapter });
  const { request } = started;
  if (request.job === "bench") {
    const rows = await runBench(request, (progress) => send({ kind: "bench", ...progress }));
    return await send({ kind: "rows", rows });
  }
  const device = await requestDevice({ gpu, label: "conformance" });
  const { rules: names, vectors = [] } = request;
  const report = await runConformance(device, {
    rules: rules.filter(({ row }) => !names || names.includes(row.name)),
    vectors,
    onProgress: ({ done, total, failed, cases }) =>
      void send({ kind: "progress", done, total, failed, id: cases.at(-1)?.id ?? "" }),
  });
  device.destroy();
  await send({ kind: "done", report });
}

try {
  await answer(JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Started);
} catch (error) {
  await send({ kind: "error", message: error instanceof Error ? error.message : String(error) });
}
// Dawn's threads would keep Node alive.
process.exit();
