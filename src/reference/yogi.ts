import type { ReferenceRule } from "./reference-rule.js";
import { averaged, bounded, largest, over, type Summands, sign, square, sum, times } from "./summands.js";

type YogiOptions = {
  beta1: number;
  beta2: number;
  eps: number;
  initialAccumulatorValue: number;
  initialExpAvg: number;
  biasCorrection: boolean;
  epsHat: boolean;
  l1: number;
  l2: number;
};

/** Yogi: v ← v − (1−β2)·sign(v − g²)·g², θ ← θ − ηm/(√v + ε) (Zaheer et al. 2018, algorithm 2). */
export const yogi: ReferenceRule<YogiOptions, "exp_avg" | "exp_avg_sq"> = {
  initial: ({ initialAccumulatorValue, initialExpAvg }) => ({
    exp_avg: initialExpAvg,
    exp_avg_sq: initialAccumulatorValue,
  }),
  step({ options, t, lr, parameter, gradient, state }) {
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
    const root = biasCorrection ? Math.sqrt(1 - beta2 ** t) : 1;
    const rate = biasCorrection ? lr / (1 - beta1 ** t) : lr;
    const denominator = (v: number) => (epsHat ? (Math.sqrt(v) + eps) / root : Math.sqrt(v) / root + eps);
    const change = over(times(rate, exp_avg), exp_avg_sq, denominator);
    const update = shrunk(options, parameter, change, rate / denominator(sum(exp_avg_sq)));
    return { update, state: after };
  },
};

/** What takes the parameter through the proximal step of l1 and l2 at rate h: argmin of h(l1|x| + l2x²/2) + (x − θ)²/2. */
function shrunk({ l1, l2 }: YogiOptions, parameter: number, change: Summands, h: number): Summands {
  if (l1 === 0 && l2 === 0) return change;
  const moved = [parameter, ...times(-1, change)];
  const towards = sum(moved);
  const kept =
    Math.abs(towards) > l1 * h ? [...moved, -Math.sign(towards) * l1 * h] : bounded(0, largest(moved));
  return [parameter, ...times(-1 / (1 + l2 * h), kept)];
}
