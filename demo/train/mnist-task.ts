import { type Array as DeviceArray, nn, numpy as np, tree } from "@jax-js/jax";
import { type Upload, uploadBatch } from "./batches.js";
import * as cnn from "./cnn.js";
import { compiled, compiledGradients } from "./compiled.js";
import { accuracy } from "./evaluate.js";
import * as mlp from "./mlp.js";
import { CLASSES, type Mnist } from "./mnist.js";
import { shuffle, uniformNumbers } from "./random.js";
import { groupsOf } from "./rules.js";
import type { LossAndGradients, Task, Tree } from "./task.js";

/** Examples in a micro-batch of a full batch. */
const MICRO_BATCH = 1_000;

/** A classifier of images. */
interface Classifier<T extends Tree> {
  initialParameters(seed: number): T;
  readonly upload: Upload;
  /** @param images as uploaded; consumed, as are the parameters */
  logits(parameters: T, images: DeviceArray): DeviceArray;
}

/** Makes the task of learning MNIST. @param whole whether a batch holds all examples */
export function mnistTask(model: "mlp" | "cnn", mnist: Mnist, seed: number, whole: boolean): Task {
  return model === "cnn" ? taskOf(cnn, mnist, seed, whole) : taskOf(mlp, mnist, seed, whole);
}

function taskOf<T extends Tree>(
  { initialParameters, upload, logits }: Classifier<T>,
  { training, test }: Mnist,
  seed: number,
  whole: boolean,
): Task<T> {
  /** Softmax cross-entropy, mean over the batch, for labels as rows of zeros and a one. */
  const crossEntropy = (parameters: T, images: DeviceArray, labels: DeviceArray): DeviceArray => {
    const count = labels.shape[0] ?? 1;
    return labels
      .mul(nn.logSoftmax(logits(parameters, images)))
      .sum()
      .mul(-1 / count);
  };
  const compiledLogits = compiled(logits);
  const compiledProbabilities = compiled((parameters: T, images: DeviceArray) =>
    nn.softmax(logits(parameters, images)),
  );
  const compiledLossAndGradients = compiledGradients(crossEntropy);

  const parameters = initialParameters(seed);
  /** Images and labels are consumed. */
  const lossAndGradients = (images: DeviceArray, labels: DeviceArray): LossAndGradients<T> =>
    compiledLossAndGradients(tree.ref(parameters), images, labels);

  // Another stream than the initialization's, so that the order does not follow from the weights.
  const uniform = uniformNumbers(~seed);
  const order = Uint32Array.from({ length: training.count }, (_, index) => index);
  return {
    parameters,
    optimizerOptions: (rule) => ({ groups: groupsOf(rule) }),
    microBatch: whole ? MICRO_BATCH : training.count,
    nextEpoch() {
      // Each order follows from the one before.
      shuffle(order, uniform);
      return order;
    },
    lossAndGradients(examples) {
      const { images, labels } = uploadBatch(training, examples, upload);
      return lossAndGradients(images, labels);
    },
    /**
     * Gradients of the outputs whose squares add up to the Fisher information, one a class: √n · mean of ±√p·∇log p, where p is
     * the model's own probability of the class. The signs of examples are drawn, so that products of two examples add nothing on
     * average.
     */
    outputGradients(examples, seed) {
      const some = examples.subarray(0, MICRO_BATCH);
      const { images, labels } = uploadBatch(training, some, upload);
      labels.dispose();
      const sign = uniformNumbers(seed);
      const signs = np.array(
        Float32Array.from(some, () => (sign() < 0.5 ? -1 : 1) * Math.sqrt(some.length)),
        { shape: [some.length, 1] },
      );
      const probability = compiledProbabilities(tree.ref(parameters), images.ref);
      const weights = np.sqrt(probability).mul(signs);
      const gradients = classes().map((own) => {
        const { loss, gradients } = lossAndGradients(images.ref, weights.ref.mul(own));
        loss.dispose();
        return gradients;
      });
      weights.dispose();
      images.dispose();
      return gradients;
    },
    async evaluate() {
      const predict = async (images: DeviceArray) => {
        const data = await compiledLogits(tree.ref(parameters), images).data();
        if (!(data instanceof Float32Array)) throw new TypeError("The logits are not float32.");
        return data;
      };
      return await accuracy(predict, test, upload);
    },
  };
}

/** The classes that each gradient of an output is of. */
const classes = () =>
  Array.from({ length: CLASSES }, (_, own) =>
    np.array(
      Float32Array.from({ length: CLASSES }, (_, k) => Number(k === own)),
      { shape: [1, CLASSES] },
    ),
  );
