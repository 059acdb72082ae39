// A life of optimizers in Node or Deno; says in JSON how it went.
import { type OptimError, requestDevice } from "../../../src/index.js";
import { live } from "./life.js";

/** What the program prints. */
export interface HostLife {
  readonly adapter: string;
  /** GPU errors that nobody caught. */
  readonly errors: readonly string[];
  /** Globals of WebGPU that the host has. */
  readonly globals: readonly string[];
  /** What a back end that computes nothing is refused with, by `requestDevice` and by `createOptimizer`. */
  readonly refused: readonly string[];
}

const inNode = !("Deno" in globalThis);

/** Dawn's back end for tests. */
async function refusals(): Promise<string[]> {
  if (!inNode) return [];
  const { create } = await import("webgpu");
  const gpu = create(["backend=null"]);
  const device = await (await gpu.requestAdapter())!.requestDevice();
  const codes: string[] = [];
  for (const attempt of [() => requestDevice({ gpu }), () => live(device)])
    await attempt().catch((error: OptimError) => codes.push(`${error.code}: ${error.details.got}`));
  return codes;
}

const gpu = inNode ? (await import("webgpu")).create([]) : navigator.gpu;
const device = await requestDevice({ gpu });
const errors: string[] = [];
device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
const { architecture, description } = device.adapterInfo;
await live(device);
const result: HostLife = {
  adapter: `${architecture} ${description}`,
  errors,
  globals: Object.getOwnPropertyNames(globalThis).filter((name) => name.startsWith("GPU")),
  refused: await refusals(),
};
console.log(JSON.stringify(result));
