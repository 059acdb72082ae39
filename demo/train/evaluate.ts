import type { Array as DeviceArray } from "@jax-js/jax";
import { type Upload, uploadBatch } from "./batches.js";
import { CLASSES, type Examples } from "./mnist.js";

/** Rows of one evaluation; they divide the test set. */
const ROWS = 1_000;

/**
 * Part (0 to 1) of the examples whose largest logit is that of their label.
 * @param predict gives the logits of some images, on the CPU; the images are consumed
 */
export async function accuracy(
  predict: (images: DeviceArray) => Promise<Float32Array>,
  examples: Examples,
  upload: Upload,
): Promise<number> {
  let right = 0;
  for (let start = 0; start < examples.count; start += ROWS) {
    const rows = Math.min(ROWS, examples.count - start);
    const indices = Uint32Array.from({ length: rows }, (_, row) => start + row);
    const { images, labels } = uploadBatch(examples, indices, upload);
    labels.dispose();
    // The largest logit is sought here: on a software adapter the argmax of 1 024 rows or more never ends.
    const logits = await predict(images);
    for (let row = 0; row < rows; row++)
      if (argmax(logits, row * CLASSES) === examples.labels[start + row]) right++;
  }
  return right / examples.count;
}

function argmax(logits: Float32Array, start: number): number {
  let best = 0;
  for (let digit = 1; digit < CLASSES; digit++)
    if (logits[start + digit]! > logits[start + best]!) best = digit;
  return best;
}
