import { type Array as DeviceArray, numpy as np } from "@jax-js/jax";
import { compiled } from "./compiled.js";

/** Parameters, both moments and the running average, a list of arrays each. */
export type AdamwState = { p: DeviceArray[]; m: DeviceArray[]; v: DeviceArray[]; average: DeviceArray[] };

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPS = 1e-8;
const WEIGHT_DECAY = 0.01;
const CLIP = 1;

/**
 * AdamW by jax-js's own operations, jitted: the mean of accumulated gradients, clipped by its global norm, with decoupled
 * decay of some arrays and a running average. The state and the gradients are consumed.
 * @param decays of each array whether it decays
 */
export function jaxAdamw(decays: readonly boolean[], microBatches: number, averageDecay: number) {
  const update = compiled(
    ({ p, m, v, average }: AdamwState, sums: DeviceArray[], scalars: DeviceArray): AdamwState => {
      const [rate, correction1, correction2] = [0, 1, 2].map((index) => scalars.ref.slice(index));
      scalars.dispose();
      const means = sums.map((sum) => sum.mul(1 / microBatches));
      const squares = means.map((g) => np.square(g.ref).sum()).reduce((a, b) => a.add(b));
      const factor = np.minimum(np.reciprocal(np.sqrt(squares).add(1e-6)).mul(CLIP), 1);
      const clipped = means.map((g) => g.mul(factor.ref));
      factor.dispose();
      const nextM = m.map((m, index) => m.mul(BETA1).add(clipped[index]!.ref.mul(1 - BETA1)));
      const nextV = v.map((v, index) => v.mul(BETA2).add(np.square(clipped[index]!).mul(1 - BETA2)));
      const nextP = p.map((p, index) => {
        const unbiased = nextM[index]!.ref.div(correction1!.ref);
        const root = np.sqrt(nextV[index]!.ref.div(correction2!.ref)).add(EPS);
        const decayed = decays[index] ? p.ref.sub(p.mul(rate!.ref.mul(WEIGHT_DECAY))) : p;
        return decayed.sub(unbiased.div(root).mul(rate!.ref));
      });
      for (const scalar of [rate, correction1, correction2]) scalar!.dispose();
      const nextAverage = average.map((a, index) =>
        a.mul(averageDecay).add(nextP[index]!.ref.mul(1 - averageDecay)),
      );
      return { p: nextP, m: nextM, v: nextV, average: nextAverage };
    },
  );
  /** @param t counts from 1 */
  return (state: AdamwState, sums: DeviceArray[], rate: number, t: number): AdamwState =>
    update(state, sums, np.array([rate, 1 - BETA1 ** t, 1 - BETA2 ** t]));
}

/** Adds gradients to their sums; both are consumed. */
export const addGradients = compiled((sums: DeviceArray[], gradients: DeviceArray[]): DeviceArray[] =>
  sums.map((sum, index) => sum.add(gradients[index]!)),
);
