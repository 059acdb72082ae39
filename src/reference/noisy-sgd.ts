import type { ReferenceRule, WholeInput } from "./reference-rule.js";
import { bounded, type Summands, times } from "./summands.js";

type NoisySgdOptions = { eta: number; gamma: number; seed: number };

type Words = readonly [number, number, number, number];

/** Philox4x32 of ten rounds: four words from a counter of four and a key of two (Salmon et al. 2011). */
export function philox(counter: Words, key: readonly [number, number]): Words {
  const word = (value: bigint) => BigInt.asUintN(32, value);
  let [a, b, c, d] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  for (let round = 0; round < 10; round += 1) {
    const first = 0xd2511f53n * a;
    const second = 0xcd9e8d57n * c;
    [a, b, c, d] = [(second >> 32n) ^ b ^ k0, word(second), (first >> 32n) ^ d ^ k1, word(first)];
    [k0, k1] = [word(k0 + 0x9e3779b9n), word(k1 + 0xbb67ae85n)];
  }
  return [Number(a), Number(b), Number(c), Number(d)];
}

/** 32-bit FNV-1a. */
const hash = (name: string): number =>
  Number(
    [...new TextEncoder().encode(name)].reduce(
      (value, byte) => BigInt.asUintN(32, (value ^ BigInt(byte)) * 16777619n),
      2166136261n,
    ),
  );

/** Two normal values of two words (Box & Muller 1958): of the first 24 bits from the leading one on count, of the second 24. */
function normals(first: number, second: number): readonly [number, number] {
  const lost = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(first, 1))) - 23);
  const uniform = Math.max(Math.floor(first / lost) * lost, 1) / 2 ** 32;
  const radius = Math.sqrt(-2 * Math.log(uniform));
  const angle = (2 * Math.PI * Math.floor(second / 256)) / 2 ** 24;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** θ ← θ − η(g + n) with n normal of variance eta/(1 + t)^γ at step t from 0 (Neelakantan et al. 2015). */
export const noisySgd: ReferenceRule<NoisySgdOptions> = {
  initial: () => ({}),
  direct({ options: { eta, gamma, seed }, t, name = "", gradients }: WholeInput<NoisySgdOptions>) {
    const deviation = Math.sqrt(eta / t ** gamma);
    const key = hash(name);
    const directions = gradients.map((gradient, element): Summands => {
      const words = philox([Math.floor(element / 4), key, t % 2 ** 32, 0], [seed, 0]);
      const pair = element % 4 < 2 ? normals(words[0], words[1]) : normals(words[2], words[3]);
      const noise = deviation * pair[element % 2]!;
      // Radius, angle and their functions are rounded a dozen times.
      return [...gradient, ...bounded(noise, 4 * Math.abs(noise))];
    });
    return { directions, arrays: {} };
  },
  step: ({ lr, gradient }) => ({ update: times(lr, gradient), state: {} }),
};
