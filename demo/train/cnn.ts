import { type Array as DeviceArray, nn, numpy as np } from "@jax-js/jax";
import { normalArrays } from "./initial.js";
import { CLASSES, PIXELS } from "./mnist.js";

/** Sides in pixels of an image, of the first convolution's patches, and its stride: 28 × 28 become 14 × 14. */
const SIDE = 28;
const PATCH = 5;
const STRIDE = 2;
const HALF = SIDE / STRIDE;
const AREA = PATCH * PATCH;
/** Channels after each convolution. The second is of 2 × 2, side by side: 14 × 14 become 7 × 7. */
const CHANNELS = [16, 32] as const;
const FLAT = CHANNELS[1] * (HALF / 2) ** 2;

/**
 * Two convolutions and a dense layer. A convolution is a product of patches [places, inputs] and weights [inputs, channels]:
 * jax-js's own, lax.conv, has gradients on WebGPU, but took ten times as long here.
 */
export type Cnn = Record<"conv1" | "conv2" | "dense", { weight: DeviceArray; bias: DeviceArray }>;

/** New parameters: He et al. 2015 before a ReLU, Glorot & Bengio 2010 before the softmax, biases zero. */
export function initialParameters(seed: number): Cnn {
  const { normal, zeros } = normalArrays(seed);
  const layer = (inputs: number, outputs: number, variance: number) => ({
    weight: normal(Math.sqrt(variance), [inputs, outputs]),
    bias: zeros([outputs]),
  });
  const block = 4 * CHANNELS[0];
  return {
    conv1: layer(AREA, CHANNELS[0], 2 / AREA),
    conv2: layer(block, CHANNELS[1], 2 / block),
    dense: layer(FLAT, CLASSES, 2 / (FLAT + CLASSES)),
  };
}

/**
 * The patches of images, [count · 196, 25], with zeros around the image. Places are in the order of the second convolution's
 * blocks: block row, block column, row and column within.
 */
export function upload(pixels: Float32Array<ArrayBuffer>, count: number): DeviceArray {
  const patches = new Float32Array(count * places.length * AREA);
  let to = 0;
  for (let image = 0; image < count; image++)
    for (const { row, column } of places)
      for (let y = row; y < row + PATCH; y++)
        for (let x = column; x < column + PATCH; x++, to++)
          if (y >= 0 && y < SIDE && x >= 0 && x < SIDE) patches[to] = pixels[image * PIXELS + y * SIDE + x]!;
  return np.array(patches, { shape: [count * places.length, AREA] });
}

/** Where each patch begins. */
const places = Array.from({ length: HALF * HALF }, (_, index) => {
  const [block, within] = [index >> 2, index & 3];
  const row = 2 * Math.floor(block / (HALF / 2)) + (within >> 1);
  const column = 2 * (block % (HALF / 2)) + (within & 1);
  return { row: row * STRIDE - 2, column: column * STRIDE - 2 };
});

const layer = (x: DeviceArray, { weight, bias }: Cnn["dense"]) => np.dot(x, weight).add(bias);

/** Of {@link upload}ed images. */
export function logits({ conv1, conv2, dense }: Cnn, patches: DeviceArray): DeviceArray {
  const count = patches.shape[0]! / places.length;
  const first = nn.relu(layer(patches, conv1)).reshape([(count * HALF * HALF) / 4, 4 * CHANNELS[0]]);
  return layer(nn.relu(layer(first, conv2)).reshape([count, FLAT]), dense);
}
