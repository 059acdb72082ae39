import { type Array as DeviceArray, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import { CLASSES, PIXELS } from "./mnist.js";
import { normalNumbers, uniformNumbers } from "./random.js";

/** Units of the hidden layer. */
const HIDDEN = 128;

/** Shapes of the parameters: two dense layers, `x·w + b`. */
export const shapes = {
  w1: [PIXELS, HIDDEN],
  b1: [HIDDEN],
  w2: [HIDDEN, CLASSES],
  b2: [CLASSES],
} as const;

/** A parameter's name. */
export type ParameterName = keyof typeof shapes;
/** Names of the parameters, in order. */
export const parameterNames = Object.keys(shapes) as ParameterName[];
/** One device array for each parameter: the parameters themselves, or their gradients. */
export type Parameters = Record<ParameterName, DeviceArray>;

/** Loss and gradients of a batch. */
export interface LossAndGradients {
  readonly loss: DeviceArray;
  readonly gradients: Parameters;
}

/** New parameters: He et al. 2015 before the ReLU, Glorot & Bengio 2010 before the softmax, biases zero. */
export function initialParameters(seed: number): Parameters {
  const normal = normalNumbers(uniformNumbers(seed));
  const weights = (deviation: number, [rows, columns]: readonly [number, number]): DeviceArray => {
    const values = Float32Array.from({ length: rows * columns }, () => deviation * normal());
    return np.array(values, { shape: [rows, columns] });
  };
  const zeros = (length: number) => np.array(new Float32Array(length), { shape: [length] });
  return {
    w1: weights(Math.sqrt(2 / PIXELS), shapes.w1),
    b1: zeros(HIDDEN),
    w2: weights(Math.sqrt(2 / (HIDDEN + CLASSES)), shapes.w2),
    b2: zeros(CLASSES),
  };
}

// jax-js frees an array where a function takes it; `.ref` keeps it for another use.
const logits = ({ w1, b1, w2, b2 }: Parameters, images: DeviceArray): DeviceArray =>
  np.dot(nn.relu(np.dot(images, w1).add(b1)), w2).add(b2);

/** Softmax cross-entropy, mean over the batch, for labels as rows of zeros and a one. */
const crossEntropy = (parameters: Parameters, images: DeviceArray, labels: DeviceArray): DeviceArray => {
  const count = images.shape[0] ?? 1;
  return labels
    .mul(nn.logSoftmax(logits(parameters, images)))
    .sum()
    .mul(-1 / count);
};

const compiledLogits = jit(logits);
const compiledProbabilities = jit((parameters: Parameters, images: DeviceArray) =>
  nn.softmax(logits(parameters, images)),
);
const compiledLossAndGradients = jit(valueAndGrad(crossEntropy));

/** Loss and gradients at the parameters, which stay the caller's; images and labels are consumed. */
export function lossAndGradients(
  parameters: Parameters,
  images: DeviceArray,
  labels: DeviceArray,
): LossAndGradients {
  const [loss, gradients] = compiledLossAndGradients(tree.ref(parameters), images, labels);
  return { loss, gradients };
}

/** The classes that each of the gradients below is of. */
const classes = () =>
  Array.from({ length: CLASSES }, (_, own) =>
    np.array(
      Float32Array.from({ length: CLASSES }, (_, k) => Number(k === own)),
      { shape: [1, CLASSES] },
    ),
  );

/**
 * Gradients of the outputs whose squares add up to the Fisher information, one a class: √n · mean of ±√p·∇log p, where p is
 * the model's own probability of the class. The signs of examples are drawn, so that products of two examples add nothing on
 * average. The images are consumed.
 * @param sign of each example, 1 or −1
 */
export function outputGradients(
  parameters: Parameters,
  images: DeviceArray,
  sign: Float32Array,
): Parameters[] {
  const count = sign.length;
  const probability = compiledProbabilities(tree.ref(parameters), images.ref);
  const signs = np.array(
    sign.map((one) => one * Math.sqrt(count)),
    { shape: [count, 1] },
  );
  const weights = np.sqrt(probability).mul(signs);
  const gradients = classes().map((own) => {
    const { loss, gradients } = lossAndGradients(parameters, images.ref, weights.ref.mul(own));
    loss.dispose();
    return gradients;
  });
  weights.dispose();
  images.dispose();
  return gradients;
}

/** Logits of some images, on the CPU; the images are consumed. */
export async function predict(parameters: Parameters, images: DeviceArray): Promise<Float32Array> {
  const data = await compiledLogits(tree.ref(parameters), images).data();
  if (!(data instanceof Float32Array)) throw new TypeError("The logits are not float32.");
  return data;
}
