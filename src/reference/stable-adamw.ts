import type { ElementInput, ReferenceRule } from "./reference-rule.js";
import { averaged, bounded, largest, over, square, sum, times } from "./summands.js";

type StableAdamwOptions = { beta1: number; beta2: number; eps: number; weightDecay: number; decay: string };
type Moments = "exp_avg" | "exp_avg_sq";

const secondMoment = ({ options, gradient, state }: ElementInput<StableAdamwOptions, Moments>) =>
  averaged(options.beta2, state.exp_avg_sq, square(gradient));

/**
 * StableAdamW (Wortsman et al. 2023, algorithm 2). The paper's averages have β̂ = β(1 − βᵗ⁻¹)/(1 − βᵗ): these are Adam's over
 * 1 − βᵗ, and what is kept is Adam's.
 */
export const stableAdamw: ReferenceRule<StableAdamwOptions, Moments, "slowdown"> = {
  ownDecay: true,
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  settled: () => ({ slowdown: 0 }),
  measure(input) {
    const { beta2, eps } = input.options;
    const squared = square(input.gradient);
    const divisor = (v: number) => Math.max(v / (1 - beta2 ** input.t), eps ** 2);
    return { ratios: over(squared, secondMoment(input), divisor), elements: [1] };
  },
  settle({ sums: { ratios, elements } }) {
    const mean = times(1 / sum(elements!), ratios!);
    const slowdown = 1 / Math.max(1, Math.sqrt(sum(mean)));
    return { slowdown: bounded(slowdown, (slowdown * largest(mean)) / Math.max(1, sum(mean))) };
  },
  step(input) {
    const { options, t, lr, parameter, gradient, state, settled } = input;
    const exp_avg = averaged(options.beta1, state.exp_avg, gradient);
    const exp_avg_sq = secondMoment(input);
    const rate = lr * settled.slowdown;
    const descent = over(
      times(rate / (1 - options.beta1 ** t), exp_avg),
      exp_avg_sq,
      (v) => Math.sqrt(v / (1 - options.beta2 ** t)) + options.eps,
    );
    const decayed = options.decay === "decoupled" ? rate * options.weightDecay * parameter : 0;
    return { update: [...descent, decayed], state: { exp_avg, exp_avg_sq } };
  },
};
