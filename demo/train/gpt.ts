import { type Array as DeviceArray, nn, numpy as np } from "@jax-js/jax";
import { normalArrays } from "./initial.js";

/** Characters: a line feed and the 95 of printable ASCII. */
export const CHARACTERS = 96;
/** Characters that a prediction may look back on. */
export const CONTEXT = 32;
const WIDTH = 64;
const HEADS = 4;
const LAYERS = 2;

type Dense = { weight: DeviceArray; bias: DeviceArray };
type Norm = { scale: DeviceArray; shift: DeviceArray };
type Layer = {
  norm1: Norm;
  attention: { inward: Dense; outward: Dense };
  norm2: Norm;
  mlp: { inward: Dense; outward: Dense };
};

/** A decoder with layer norm before each part (Radford et al. 2019). */
export type Gpt = {
  embedding: { characters: DeviceArray; positions: DeviceArray };
  layers: Layer[];
  norm: Norm;
  head: Dense;
};

/**
 * New parameters: weights keep the variance of what they take, before a sum of all layers less by its length; the head begins
 * near zero, so that all characters are guessed alike; biases zero.
 */
export function initialParameters(seed: number): Gpt {
  const { normal, zeros, ones } = normalArrays(seed);
  const dense = (rows: number, columns: number, gain = 1): Dense => ({
    weight: normal(gain / Math.sqrt(rows), [rows, columns]),
    bias: zeros([columns]),
  });
  const norm = (): Norm => ({ scale: ones([WIDTH]), shift: zeros([WIDTH]) });
  const last = 1 / Math.sqrt(2 * LAYERS);
  return {
    embedding: {
      characters: normal(0.3, [CHARACTERS, WIDTH]),
      positions: normal(0.3, [CONTEXT, WIDTH]),
    },
    layers: Array.from({ length: LAYERS }, () => ({
      norm1: norm(),
      attention: { inward: dense(WIDTH, 3 * WIDTH), outward: dense(WIDTH, WIDTH, last) },
      norm2: norm(),
      mlp: { inward: dense(WIDTH, 2 * WIDTH), outward: dense(2 * WIDTH, WIDTH, last) },
    })),
    norm: norm(),
    head: dense(WIDTH, CHARACTERS, 0.1),
  };
}

const normalized = (x: DeviceArray, { scale, shift }: Norm) => nn.standardize(x).mul(scale).add(shift);
const times = (x: DeviceArray, { weight, bias }: Dense) => np.dot(x, weight).add(bias);

/** @param x [rows · CONTEXT, WIDTH] */
function attend(x: DeviceArray, { inward, outward }: Layer["attention"], rows: number): DeviceArray {
  const all = times(x, inward);
  const part = (index: number) =>
    all.ref.slice([], [index * WIDTH, (index + 1) * WIDTH]).reshape([rows, CONTEXT, HEADS, WIDTH / HEADS]);
  const [query, key, value] = [part(0), part(1), part(2)];
  all.dispose();
  const attended = nn.dotProductAttention(query!, key!, value!, { isCausal: true });
  return times(attended.reshape([rows * CONTEXT, WIDTH]), outward);
}

/**
 * Logits of the character after each.
 * @param characters [rows, CONTEXT], int32; consumed, as are the parameters
 * @returns [rows · CONTEXT, CHARACTERS]
 */
export function logits({ embedding, layers, norm, head }: Gpt, characters: DeviceArray): DeviceArray {
  const rows = characters.shape[0]!;
  const length = rows * CONTEXT;
  const ones = nn.oneHot(characters.reshape([length]), CHARACTERS);
  let x = np
    .dot(ones, embedding.characters)
    .reshape([rows, CONTEXT, WIDTH])
    .add(embedding.positions)
    .reshape([length, WIDTH]);
  for (const { norm1, attention, norm2, mlp } of layers) {
    x = x.ref.add(attend(normalized(x, norm1), attention, rows));
    x = x.ref.add(times(nn.gelu(times(normalized(x, norm2), mlp.inward)), mlp.outward));
  }
  return times(normalized(x, norm), head);
}

/** Cross-entropy of the character after each, mean over all. @param next as `characters`, one further */
export function loss(parameters: Gpt, characters: DeviceArray, next: DeviceArray): DeviceArray {
  const count = characters.shape[0]! * CONTEXT;
  const ones = nn.oneHot(next.reshape([count]), CHARACTERS);
  return ones
    .mul(nn.logSoftmax(logits(parameters, characters)))
    .sum()
    .mul(-1 / count);
}
