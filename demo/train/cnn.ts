import { type Array as DeviceArray, lax, nn, numpy as np } from "@jax-js/jax";
import { normalArrays } from "./initial.js";
import { CLASSES } from "./mnist.js";

/** Channels after each convolution, 5 × 5 at stride 2: 28 × 28 pixels become 14 × 14 and 7 × 7. */
const CHANNELS = [8, 16] as const;
const KERNEL = 5;
const FLAT = CHANNELS[1] * 7 * 7;

/** Convolutions [out, in, 5, 5] with a bias by channel, and a dense layer. */
export type Cnn = {
  convolutions: { w: DeviceArray; b: DeviceArray }[];
  dense: { w: DeviceArray; b: DeviceArray };
};

/** New parameters: He et al. 2015 before a ReLU, Glorot & Bengio 2010 before the softmax, biases zero. */
export function initialParameters(seed: number): Cnn {
  const { normal, zeros } = normalArrays(seed);
  return {
    convolutions: CHANNELS.map((out, index) => {
      const inputs = CHANNELS[index - 1] ?? 1;
      const deviation = Math.sqrt(2 / (inputs * KERNEL * KERNEL));
      return { w: normal(deviation, [out, inputs, KERNEL, KERNEL]), b: zeros([out, 1, 1]) };
    }),
    dense: { w: normal(Math.sqrt(2 / (FLAT + CLASSES)), [FLAT, CLASSES]), b: zeros([CLASSES]) },
  };
}

/** Of images [count, 784]. */
export function logits({ convolutions, dense }: Cnn, images: DeviceArray): DeviceArray {
  const count = images.shape[0]!;
  let x = images.reshape([count, 1, 28, 28]);
  for (const { w, b } of convolutions) x = nn.relu(lax.conv(x, w, [2, 2], "SAME").add(b));
  return np.dot(x.reshape([count, FLAT]), dense.w).add(dense.b);
}
