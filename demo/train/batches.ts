import { type Array as DeviceArray, numpy as np } from "@jax-js/jax";
import { CLASSES, type Examples, PIXELS } from "./mnist.js";

/** Device arrays of some examples. */
export interface Batch {
  readonly count: number;
  /** As the model takes them, pixels 0 to 1. */
  readonly images: DeviceArray;
  /** [count, 10], a one at the digit. */
  readonly labels: DeviceArray;
}

/** Uploads pixels, 784 of each image, as a model takes them. */
export type Upload = (pixels: Float32Array<ArrayBuffer>, count: number) => DeviceArray;

/** Uploads the examples at the given places. */
export function uploadBatch(examples: Examples, indices: Uint32Array, upload: Upload): Batch {
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
    images: upload(images, count),
    labels: np.array(labels, { shape: [count, CLASSES] }),
  };
}
