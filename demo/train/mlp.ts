import { type Array as DeviceArray, nn, numpy as np } from "@jax-js/jax";
import { normalArrays } from "./initial.js";
import { CLASSES, PIXELS } from "./mnist.js";

/** Units of the hidden layer. */
const HIDDEN = 128;

/** Two dense layers, `x·w + b`: w1 [784, 128], w2 [128, 10]. */
export type Mlp = Record<"w1" | "b1" | "w2" | "b2", DeviceArray>;

/** New parameters: He et al. 2015 before the ReLU, Glorot & Bengio 2010 before the softmax, biases zero. */
export function initialParameters(seed: number): Mlp {
  const { normal, zeros } = normalArrays(seed);
  return {
    w1: normal(Math.sqrt(2 / PIXELS), [PIXELS, HIDDEN]),
    b1: zeros([HIDDEN]),
    w2: normal(Math.sqrt(2 / (HIDDEN + CLASSES)), [HIDDEN, CLASSES]),
    b2: zeros([CLASSES]),
  };
}

export const upload = (pixels: Float32Array<ArrayBuffer>, count: number) =>
  np.array(pixels, { shape: [count, PIXELS] });

/** Of images [count, 784]. jax-js frees an array where a function takes it; `.ref` keeps it for another use. */
export const logits = ({ w1, b1, w2, b2 }: Mlp, images: DeviceArray): DeviceArray =>
  np.dot(nn.relu(np.dot(images, w1).add(b1)), w2).add(b2);
