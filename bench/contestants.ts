import {
  adam,
  adamw,
  createArena,
  createOptimizer,
  type GuardOptions,
  momentum,
  type OptimizerOptions,
  type Parameter,
  rmsprop,
  sgd,
  type TelemetryOptions,
} from "../src/index.js";
import { fill } from "./fill.js";
import { makeStreams } from "./streams.js";
import type { Workload } from "./workloads.js";

/** What is measured beside others. */
export interface Contestant {
  readonly engine: string;
  readonly optimizer: string;
  /** Encodes and submits a step. */
  readonly step: () => void;
  /** Resolves when what was submitted has been read back, where it is. */
  readonly settled: () => Promise<void>;
  /** Milliseconds to wait after a sample, untimed, while thousands of objects that it made are freed. */
  readonly rest?: number;
  /** Where it is not to be counted. */
  readonly bytesMoved?: number;
  /** Where it is not the benchmark's own. */
  readonly device?: GPUDevice;
}

/** The engine whose step of Adam all others are compared with, and so the first. */
const PLAIN = "webgpu-optim-arena";

interface Extras {
  readonly guards?: GuardOptions;
  readonly telemetry?: TelemetryOptions;
}
const guards = { clipGlobalNorm: 1 };

/** What is measured over a workload. */
export interface Contest {
  readonly contestants: readonly Contestant[];
  readonly tensors: number;
  readonly parameters: number;
  /** Frees all of it. */
  destroy(): void;
}

/** Makes all that is measured over a workload. What moves the same tensors shares parameters and gradients. */
export async function makeContest(device: GPUDevice, workload: Workload, peers: boolean): Promise<Contest> {
  const made: { destroy(): void }[] = [];
  const own = <T extends { destroy(): void }>(resource: T): T => {
    made.push(resource);
    return resource;
  };
  const contestants: Contestant[] = [];
  const add = async (
    engine: string,
    parameters: readonly Parameter[],
    extras: Extras = {},
    rule: OptimizerOptions["rule"] = adam(),
  ) => {
    const optimizer = own(
      await createOptimizer(device, { rule: rule!, parameters, label: engine, ...extras }),
    );
    contestants.push({
      engine,
      optimizer: rule!.row.name,
      step: () => optimizer.step(),
      settled: () => optimizer.settled(),
    });
  };

  const shapes = workload.shapes();
  const arena = own(createArena(device, [shapes]));
  fill(device, arena.gradients);
  const placed = arena.groups[0]!;
  await add(PLAIN, placed);
  await add(PLAIN, placed, {}, adamw());
  await add("webgpu-optim-guards", placed, { guards });
  await add("webgpu-optim-telemetry", placed, { guards, telemetry: { perTensor: true } });
  if (workload.loose) {
    const loose = placed.map(({ name, param }) => makeTensor(device, name, param.size, own));
    await add("webgpu-optim", loose);
    await add("webgpu-optim-loose-guards", loose, { guards });
  }
  const parameters = placed.reduce((sum, { param }) => sum + param.size / 4, 0);
  contestants.push(...makeStreams(device, parameters, own));
  if (peers && workload.peers) {
    for (const rule of [sgd(), momentum(), rmsprop()]) await add(PLAIN, placed, {}, rule);
    const [{ makeJax }, { makeLoop }, { makeTfjs }] = await Promise.all([
      import("./jax.js"),
      import("./plain-loop.js"),
      import("./tfjs.js"),
    ]);
    contestants.push(makeLoop(shapes), ...(await makeJax(shapes, own)));
    // Last, since its garbage slows what comes after.
    contestants.push(...(await makeTfjs(device, shapes, own)));
  }
  return {
    contestants,
    tensors: placed.length,
    parameters,
    destroy() {
      // What was made last first: it may stand on what was made before.
      for (const resource of made.reverse()) resource.destroy();
    },
  };
}

/** A tensor in two buffers of its own. */
function makeTensor(
  device: GPUDevice,
  name: string,
  size: number,
  own: (buffer: GPUBuffer) => GPUBuffer,
): Parameter {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [param, grad] = [name, `${name} gradient`].map((label) =>
    own(device.createBuffer({ label, size, usage })),
  ) as [GPUBuffer, GPUBuffer];
  fill(device, grad);
  return { name, param, grad };
}
