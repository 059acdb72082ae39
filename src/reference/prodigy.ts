import type { ReferenceRule } from "./reference-rule.js";
import { averaged, bounded, largest, over, type Summands, square, sum, times } from "./summands.js";

type ProdigyOptions = {
  beta1: number;
  beta2: number;
  beta3: number;
  eps: number;
  d0: number;
  dCoef: number;
  biasCorrection: boolean;
  safeguardWarmup: boolean;
  newDistance: boolean;
  weightDecay: number;
  decay: string;
};

/** β3, which is √β2 in the paper. */
const beta3Of = ({ beta2, beta3 }: ProdigyOptions) => (beta3 === 0 ? Math.sqrt(beta2) : beta3);

/** γ, with the correction that the authors' code takes on request. */
const rateOf = ({ beta1, beta2, biasCorrection }: ProdigyOptions, t: number, lr: number) =>
  biasCorrection ? (lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t) : lr;

/** s/d² after a step; `ratio` is d₋₁/d. */
const nextS = (
  options: ProdigyOptions,
  t: number,
  lr: number,
  ratio: number,
  s: number,
  gradient: Summands,
) =>
  averaged(
    beta3Of(options),
    ratio ** 2 * s,
    times(options.safeguardWarmup ? 1 : rateOf(options, t, lr), gradient),
  );

/**
 * Prodigy for Adam (Mishchenko & Defazio 2023, algorithm 4). `d` is that of the step just taken, `next_d` that of the one
 * after. Decoupled decay is scaled by d too, as in the authors' code. Of the paper's m, v, r and s only quotients count:
 * they are kept over the power of d that they have as a factor.
 */
export const prodigy: ReferenceRule<
  ProdigyOptions,
  "exp_avg" | "exp_avg_sq" | "s" | "displacement",
  "numerator" | "d" | "next_d" | "ratio"
> = {
  ownDecay: true,
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0, s: 0, displacement: 0 }),
  settled: ({ d0 }) => ({ numerator: 0, d: d0, next_d: d0, ratio: 1 }),
  measure({ options, t, lr, gradient, state, settled: { d, next_d } }) {
    const s = nextS(options, t, lr, d / next_d, state.s, gradient);
    return {
      numerator: times(options.dCoef * rateOf(options, t, lr) * state.displacement, gradient),
      denominator: bounded(Math.abs(sum(s)), largest(s)),
    };
  },
  settle({ options, sums, settled }) {
    const d = settled.next_d;
    const ratio = settled.d / d;
    const r = averaged(beta3Of(options), ratio ** 2 * settled.numerator, sums.numerator!);
    const estimate = sum(sums.denominator!) === 0 ? [0] : over(r, sums.denominator!, (total) => total);
    return {
      numerator: r,
      d: [d],
      next_d: bounded(Math.max(d, sum(estimate)), largest(estimate)),
      ratio: [ratio],
    };
  },
  step({ options, t, lr, parameter, gradient, state, settled: { d, next_d, ratio } }) {
    const { beta1, beta2, weightDecay, decay } = options;
    const rate = rateOf(options, t, lr) * d;
    const eps = options.newDistance ? (options.eps * next_d) / d : options.eps;
    const exp_avg = averaged(beta1, ratio * state.exp_avg, gradient);
    const exp_avg_sq = averaged(beta2, ratio ** 2 * state.exp_avg_sq, square(gradient));
    const s = nextS(options, t, lr, ratio, state.s, gradient);
    const descent = times(rate / (Math.sqrt(sum(exp_avg_sq)) + eps), exp_avg);
    const decayed = decay === "decoupled" ? rate * weightDecay * parameter : 0;
    const update = [...descent, decayed];
    const displacement = [state.displacement, ...bounded(sum(update), largest(update))];
    return { update, state: { exp_avg, exp_avg_sq, s, displacement } };
  },
};
