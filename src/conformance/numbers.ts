/** Deterministic numbers in [0, 1): mulberry32. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal values, rounded to f32. */
export function normals(seed: number, length: number, scale = 1): Float32Array {
  const next = random(seed);
  return Float32Array.from(
    { length },
    () => scale * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}

/** Gradients that differ in size by element, change sign, and shrink with the step; some are exactly zero. */
export function gradients(seed: number, step: number, length: number): Float32Array {
  const noise = normals(seed * 1000 + step, length);
  return noise.map((value, i) =>
    i % 7 === 6 && step % 3 === 0 ? 0 : value * 10 ** ((i % 5) - 2) * (1 + (i % 3)) * 0.9 ** step,
  );
}

/** The distance of neighbouring f32 values at x. */
export function ulp(x: number): number {
  const magnitude = Math.abs(x);
  // Below the smallest normal number the spacing is that of subnormals.
  if (magnitude < 2 ** -126) return 2 ** -149;
  return 2 ** (Math.floor(Math.log2(magnitude)) - 23);
}

/** Ten times a decimal number, as it would be written: 1e-6 gives 1e-5 and not 0.000009999999999999999. */
export const tenfold = (value: number): number => Number((10 * value).toPrecision(12));
