import type { GuardOptions } from "../../src/index.js";

/** What f32 holds at most. */
export const NO_LIMIT = 3.4028234663852886e38;

/** Clipping in float64: by value, then each tensor by its norm, then all by their common norm. */
export function clip(
  given: readonly Float32Array[],
  {
    clipValue = NO_LIMIT,
    clipNorm = NO_LIMIT,
    clipGlobalNorm = NO_LIMIT,
    clipFormula = "pytorch",
  }: GuardOptions,
) {
  const norm = (values: readonly number[]) =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const factor = (n: number, limit: number) => {
    if (limit === NO_LIMIT) return 1;
    if (clipFormula === "optax") return n < limit ? 1 : limit / n;
    return Math.min(1, limit / (n + 1e-6));
  };
  const byTensor = given.map((values) => {
    const clamped = [...values].map((value) => Math.max(-clipValue, Math.min(clipValue, value)));
    const own = factor(norm(clamped), clipNorm);
    return clamped.map((value) => own * value);
  });
  const globalNorm = norm(byTensor.flat());
  const all = factor(globalNorm, clipGlobalNorm);
  return { values: byTensor.map((values) => values.map((value) => all * value)), globalNorm, factor: all };
}
