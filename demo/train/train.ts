import {
  type Array as DeviceArray,
  defaultDevice,
  getWebGPUDevice,
  init,
  numpy as np,
  tree,
} from "@jax-js/jax";
import { writeSafetensors } from "../../src/checkpoint/safetensors.js";
import { createJaxOptimizer, type JaxOptimizer, realize } from "../../src/clients/jax.js";
import type { Rule } from "../../src/index.js";
import { toBase64 } from "./base64.js";
import type { TrainEvent } from "./events.js";
import { type Loss, meanLoss, WaitingLosses } from "./losses.js";
import { stepsPerEpoch, type TrainOptions } from "./options.js";
import { positionMetadata, readPosition } from "./resume.js";
import { ruleByName } from "./rules.js";
import { scheduleByName } from "./schedules.js";
import type { Task, Tree } from "./task.js";

/** Steps from one estimate of curvature to the next, for rules that take one. */
const CURVATURE_EVERY = 10;

/** Steps from one adaptation to gradients of outputs to the next, for rules that take them: each costs as many gradients. */
const OUTPUTS_EVERY = 10;

/** The device that jax-js works on, and so the optimizer. @throws Error where there is no WebGPU. */
export async function startDevice(): Promise<GPUDevice> {
  const available = await init("webgpu");
  if (!available.includes("webgpu")) throw new Error("This browser gives no WebGPU adapter.");
  defaultDevice("webgpu");
  return getWebGPUDevice();
}

/** Where a run begins, and who keeps its checkpoints. */
export interface Checkpoints {
  /** To go on from; its options are the run's. */
  readonly from?: Uint8Array | undefined;
  /** Called with one after each epoch. */
  readonly keep?: ((file: Uint8Array) => Promise<void>) | undefined;
}

/**
 * Trains a model and reports as it goes. jax-js computes loss and gradients; the optimizer updates the parameters in their
 * own GPU buffers. The same options give the same losses on the same adapter, with a break or without.
 * @throws Error when a loss is not finite; OptimError `invalid-checkpoint` before anything is trained.
 */
export async function train<T extends Tree>(
  task: Task<T>,
  options: TrainOptions,
  report: (event: TrainEvent) => void,
  { from, keep }: Checkpoints = {},
): Promise<void> {
  const { epochs, seed, batch } = options;
  const epochSteps = stepsPerEpoch(options);
  const steps = epochs * epochSteps;
  const rule = ruleByName(options.optimizer, options.lr);
  const schedule = scheduleByName(options.schedule, steps, seed);
  const { parameters } = task;
  const taskOptions = task.optimizerOptions(rule);
  const batchSize = batch === "full" ? Number.POSITIVE_INFINITY : batch;
  const accumulates = batchSize > task.microBatch;
  const optimizer = await createJaxOptimizer(parameters, {
    rule,
    schedule,
    accumulation: accumulates,
    ...taskOptions,
  });
  const averages = taskOptions.average !== undefined || rule.row.evaluate !== undefined;
  const epochsDone = from ? readPosition((await optimizer.engine.load(from)).metadata).epoch : 0;
  let step = epochsDone * epochSteps;
  report({ kind: "start", steps, firstStep: step });

  const started = performance.now();
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const order = task.nextEpoch();
    if (epoch <= epochsDone) continue;
    const all: Loss[] = [];
    const waiting = new WaitingLosses();
    let rates: number[] = [];
    for (let start = 0; start < order.length; start += batchSize) {
      const examples = order.subarray(start, start + batchSize);
      if (rule.row.shader.lookahead) optimizer.engine.lookahead();
      const ready: Loss[] = [];
      const curvature = rule.row.shader.curvature && step % CURVATURE_EVERY === 0;
      // Taken at the parameters of before the step, and handed over after it.
      const outputs =
        takesOutputs(rule) && step % OUTPUTS_EVERY === 0 ? outputsOf(task, examples, seed + step) : [];
      if (accumulates) {
        const mean = await accumulateGradients(optimizer, task, examples, curvature);
        ready.push(mean);
        optimizer.step(undefined, { loss: np.array(new Float32Array([mean.value])) });
      } else {
        const { loss, gradients } = task.lossAndGradients(examples);
        if (curvature) optimizer.curvature(curvatureOf(gradients, examples.length));
        optimizer.step(gradients, { loss: loss.ref });
        waiting.push(loss, examples.length);
      }
      for (const gradients of outputs) optimizer.outputGradient(gradients);
      rates.push(optimizer.engine.groups[0]?.rate ?? Number.NaN);
      step++;
      if (!accumulates && !waiting.full && step % epochSteps !== 0) continue;
      ready.push(...(await waiting.read()));
      all.push(...ready);
      report({ kind: "steps", epoch, step, losses: ready.map(({ value }) => value), rates });
      rates = [];
    }
    const loss = meanLoss(all);
    schedule.report?.(loss);
    const evaluated = await evaluating(optimizer, averages, () => task.evaluate());
    report({ kind: "epoch", epoch, step, loss, evaluated });
    await keep?.(await optimizer.engine.save({ metadata: positionMetadata({ options, epoch }) }));
  }
  const seconds = (performance.now() - started) / 1000;
  const [weights, sample] = await evaluating(optimizer, averages, async () => [
    await weightsFile(optimizer, parameters),
    await task.sample?.(),
  ]);
  optimizer.destroy();
  const comparison = await task.compare?.(options);
  tree.dispose(parameters);
  report({ kind: "done", seconds, weights, sample, comparison });
}

