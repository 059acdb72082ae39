// The models of the training job, and its loop with all that a run of the transformer wants.
import { type Array as DeviceArray, lax, nn, numpy as np, tree } from "@jax-js/jax";
import { expect, test } from "vitest";
import * as cnn from "../../demo/train/cnn.js";
import { compiled, compiledGradients } from "../../demo/train/compiled.js";
import type { TrainEvent } from "../../demo/train/events.js";
import { CHARACTERS, CONTEXT, initialParameters, logits } from "../../demo/train/gpt.js";
import { gptOptions } from "../../demo/train/gpt-task.js";
import { readTrainOptions } from "../../demo/train/options.js";
import { uniformNumbers } from "../../demo/train/random.js";
import type { Task } from "../../demo/train/task.js";
import { train } from "../../demo/train/train.js";
import { useJax, valuesOf } from "../support/jax.js";
import { normals } from "../support/numbers.js";

useJax();

test("the convolutional network is two convolutions and a dense layer", async () => {
  const count = 2;
  const pixels = Float32Array.from(normals(1, count * 784));
  const parameters = cnn.initialParameters(3);
  const { conv1, conv2, dense } = parameters;
  const own = await valuesOf(cnn.logits(tree.ref(parameters), cnn.upload(pixels, count)));
  // Weights as lax.conv takes them: [out, in, rows, columns].
  const first = conv1.weight.transpose().reshape([16, 1, 5, 5]);
  const second = conv2.weight.reshape([2, 2, 16, 32]).transpose([3, 2, 0, 1]);
  const images = np.array(pixels, { shape: [count, 1, 28, 28] });
  const padding: [number, number][] = [
    [2, 1],
    [2, 1],
  ];
  const half = nn.relu(
    lax.convGeneralDilated(images, first, [2, 2], padding).add(conv1.bias.reshape([16, 1, 1])),
  );
  const quarter = nn.relu(lax.conv(half, second, [2, 2], "VALID").add(conv2.bias.reshape([32, 1, 1])));
  const flat = quarter.transpose([0, 2, 3, 1]).reshape([count, 7 * 7 * 32]);
  const expected = await valuesOf(np.dot(flat, dense.weight).add(dense.bias));
  expect(own.length).toBe(20);
  own.forEach((value, index) => {
    expect(value).toBeCloseTo(expected[index]!, 4);
  });
});

test("the transformer guesses all alike at first, and looks back only", async () => {
  const parameters = initialParameters(1);
  const compiledLogits = compiled(logits);
  const at = async (change: (characters: Int32Array) => void) => {
    const characters = Int32Array.from({ length: CONTEXT }, (_, index) => (index * 7) % CHARACTERS);
    change(characters);
    const window = np.array(characters, { shape: [1, CONTEXT], dtype: np.int32 });
    return (await compiledLogits(tree.ref(parameters), window).data()) as Float32Array;
  };
  const before = await at(() => {});
  const after = await at((characters) => {
    characters[20] = 5;
  });
  const changed = Array.from({ length: CONTEXT }, (_, place) =>
    before
      .subarray(place * CHARACTERS, (place + 1) * CHARACTERS)
      .some((v, i) => v !== after[place * CHARACTERS + i]),
  );
  expect(changed).toEqual(Array.from({ length: CONTEXT }, (_, place) => place >= 20));
  expect(Math.max(...before.map(Math.abs))).toBeLessThan(1);
  tree.dispose(parameters);
});

/** A line through points, with the transformer's options: its loop in small. */
function line(seed: number): Task<{ embedding: DeviceArray; weight: DeviceArray }> {
  const parameters = { embedding: np.array([3]), weight: np.array([[0.5], [1], [-2]]) };
  const gradients = compiledGradients((p: typeof parameters, x: DeviceArray, y: DeviceArray) =>
    np.square(np.dot(x, p.weight).add(p.embedding).sub(y)).mean(),
  );
  const uniform = uniformNumbers(~seed);
  return {
    parameters,
    optimizerOptions: gptOptions,
    microBatch: 64,
    // As many as the job thinks an epoch of this model has.
    nextEpoch: () => Uint32Array.from({ length: 2048 }, () => uniform() * 1e6),
    lossAndGradients(examples) {
      const x = Float32Array.from({ length: 3 * examples.length }, (_, i) => Math.sin(examples[i % 8]! + i));
      return gradients(
        tree.ref(parameters),
        np.array(x, { shape: [examples.length, 3] }),
        np.array(
          Array.from(
            x.filter((_, i) => i % 3 === 0),
            (value) => [value],
          ),
        ),
      );
    },
    evaluate: async () => (await valuesOf(parameters.embedding))[0]!,
    sample: async () => "a line",
  };
}

test("a run with accumulation, clipping and an average goes on with the same curve", async () => {
  const options = (epochs: number) =>
    readTrainOptions({ model: "gpt", epochs: `${epochs}`, batch: "128", schedule: "constant", lr: "0.03" });
  const run = async (epochs: number, from?: Uint8Array) => {
    const losses: number[] = [];
    const evaluated: number[] = [];
    let last: Uint8Array | undefined;
    let done: Extract<TrainEvent, { kind: "done" }> | undefined;
    const report = (event: TrainEvent) => {
      if (event.kind === "steps") losses.push(...event.losses);
      if (event.kind === "epoch") evaluated.push(event.evaluated);
      if (event.kind === "done") done = event;
    };
    const keep = async (file: Uint8Array) => {
      last = file;
    };
    await train(line(1), options(epochs), report, { from, keep });
    return { losses, evaluated, last, done };
  };
  const whole = await run(3);
  const begun = await run(1);
  const rest = await run(3, begun.last);
  expect(whole.losses.length).toBe(3 * 16);
  expect([...begun.losses, ...rest.losses]).toEqual(whole.losses);
  expect([...begun.evaluated, ...rest.evaluated]).toEqual(whole.evaluated);
  expect(rest.done?.weights).toBe(whole.done?.weights);
  expect(rest.done?.sample).toBe("a line");
  expect(whole.losses.at(-1)).toBeLessThan(whole.losses[0]! / 2);
});
