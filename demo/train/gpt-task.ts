import { type Array as DeviceArray, numpy as np, tree } from "@jax-js/jax";
import { adamw, type Rule } from "../../src/index.js";
import { compareSteps } from "./compare.js";
import { compiled, compiledGradients } from "./compiled.js";
import { CHARACTERS, CONTEXT, type Gpt, initialParameters, logits, loss } from "./gpt.js";
import { models } from "./models.js";
import type { TrainOptions } from "./options.js";
import { uniformNumbers } from "./random.js";
import { groupsOf } from "./rules.js";
import type { LossAndGradients, Task } from "./task.js";
import { toCharacters, toText } from "./text.js";

/** Windows in one computation. */
const MICRO_BATCH = 4;
const AVERAGE_DECAY = 0.98;
/** Part of the text that is not trained on. */
const VALIDATION = 0.1;
/** Windows of an evaluation. */
const EVALUATED = 128;
const EVALUATED_AT_ONCE = 32;
/** Characters of a sample, and how it begins. */
const SAMPLE = 240;
const PROMPT = "\nThe ";
/** Logits are divided by it before a sample is drawn. */
const TEMPERATURE = 0.7;

const lossAndGradients = compiledGradients(loss);
const compiledLoss = compiled(loss);
const compiledLogits = compiled(logits);

/** Of biases, norms and embeddings: they do not decay. */
const PLAIN = /bias|norm|embedding/;

/** Options of the optimizer: groups without decay, clipping by the global norm, a running average. */
export function gptOptions(rule: Rule) {
  const { weightDecay } = rule.options as { weightDecay?: number };
  return {
    groups: [
      {
        match: PLAIN,
        // Rules over matrices are not meant for embeddings, and take no vectors.
        rule: rule.row.whole ? adamw({ lr: rule.options.lr }) : rule,
        ...((rule.row.whole || weightDecay !== undefined) && { weightDecay: 0 }),
      },
      ...groupsOf(rule),
    ],
    guards: { clipGlobalNorm: 1 },
    average: { decay: AVERAGE_DECAY, warmup: true },
  };
}

/** Makes the task of learning the next character of a text. */
export function gptTask(text: Uint8Array, seed: number): Task<Gpt> {
  const trained = Math.floor(text.length * (1 - VALIDATION));
  const parameters = initialParameters(seed);
  // Another stream than the initialization's, so that the windows do not follow from the weights.
  const uniform = uniformNumbers(~seed);
  const windows = (starts: ArrayLike<number>) => [upload(text, starts, 0), upload(text, starts, 1)] as const;
  const gradientsAt = (parameters: Gpt, starts: Uint32Array): LossAndGradients<Gpt> =>
    lossAndGradients(tree.ref(parameters), ...windows(starts));
  return {
    parameters,
    optimizerOptions: gptOptions,
    microBatch: MICRO_BATCH,
    nextEpoch: () =>
      Uint32Array.from({ length: models.gpt.examples }, () => Math.floor(uniform() * (trained - CONTEXT))),
    lossAndGradients: (starts) => gradientsAt(parameters, starts),
    async evaluate() {
      const room = text.length - trained - CONTEXT - 1;
      const starts = Array.from({ length: EVALUATED }, (_, index) =>
        Math.floor(trained + (index * room) / EVALUATED),
      );
      let sum = 0;
      for (let from = 0; from < EVALUATED; from += EVALUATED_AT_ONCE) {
        const some = starts.slice(from, from + EVALUATED_AT_ONCE);
        const [value] = await compiledLoss(tree.ref(parameters), ...windows(some)).data();
        sum += Number(value) * some.length;
      }
      return sum / EVALUATED;
    },
    async sample() {
      const written = [...toCharacters(PROMPT)];
      const drawn = uniformNumbers(seed);
      while (written.length < SAMPLE) {
        const seen = written.slice(-CONTEXT);
        const window = upload(
          Uint8Array.from({ length: CONTEXT }, (_, index) => seen[index] ?? 0),
          [0],
          0,
        );
        const data = await compiledLogits(tree.ref(parameters), window).data();
        const start = (seen.length - 1) * CHARACTERS;
        written.push(draw(data.slice(start, start + CHARACTERS) as Float32Array, drawn()));
      }
      return toText(written).trim();
    },
    compare: (options: TrainOptions) =>
      compareSteps(options, {
        initial: () => initialParameters(seed),
        starts: () =>
          Uint32Array.from({ length: MICRO_BATCH }, () => Math.floor(uniform() * (trained - CONTEXT))),
        lossAndGradients: gradientsAt,
        optimizerOptions: gptOptions,
        decays: (path) => !PLAIN.test(path),
        microBatch: MICRO_BATCH,
        averageDecay: AVERAGE_DECAY,
      }),
  };
}

/** Characters from some places on, [rows, CONTEXT]. */
function upload(text: Uint8Array, starts: ArrayLike<number>, ahead: number): DeviceArray {
  const rows = starts.length;
  const characters = new Int32Array(rows * CONTEXT);
  for (let row = 0; row < rows; row++)
    characters.set(text.subarray(starts[row]! + ahead, starts[row]! + ahead + CONTEXT), row * CONTEXT);
  return np.array(characters, { shape: [rows, CONTEXT], dtype: np.int32 });
}

/** A character by its probability. @param point 0 to 1 */
function draw(logits: Float32Array, point: number): number {
  const most = Math.max(...logits);
  const weights = Array.from(logits, (logit) => Math.exp((logit - most) / TEMPERATURE));
  let rest = point * weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = weights.findIndex((weight) => {
    rest -= weight;
    return rest < 0;
  });
  return Math.max(0, drawn);
}
