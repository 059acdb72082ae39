import type { ReferenceRule } from "./rule.js";
import { averaged, over, sign, square, sum, times } from "./summands.js";

type YogiOptions = {
  beta1: number;
  beta2: number;
  eps: number;
  initialAccumulatorValue: number;
  initialExpAvg: number;
  biasCorrection: boolean;
  epsHat: boolean;
};

/** Yogi: v ← v − (1−β2)·sign(v − g²)·g², θ ← θ − ηm/(√v + ε) (Zaheer et al. 2018, algorithm 2). */
export const yogi: ReferenceRule<YogiOptions, "exp_avg" | "exp_avg_sq"> = {
  initial: ({ initialAccumulatorValue, initialExpAvg }) => ({
    exp_avg: initialExpAvg,
    exp_avg_sq: initialAccumulatorValue,
  }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, beta2, eps, biasCorrection, epsHat } = options;
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const squared = square(gradient);
    const direction = sign([state.exp_avg_sq, ...times(-1, squared)]);
    const move = (1 - beta2) * sum(squared);
    const exp_avg_sq = [
      state.exp_avg_sq,
      ...times((beta2 - 1) * sum(direction), squared),
      ...times(move, [...direction, -sum(direction)]),
    ];
    const after = { exp_avg, exp_avg_sq };
    if (!biasCorrection)
      return { update: over(times(lr, exp_avg), exp_avg_sq, (v) => Math.sqrt(v) + eps), state: after };
    const corrected = times(lr / (1 - beta1 ** t), exp_avg);
    const root = Math.sqrt(1 - beta2 ** t);
    const denominator = (v: number) => (epsHat ? (Math.sqrt(v) + eps) / root : Math.sqrt(v) / root + eps);
    return { update: over(corrected, exp_avg_sq, denominator), state: after };
  },
};
