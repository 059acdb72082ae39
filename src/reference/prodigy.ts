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

/** s after a step at distance d. */
const nextS = (options: ProdigyOptions, t: number, lr: number, d: number, s: number, gradient: Summands) =>
  averaged(
    beta3Of(options),
    s,
    times((options.safeguardWarmup ? 1 : rateOf(options, t, lr)) * d ** 2, gradient),
  );

/**
 * Prodigy for Adam (Mishchenko & Defazio 2023, algorithm 4). `d` is that of the step just taken, `next_d` that of the one
 * after. Decoupled decay is scaled by d too, as in the authors' code.
 */
export const prodigy: ReferenceRule<
  ProdigyOptions,
  "exp_avg" | "exp_avg_sq" | "s" | "p0",
  "numerator" | "d" | "next_d"
> = {
  ownDecay: true,
  initial: (_options, parameter) => ({ exp_avg: 0, exp_avg_sq: 0, s: 0, p0: parameter }),
  settled: ({ d0 }) => ({ numerator: 0, d: d0, next_d: d0 }),
  measure({ options, t, lr, parameter, gradient, state, settled }) {
    const s = nextS(options, t, lr, settled.next_d, state.s, gradient);
    return {
      numerator: times(options.dCoef * rateOf(options, t, lr) * (state.p0 - parameter), gradient),
      denominator: bounded(Math.abs(sum(s)), largest(s)),
    };
  },
  settle({ options, sums, settled }) {
    const d = settled.next_d;
    const r = averaged(beta3Of(options), settled.numerator, times(d ** 2, sums.numerator!));
    const estimate = sum(sums.denominator!) === 0 ? [0] : over(r, sums.denominator!, (total) => total);
    return { numerator: r, d: [d], next_d: bounded(Math.max(d, sum(estimate)), largest(estimate)) };
  },
  step({ options, t, lr, parameter, gradient, state, settled: { d, next_d } }) {
    const { beta1, beta2, weightDecay, decay } = options;
    const rate = rateOf(options, t, lr);
    const eps = options.eps * (options.newDistance ? next_d : d);
    const scaled = times(d, gradient);
    const exp_avg = averaged(beta1, state.exp_avg, scaled);
    const exp_avg_sq = averaged(beta2, state.exp_avg_sq, square(scaled));
    const s = nextS(options, t, lr, d, state.s, gradient);
    const descent = times((rate * d) / (Math.sqrt(sum(exp_avg_sq)) + eps), exp_avg);
    const decayed = decay === "decoupled" ? rate * d * weightDecay * parameter : 0;
    return { update: [...descent, decayed], state: { exp_avg, exp_avg_sq, s, p0: [state.p0] } };
  },
};
