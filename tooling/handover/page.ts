// The side of the hand-over that runs in the page. Both sides step with the same recorded gradients.

import { fromBase64, toBase64 } from "../../demo/train/base64.ts";
import { normalNumbers, uniformNumbers } from "../../demo/train/random.ts";
import {
  adadelta,
  adagrad,
  adam,
  adamax,
  adamw,
  amsgrad,
  asgd,
  createOptimizer,
  momentum,
  nadam,
  nesterov,
  type Optimizer,
  type Rule,
  radam,
  requestDevice,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  rprop,
  sgd,
} from "../../src/index.ts";

/** Steps on one side before the hand-over. */
const LEG = 20;
const LEGS = 3;

/** Two groups, the second with a rate and a decay of its own. */
const shapes = [{ w: [8, 4], s: [] }, { b: [5] }] as const;
const second = { lr: 0.03, weightDecay: 0 };

/** Every rule that PyTorch has as well, with options off their defaults. */
const rules: Readonly<Record<string, Rule>> = {
  sgd: sgd({ lr: 0.1, weightDecay: 0.1 }),
  momentum: momentum({ lr: 0.1, dampening: 0.3 }),
  nesterov: nesterov({ lr: 0.05, weightDecay: 0.1 }),
  adagrad: adagrad({ lr: 0.1, lrDecay: 0.05, initialAccumulatorValue: 0.1 }),
  rmsprop: rmsprop({ alpha: 0.9 }),
  "rmsprop-centered": rmspropCentered({ weightDecay: 0.1 }),
  "rmsprop-momentum": rmspropMomentum({ momentum: 0.5 }),
  "rmsprop-centered-momentum": rmspropCenteredMomentum({ alpha: 0.95, maximize: true }),
  adadelta: adadelta({ rho: 0.8 }),
  adam: adam({ lr: 0.05, weightDecay: 0.1 }),
  amsgrad: amsgrad({ lr: 0.05, beta2: 0.9 }),
  adamw: adamw({ lr: 0.05, weightDecay: 0.2 }),
  adamax: adamax({ lr: 0.05 }),
  nadam: nadam({ lr: 0.05, momentumDecay: 0.01 }),
  radam: radam({ lr: 0.05, beta2: 0.9, weightDecay: 0.1 }),
  rprop: rprop({ etaPlus: 1.3, stepSizeMax: 1 }),
  asgd: asgd({ lr: 0.1, lambd: 0.01, t0: 15, weightDecay: 0.1 }),
};

/** What a rule did in the page: files, base64. */
export interface HereRun {
  /** Before the first step. */
  readonly start: string;
  /** After the first leg. */
  readonly handed: string;
  /** After all legs without a hand-over. */
  readonly whole: string;
}

declare global {
  interface Window {
    /** Runs the first leg of every rule, and all legs. */
    readonly runHere: () => Promise<Record<string, HereRun>>;
    /** Runs the last leg of a rule from a file, and gives the file after it. */
    readonly finishHere: (name: string, file: string) => Promise<string>;
    /** Gradients of each step, those of all parameters in one list. */
    readonly recordedGradients: number[][];
    /** Names of parameters that each step leaves out. */
    readonly leftOut: string[][];
  }
}

const extents = shapes.flatMap((group) => Object.values(group) as (readonly number[])[]);
const lengths = extents.map((shape) => shape.reduce((product, extent) => product * extent, 1));
const total = lengths.reduce((sum, length) => sum + length, 0);
const normal = normalNumbers(uniformNumbers(1));
const recordedGradients = Array.from({ length: LEG * LEGS }, (_, step) =>
  // Shrinking, so that the largest second moment is not the last one.
  Array.from({ length: total }, () => Math.fround(normal() * 0.97 ** step)),
);

/** One parameter is frozen now and then; one is not reached before the second leg. */
const leftOut = recordedGradients.map((_, step) => [
  ...(step % 7 === 3 ? ["w"] : []),
  ...(step < LEG + 5 ? ["s"] : []),
]);

/** Makes an optimizer over fresh buffers. */
async function start(device: GPUDevice, rule: Rule) {
  const create = (values: readonly number[]) => {
    const buffer = device.createBuffer({
      size: Math.max(4, 4 * values.length),
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(buffer, 0, Float32Array.from(values));
    return buffer;
  };
  const grads: GPUBuffer[] = [];
  const groups = shapes.map((group) =>
    Object.entries(group).map(([name, shape]) => {
      const length = lengths[grads.length]!;
      const grad = create(Array.from({ length }, () => 0));
      grads.push(grad);
      return {
        name,
        shape: shape as readonly number[],
        param: create(Array.from({ length }, (_, i) => Math.cos(i + grads.length))),
        grad,
      };
    }),
  );
  const optimizer = await createOptimizer(device, {
    rule,
    groups: groups.map((parameters, index) => ({ parameters, ...(index === 1 && second) })),
  });
  return { optimizer, grads };
}

function run(device: GPUDevice, optimizer: Optimizer, grads: readonly GPUBuffer[], from: number, to: number) {
  for (let step = from; step < to; step++) {
    const values = recordedGradients[step]!;
    let at = 0;
    grads.forEach((grad, index) => {
      device.queue.writeBuffer(grad, 0, Float32Array.from(values.slice(at, at + lengths[index]!)));
      at += lengths[index]!;
    });
    optimizer.step({ without: leftOut[step] });
  }
}

/** Uses a device that ends with the call. */
async function withDevice<T>(use: (device: GPUDevice) => Promise<T>): Promise<T> {
  const device = await requestDevice();
  let failure: string | undefined;
  device.addEventListener("uncapturederror", ({ error }) => {
    failure ??= error.message;
  });
  const result = await use(device);
  await device.queue.onSubmittedWorkDone();
  device.destroy();
  if (failure) throw new Error(`GPU error: ${failure}`);
  return result;
}

async function runHere(): Promise<Record<string, HereRun>> {
  const runs: Record<string, HereRun> = {};
  for (const [name, rule] of Object.entries(rules))
    runs[name] = await withDevice(async (device) => {
      const { optimizer, grads } = await start(device, rule);
      const file = async () => toBase64(await optimizer.save({ format: "pytorch" }));
      const before = await file();
      run(device, optimizer, grads, 0, LEG);
      const handed = await file();
      run(device, optimizer, grads, LEG, LEG * LEGS);
      return { start: before, handed, whole: await file() };
    });
  return runs;
}

const finishHere = (name: string, file: string) =>
  withDevice(async (device) => {
    const { optimizer, grads } = await start(device, rules[name]!);
    await optimizer.load(fromBase64(file));
    run(device, optimizer, grads, (LEGS - 1) * LEG, LEGS * LEG);
    return toBase64(await optimizer.save({ format: "pytorch" }));
  });

Object.assign(window, { runHere, finishHere, recordedGradients, leftOut });
