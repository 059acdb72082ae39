// tfjs on its WebGPU backend, watched: an uncaptured GPU error or a tensor left alive fails the test.
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import * as layers from "@tensorflow/tfjs-layers";
import { afterEach, beforeEach, expect } from "vitest";
import type { Backend } from "../../src/clients/tfjs/backend.js";
import type { TfjsOptimizer } from "../../src/clients/tfjs.js";

let made = 0;

/** The WebGPU backend. */
export const backend = () => tf.engine().findBackend("webgpu") as unknown as Backend;

/** Sees that tests leave no GPU error and no tensor behind. */
export function useTfjs(): void {
  const errors: string[] = [];
  let tensors = 0;
  beforeEach(async () => {
    await tf.setBackend("webgpu");
    backend().device.onuncapturederror = ({ error }) => errors.push(error.message);
    errors.length = 0;
    tensors = tf.memory().numTensors;
  });
  afterEach(async () => {
    await tf.setBackend("webgpu");
    await backend().device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => setTimeout(resolve));
    expect(errors, "uncaptured GPU errors").toEqual([]);
    expect(tf.memory().numTensors - tensors, "tensors left alive").toBe(0);
  });
}

/** A variable under a name that is free. */
export const variable = (values: readonly number[], shape: number[] = [values.length], name = "v") =>
  tf.tidy(() => tf.variable(tf.tensor([...values], shape), true, `${name} ${made++}`));

/** Values that look random, the same each time. */
export const noise = (length: number, seed: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));

/** A network of three layers, with the same weights each time. */
export function threeLayers(): layers.Sequential {
  const model = layers.sequential({
    layers: [
      layers.layers.dense({ inputShape: [8], units: 16, activation: "tanh" }),
      layers.layers.dense({ units: 16, activation: "tanh" }),
      layers.layers.dense({ units: 3, activation: "softmax" }),
    ],
  });
  tf.tidy(() =>
    model.setWeights(
      model.weights.map(({ shape }, index) => {
        const extents = shape as number[];
        return tf.mul(tf.tensor(noise(tf.util.sizeFromShape(extents), index), extents), 0.4);
      }),
    ),
  );
  return model;
}

/** Inputs and classes for {@link threeLayers}. */
export function batch(samples = 32): { x: tf.Tensor; y: tf.Tensor; dispose(): void } {
  const x = tf.tensor(noise(samples * 8, 100), [samples, 8]);
  const y = tf.tidy(() =>
    tf.cast(
      tf.oneHot(
        tf.tensor1d(
          Array.from({ length: samples }, (_, i) => (i * 7) % 3),
          "int32",
        ),
        3,
      ),
      "float32",
    ),
  );
  return { x, y, dispose: () => tf.dispose([x, y]) };
}

/** Bits of tensors. */
export async function bitsOf(tensors: readonly tf.Tensor[]): Promise<number[][]> {
  const values = await Promise.all(tensors.map((tensor) => tensor.data()));
  return values.map((one) => [...new Uint32Array(Float32Array.from(one).buffer)]);
}

/** Values of the variables of a model. */
export const weightsOf = (model: layers.LayersModel) =>
  bitsOf(model.trainableWeights.map((weight) => weight.read()));

export const valuesOf = async (tensor: tf.Tensor) => [...(await tensor.data())];

/** Steps each variable by −1: its gradient is 1 at the rate 1. */
export function down(optimizer: TfjsOptimizer, ...variables: tf.Variable[]): void {
  tf.tidy(() =>
    optimizer.applyGradients(Object.fromEntries(variables.map((one) => [one.name, tf.onesLike(one)]))),
  );
}
