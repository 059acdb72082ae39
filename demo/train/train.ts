import { defaultDevice, getWebGPUDevice, init, numpy as np, tree } from "@jax-js/jax";
import { writeSafetensors } from "../../src/checkpoint/safetensors.js";
import { createOptimizer, type Optimizer, type Rule } from "../../src/index.js";
import { toBase64 } from "./base64.js";
import { uploadBatch } from "./batches.js";
import { accuracy } from "./evaluate.js";
import type { TrainEvent } from "./events.js";
import { type Loss, meanLoss, WaitingLosses } from "./losses.js";
import type { Examples, Mnist } from "./mnist.js";
import {
  initialParameters,
  lossAndGradients,
  outputGradients,
  type Parameters,
  parameterNames,
  shapes,
} from "./network.js";
import { stepsPerEpoch, type TrainOptions } from "./options.js";
import { shuffle, uniformNumbers } from "./random.js";
import { positionMetadata, readPosition } from "./resume.js";
import { groupsOf, ruleByName } from "./rules.js";
import { scheduleByName } from "./schedules.js";

/** Steps from one estimate of curvature to the next, for rules that take one. */
const CURVATURE_EVERY = 10;

/** Steps from one adaptation to gradients of outputs to the next, for rules that take them: each costs as many gradients. */
const OUTPUTS_EVERY = 10;

/** Examples in a micro-batch of a full batch. */
const MICRO_BATCH = 1_000;

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
 * Trains the network on MNIST and reports as it goes. jax-js computes loss and gradients; the optimizer updates the
 * parameters in their own GPU buffers. The same options give the same losses on the same adapter, with a break or without.
 * @throws Error when a loss is not finite; OptimError `invalid-checkpoint` before anything is trained.
 */
export async function train(
  device: GPUDevice,
  { training, test }: Mnist,
  options: TrainOptions,
  report: (event: TrainEvent) => void,
  { from, keep }: Checkpoints = {},
): Promise<void> {
  const { epochs, seed, batch } = options;
  const batchSize = batch === "full" ? training.count : batch;
  const epochSteps = stepsPerEpoch(batch);
  const steps = epochs * epochSteps;
  const rule = ruleByName(options.optimizer, options.lr);
  const schedule = scheduleByName(options.schedule, steps, seed);
  const parameters = initialParameters(seed);
  const optimizer = await createOptimizer(device, {
    schedule,
    accumulation: batch === "full",
    groups: groupsOf(rule, withGradients(parameters)),
  });
  const epochsDone = from ? readPosition((await optimizer.load(from)).metadata).epoch : 0;
  let step = epochsDone * epochSteps;
  report({ kind: "start", steps, firstStep: step });

  const started = performance.now();
  // Another stream than the initialization's, so that the order does not follow from the weights.
  const uniform = uniformNumbers(~seed);
  const order = Uint32Array.from({ length: training.count }, (_, index) => index);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    // Each order follows from the one before.
    shuffle(order, uniform);
    if (epoch <= epochsDone) continue;
    const all: Loss[] = [];
    const waiting = new WaitingLosses();
    let rates: number[] = [];
    for (let start = 0; start < training.count; start += batchSize) {
      const indices = order.subarray(start, start + batchSize);
      if (rule.row.shader.lookahead) optimizer.lookahead();
      const ready: Loss[] = [];
      const curvature = rule.row.shader.curvature && step % CURVATURE_EVERY === 0;
      // Taken at the parameters of before the step, and handed over after it. Before the gradient of the loss, whose buffers
      // jax-js may write again once they are handed in.
      const outputs =
        rule.row.whole?.outputs?.(rule.options) && step % OUTPUTS_EVERY === 0
          ? startOutputs(parameters, training, indices.subarray(0, MICRO_BATCH), seed + step)
          : [];
      let loss: GPUBuffer | undefined;
      if (batch === "full") {
        const mean = await accumulateGradients(optimizer, parameters, training, indices, curvature);
        ready.push(mean);
        loss = np.array(new Float32Array([mean.value])).gpuBufferSync();
      } else loss = computeGradients(optimizer, parameters, training, indices, waiting, curvature);
      optimizer.step({ loss });
      for (const gradients of outputs) {
        optimizer.setGradients(buffersOf(gradients));
        optimizer.outputGradient();
        tree.dispose(gradients);
      }
      rates.push(optimizer.groups[0]?.rate ?? Number.NaN);
      step++;
      if (batch !== "full" && !waiting.full && step % epochSteps !== 0) continue;
      ready.push(...(await waiting.read()));
      all.push(...ready);
      report({ kind: "steps", epoch, step, losses: ready.map(({ value }) => value), rates });
      rates = [];
    }
    const loss = meanLoss(all);
    schedule.report?.(loss);
    const evaluated = await evaluating(optimizer, rule, () => accuracy(parameters, test));
    report({ kind: "epoch", epoch, step, loss, accuracy: evaluated });
    await keep?.(await optimizer.save({ metadata: positionMetadata({ options, epoch }) }));
  }
  const seconds = (performance.now() - started) / 1000;
  const weights = await evaluating(optimizer, rule, () => weightsFile(parameters));
  optimizer.destroy();
  tree.dispose(parameters);
  report({ kind: "done", seconds, weights });
}

