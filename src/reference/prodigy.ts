import type { ReferenceRule } from "./rule.js";
import { averaged, bounded, largest, over, square, sum, times } from "./summands.js";

type ProdigyOptions = {
  beta1: number;
  beta2: number;
  eps: number;
  d0: number;
  weightDecay: number;
  decay: string;
};

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
  measure({ options, lr, parameter, gradient, state, settled }) {
    const s = averaged(Math.sqrt(options.beta2), state.s, times(lr * settled.next_d ** 2, gradient));
    return {
      numerator: times(state.p0 - parameter, gradient),
      denominator: bounded(Math.abs(sum(s)), largest(s)),
    };
  },
  settle({ options, lr, sums, settled }) {
    const d = settled.next_d;
    const r = averaged(Math.sqrt(options.beta2), settled.numerator, times(lr * d ** 2, sums.numerator!));
    const estimate = sum(sums.denominator!) === 0 ? [0] : over(r, sums.denominator!, (total) => total);
    return { numerator: r, d: [d], next_d: bounded(Math.max(d, sum(estimate)), largest(estimate)) };
  },
  step({ options, lr, parameter, gradient, state, settled: { d } }) {
    const { beta1, beta2, eps, weightDecay, decay } = options;
    const scaled = times(d, gradient);
    const exp_avg = averaged(beta1, state.exp_avg, scaled);
    const exp_avg_sq = averaged(beta2, state.exp_avg_sq, square(scaled));
    const s = averaged(Math.sqrt(beta2), state.s, times(lr * d ** 2, gradient));
    const descent = times((lr * d) / (Math.sqrt(sum(exp_avg_sq)) + d * eps), exp_avg);
    const decayed = decay === "decoupled" ? lr * d * weightDecay * parameter : 0;
    return { update: [...descent, decayed], state: { exp_avg, exp_avg_sq, s, p0: [state.p0] } };
  },
};
