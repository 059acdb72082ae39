// A counter-based generator: the number of an index depends on seed and index alone, not on what was asked before,
// so a schedule stays a pure function of the step and resumes without saved state.

const rotations = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const two32 = 2 ** 32;

/**
 * Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): 64 random bits
 * for a key (k0, k1) and a counter (c0, c1) of 32-bit words. Both unsigned words go to `use`: a pair would be an
 * allocation at every step.
 */
export function threefry<T>(
  k0: number,
  k1: number,
  c0: number,
  c1: number,
  use: (first: number, second: number) => T,
): T {
  let key0 = k0 | 0;
  let key1 = k1 | 0;
  let key2 = 0x1bd11bda ^ key0 ^ key1;
  let x0 = ((c0 | 0) + key0) | 0;
  let x1 = ((c1 | 0) + key1) | 0;
  for (let round = 1; round <= 20; round++) {
    const rotation = rotations[(round - 1) % 8]!;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
    if (round % 4 === 0) {
      x0 = (x0 + key1) | 0;
      x1 = (x1 + key2 + round / 4) | 0;
      const used = key0;
      key0 = key1;
      key1 = key2;
      key2 = used;
    }
  }
  return use(x0 >>> 0, x1 >>> 0);
}

/** A number in [0, 1) with 53 random bits, uniform, for a seed and an index below 2⁵³. */
export function uniform(seed: number, index: number): number {
  return threefry(seed, seed / two32, index, index / two32, toUniform);
}

/** A standard normal number (Box & Muller 1958), at most 6.7 in size, for a seed and an index below 2⁵³. */
export function normal(seed: number, index: number): number {
  return threefry(seed, seed / two32, index, index / two32, toNormal);
}

function toUniform(first: number, second: number): number {
  return ((first >>> 5) * 2 ** 26 + (second >>> 6)) * 2 ** -53;
}

function toNormal(first: number, second: number): number {
  // In (0, 1], so that the logarithm is finite.
  const radius = Math.sqrt(-2 * Math.log((first + 1) / two32));
  return radius * Math.cos((2 * Math.PI * second) / two32);
}