const takesOutputs = (rule: Rule) => rule.row.whole?.outputs?.(rule.options);

/** Gradients of the outputs, under way. @param seed of the examples' signs */
const outputsOf = <T extends Tree>(task: Task<T>, examples: Uint32Array, seed: number): T[] => {
  if (!task.outputGradients)
    throw new Error("This model gives no gradients of outputs: choose another --optimizer.");
  return task.outputGradients(examples, seed).map((gradients) => realize(gradients));
};

/** Looks at the parameters that a run is to be evaluated at, where it trains others. */
async function evaluating<T extends Tree, R>(
  { engine }: JaxOptimizer<T>,
  averages: boolean,
  look: () => Promise<R>,
): Promise<R> {
  if (!averages) return await look();
  engine.swapAverage();
  try {
    return await look();
  } finally {
    engine.swapAverage();
  }
}

/**
 * Count times the square of the mean gradient, as Sophia's Gauss-Newton-Bartlett estimate has it, but of the examples'
 * own labels and not of labels drawn from the model: the empirical Fisher information, which costs no second pass.
 */
export const curvatureOf = <T extends Tree>(gradients: T, count: number): T =>
  tree.map((g: DeviceArray) => g.ref.mul(g.ref).mul(count), gradients) as T;

/** Accumulates the gradient of examples that are too many for one computation; gives their mean loss. */
async function accumulateGradients<T extends Tree>(
  optimizer: JaxOptimizer<T>,
  task: Task<T>,
  examples: Uint32Array,
  curvature: boolean | undefined,
): Promise<Loss> {
  const waiting = new WaitingLosses();
  const losses: Loss[] = [];
  for (let start = 0; start < examples.length; start += task.microBatch) {
    const micro = examples.subarray(start, start + task.microBatch);
    const { loss, gradients } = task.lossAndGradients(micro);
    if (curvature && start === 0) optimizer.curvature(curvatureOf(gradients, micro.length));
    optimizer.accumulate(gradients, { samples: micro.length });
    waiting.push(loss, micro.length);
    if (waiting.full) losses.push(...(await waiting.read()));
  }
  losses.push(...(await waiting.read()));
  return { value: meanLoss(losses), count: examples.length };
}

/** The weights as a safetensors file, base64. */
async function weightsFile<T extends Tree>({ paths }: JaxOptimizer<T>, parameters: T): Promise<string> {
  const arrays = tree.leaves<DeviceArray>(parameters);
  const tensors = await Promise.all(
    arrays.map(async (array, index) => {
      const name = paths[index]!;
      const data = await array.ref.data();
      if (!(data instanceof Float32Array)) throw new TypeError(`Parameter ${name} is not float32.`);
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      return { name, dtype: "F32" as const, shape: array.shape, data: bytes };
    }),
  );
  return toBase64(writeSafetensors(tensors));
}