/** Looks at the parameters that a rule is to be evaluated at, where it trains others. */
async function evaluating<T>(optimizer: Optimizer, { row }: Rule, look: () => Promise<T>): Promise<T> {
  if (row.evaluate === undefined) return await look();
  optimizer.swapAverage();
  try {
    return await look();
  } finally {
    optimizer.swapAverage();
  }
}

/** The parameters' buffers, each with a first gradient of zeros. */
export function withGradients(parameters: Parameters) {
  return parameterNames.map((name) => {
    const length = shapes[name].reduce((product: number, extent) => product * extent, 1);
    return {
      name,
      shape: shapes[name],
      param: parameters[name].ref.gpuBufferSync(),
      // Never freed: the optimizer may read it until it is given another.
      grad: np.array(new Float32Array(length)).ref.gpuBufferSync(),
    };
  });
}

/**
 * Computes loss and gradients and hands the gradients to the optimizer, all on the GPU.
 * @returns where the loss is until the next computation
 * @param curvature whether to hand in an estimate of the Hessian's diagonal first
 */
export function computeGradients(
  optimizer: Optimizer,
  parameters: Parameters,
  examples: Examples,
  indices: Uint32Array,
  losses: WaitingLosses,
  curvature = false,
): GPUBuffer {
  const { count, images, labels } = uploadBatch(examples, indices);
  const { loss, gradients } = lossAndGradients(parameters, images, labels);
  // Asking for the buffers starts the computation. What still waits reads the parameters as they are later, so the
  // loss is started before the step, too. `ref` keeps an array that would otherwise be freed here.
  const buffer = loss.ref.gpuBufferSync();
  if (curvature) handInCurvature(optimizer, gradients, count);
  optimizer.setGradients(buffersOf(gradients));
  losses.push(loss, count);
  // The buffers go back to jax-js, which writes them again only in work submitted after the step.
  tree.dispose(gradients);
  return buffer;
}

/** Gradients of the outputs, under way. @param seed of the examples' signs */
function startOutputs(
  parameters: Parameters,
  examples: Examples,
  indices: Uint32Array,
  seed: number,
): Parameters[] {
  const { images, labels } = uploadBatch(examples, indices);
  labels.dispose();
  const uniform = uniformNumbers(seed);
  const signs = Float32Array.from(indices, () => (uniform() < 0.5 ? -1 : 1));
  const outputs = outputGradients(parameters, images, signs);
  for (const gradients of outputs) buffersOf(gradients);
  return outputs;
}

/** The buffers of gradients, for the optimizer to read. */
const buffersOf = (gradients: Parameters) =>
  Object.fromEntries(parameterNames.map((name) => [name, gradients[name].ref.gpuBufferSync()]));

/**
 * Count times the square of the mean gradient, as Sophia's Gauss-Newton-Bartlett estimate has it, but of the examples'
 * own labels and not of labels drawn from the model: the empirical Fisher information, which costs no second pass.
 */
function handInCurvature(optimizer: Optimizer, gradients: Parameters, count: number): void {
  const square = (name: (typeof parameterNames)[number]) =>
    gradients[name].ref.mul(gradients[name].ref).mul(count);
  const estimate = Object.fromEntries(parameterNames.map((name) => [name, square(name)])) as Parameters;
  optimizer.setGradients(buffersOf(estimate));
  optimizer.curvature();
  tree.dispose(estimate);
}

/** Accumulates the gradient of examples that are too many for one computation; gives their mean loss. */
async function accumulateGradients(
  optimizer: Optimizer,
  parameters: Parameters,
  examples: Examples,
  indices: Uint32Array,
  curvature: boolean,
): Promise<Loss> {
  const waiting = new WaitingLosses();
  const losses: Loss[] = [];
  for (let start = 0; start < indices.length; start += MICRO_BATCH) {
    const micro = indices.subarray(start, start + MICRO_BATCH);
    computeGradients(optimizer, parameters, examples, micro, waiting, curvature && start === 0);
    optimizer.accumulate({ samples: micro.length });
    if (waiting.full) losses.push(...(await waiting.read()));
  }
  losses.push(...(await waiting.read()));
  return { value: meanLoss(losses), count: indices.length };
}

/** The weights as a safetensors file, base64. */
async function weightsFile(parameters: Parameters): Promise<string> {
  const tensors = await Promise.all(
    parameterNames.map(async (name) => {
      const data = await parameters[name].ref.data();
      if (!(data instanceof Float32Array)) throw new TypeError(`Parameter ${name} is not float32.`);
      return {
        name,
        dtype: "F32" as const,
        shape: shapes[name],
        data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      };
    }),
  );
  return toBase64(writeSafetensors(tensors));
}
