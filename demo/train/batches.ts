import { type Array as DeviceArray, numpy as np } from "@jax-js/jax";
import { CLASSES, type Examples, PIXELS } from "./mnist.js";

/** Device arrays of some examples. */
export interface Batch {
  readonly count: number;
  /** [count, 784], pixels 0 to 1. */
  readonly images: DeviceArray;
  /** [count, 10], a one at the digit. */
  readonly labels: DeviceArray;
}

/** Uploads the examples at the given places. */
export function uploadBatch(examples: Examples, indices: Uint32Array): Batch {
  const count = indices.length;
  const images = new Float32Array(count * PIXELS);
  const labels = new Float32Array(count * CLASSES);
  indices.forEach((index, row) => {
    const from = index * PIXELS;
    const to = row * PIXELS;
    for (let pixel = 0; pixel < PIXELS; pixel++) images[to + pixel] = examples.images[from + pixel]! / 255;
    labels[row * CLASSES + examples.labels[index]!] = 1;
  });
  return {
    count,
    images: np.array(images, { shape: [count, PIXELS] }),
    labels: np.array(labels, { shape: [count, CLASSES] }),
  };
}
