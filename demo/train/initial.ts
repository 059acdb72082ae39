import { numpy as np } from "@jax-js/jax";
import { normalNumbers, uniformNumbers } from "./random.js";

/** Makes arrays to begin with, from one stream of numbers. */
export function normalArrays(seed: number) {
  const next = normalNumbers(uniformNumbers(seed));
  const filled = (shape: number[], value: () => number) =>
    np.array(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value), { shape });
  return {
    /** Normal numbers of mean 0. */
    normal: (deviation: number, shape: number[]) => filled(shape, () => deviation * next()),
    zeros: (shape: number[]) => filled(shape, () => 0),
    ones: (shape: number[]) => filled(shape, () => 1),
  };
}
