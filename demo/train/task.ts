import type { Array as DeviceArray, JsTree } from "@jax-js/jax";
import type { JaxOptimizerOptions } from "../../src/clients/jax.js";
import type { Rule } from "../../src/index.js";
import type { Comparison } from "./events.js";
import type { TrainOptions } from "./options.js";

/** Parameters of a model, or their gradients. */
export type Tree = JsTree<DeviceArray>;

/** The mean loss over a batch, and its gradients. */
export interface LossAndGradients<T extends Tree = Tree> {
  readonly loss: DeviceArray;
  readonly gradients: T;
}

/** What a run trains: a model, its examples, and how it is judged. */
export interface Task<T extends Tree = Tree> {
  /** They stay the task's. */
  readonly parameters: T;
  /** Of the optimizer, beside rule, schedule and accumulation. */
  optimizerOptions(rule: Rule): Omit<JaxOptimizerOptions, "rule" | "schedule" | "accumulation">;
  /** Most examples in one computation; a larger batch is accumulated. */
  readonly microBatch: number;
  /** The examples of the next epoch, in order, for {@link lossAndGradients}. */
  nextEpoch(): Uint32Array;
  lossAndGradients(examples: Uint32Array): LossAndGradients<T>;
  /** For rules that adapt to gradients of outputs: one tree for each. */
  outputGradients?(examples: Uint32Array, seed: number): T[];
  /** On examples that are not trained on: the part (0 to 1) that is right, or the mean loss. */
  evaluate(): Promise<number>;
  /** What the model makes up. */
  sample?(): Promise<string>;
  /** Times steps of the run against the same with jax-js's own operations. */
  compare?(options: TrainOptions): Promise<Comparison>;
}
