import { type Array as DeviceArray, getWebGPUDevice, numpy as np, tree } from "@jax-js/jax";
import { createJaxOptimizer, realize } from "../../src/clients/jax.js";
import type { Rule } from "../../src/index.js";
import type { Comparison } from "./events.js";
import { type AdamwState, addGradients, jaxAdamw } from "./jax-adamw.js";
import { models } from "./models.js";
import type { TrainOptions } from "./options.js";
import { ruleByName } from "./rules.js";
import type { LossAndGradients, Task, Tree } from "./task.js";

/** Steps of each that are timed, in turns, after one that compiles. */
const ROUNDS = 9;

/** What the steps of a run are. */
interface Compared<T extends Tree> {
  initial(): T;
  /** The examples of a micro-batch. */
  starts(): Uint32Array;
  lossAndGradients(parameters: T, examples: Uint32Array): LossAndGradients<T>;
  optimizerOptions: Task<T>["optimizerOptions"];
  decays(path: string): boolean;
  readonly microBatch: number;
  readonly averageDecay: number;
}

/**
 * Times steps of a run, those of this library and the same with AdamW by jax-js's own operations, jitted: accumulation,
 * clipping by the global norm, decay by groups and average are in both.
 */
export async function compareSteps<T extends Tree>(
  { optimizer: name, lr, batch, model }: TrainOptions,
  { initial, starts, lossAndGradients, optimizerOptions, decays, microBatch, averageDecay }: Compared<T>,
): Promise<Comparison> {
  const microBatches = Math.ceil((batch === "full" ? models[model].examples : batch) / microBatch);
  const rule: Rule = ruleByName(name, lr);
  const parameters = initial();
  const options = optimizerOptions(rule);
  const optimizer = await createJaxOptimizer(parameters, { rule, accumulation: true, ...options });
  const update = jaxAdamw(optimizer.paths.map(decays), microBatches, averageDecay);
  const p = tree.leaves<DeviceArray>(initial());
  const zeros = () => p.map(({ shape }) => np.zeros(shape));
  let state: AdamwState = { p, m: zeros(), v: zeros(), average: tree.ref(p) };
  const structure = tree.structure(parameters);

  const ours = async () => {
    const clock = new Clock();
    for (let micro = 0; micro < microBatches; micro++) {
      const gradients = await clock.gradients(() => lossAndGradients(parameters, starts()));
      await clock.update(() => optimizer.accumulate(gradients));
    }
    await clock.update(() => optimizer.step());
    return clock;
  };
  let t = 0;
  const jax = async () => {
    const clock = new Clock();
    let sums: DeviceArray[] | undefined;
    for (let micro = 0; micro < microBatches; micro++) {
      const current = tree.unflatten(structure, state.p) as T;
      const gradients = tree.leaves<DeviceArray>(
        await clock.gradients(() => lossAndGradients(current, starts())),
      );
      await clock.update(() => {
        sums = sums ? realize(addGradients(sums, gradients)) : gradients;
      });
    }
    await clock.update(() => {
      t += 1;
      state = realize(update(state, sums!, lr, t));
    });
    return clock;
  };
  const times = { ours: [await ours()], jax: [await jax()] };
  for (let round = 0; round < ROUNDS; round++) {
    times.ours.push(await ours());
    times.jax.push(await jax());
  }
  optimizer.destroy();
  tree.dispose([parameters, state]);
  // The gradients are the same: what they vary by is noise.
  const later = [times.ours, times.jax].map((clocks) => clocks.slice(1));
  const gradients = median(later.flat().map((clock) => clock.ofGradients));
  const [own, theirs] = later.map((clocks) => median(clocks.map((clock) => clock.ofUpdate)));
  return {
    ours: { step: gradients + own!, update: own! },
    jax: { step: gradients + theirs!, update: theirs! },
  };
}

/** Milliseconds of a step, each part until the GPU is done. */
class Clock {
  ofGradients = 0;
  ofUpdate = 0;

  async gradients<T extends Tree>(compute: () => LossAndGradients<T>): Promise<T> {
    const started = performance.now();
    const { loss, gradients } = compute();
    realize(gradients);
    loss.dispose();
    this.ofGradients += await sinceDone(started);
    return gradients;
  }

  async update(act: () => unknown): Promise<void> {
    const started = performance.now();
    act();
    this.ofUpdate += await sinceDone(started);
  }
}

async function sinceDone(started: number): Promise<number> {
  await getWebGPUDevice().queue.onSubmittedWorkDone();
  return performance.now() - started;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;
