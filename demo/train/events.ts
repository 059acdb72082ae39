import type { RangeTestSuggestion } from "../../src/schedules/range-test.js";

/** Milliseconds of one step, gradients and update, and of the update alone: medians, taken in turns in the same run. */
export interface Comparison {
  readonly ours: { readonly step: number; readonly update: number };
  /** With the same step written in jax-js's own operations, jitted. */
  readonly jax: { readonly step: number; readonly update: number };
}

/** What a training run reports as it goes, as plain data that can leave the page. */
export type TrainEvent =
  | {
      readonly kind: "start";
      /** Of the whole run. */
      readonly steps: number;
      /** Done before, where the run goes on from a checkpoint. */
      readonly firstStep: number;
    }
  | {
      /** Some steps were done, `step` steps in all. */
      readonly kind: "steps";
      readonly epoch: number;
      readonly step: number;
      /** Training loss of each of them. */
      readonly losses: readonly number[];
      /** Learning rate of each of them. */
      readonly rates: readonly number[];
    }
  | {
      /** An epoch ended: mean training loss over it, and what the model's evaluation gives after it. */
      readonly kind: "epoch";
      readonly epoch: number;
      readonly step: number;
      readonly loss: number;
      readonly evaluated: number;
    }
  | {
      readonly kind: "done";
      /** Training and evaluation, without loading. */
      readonly seconds: number;
      /** Weights as a safetensors file, base64. */
      readonly weights: string;
      /** What the model made up, where it can. */
      readonly sample?: string | undefined;
      readonly comparison?: Comparison | undefined;
    }
  | {
      /** A sweep of the learning rate is over. */
      readonly kind: "swept";
      readonly seconds: number;
      readonly suggestion: RangeTestSuggestion | undefined;
      /** Loss over rate. */
      readonly svg: string;
    }
  | { readonly kind: "error"; readonly message: string };
