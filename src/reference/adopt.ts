import type { ReferenceRule } from "./reference-rule.js";
import { averaged, largest, rounding, type Summands, square, sum, times } from "./summands.js";

type AdoptOptions = {
  beta1: number;
  beta2: number;
  eps: number;
  form: "clipped" | "unclipped" | "paper";
  clipPower: number;
  weightDecay: number;
  decay: string;
};

/** clip(x, ±most). Out of reach of rounding, what is clipped has no error. */
function clipped(x: Summands, most: number): Summands {
  const value = sum(x);
  const excess = Math.abs(value) - most;
  if (excess <= 0) return x;
  const end = Math.sign(value) * most;
  return excess > 4 * rounding * largest(x) ? [end] : [...x, end - value];
}

/**
 * ADOPT (Taniguchi et al. 2024, clipped, or as first published). Their gradient g₀, which v₀ is made of, is that of the
 * first step here; their step t is the one after.
 */
export const adopt: ReferenceRule<AdoptOptions, "exp_avg" | "exp_avg_sq"> = {
  ownDecay: true,
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  step({ options, t, lr, parameter, gradient, state }) {
    const { beta1, beta2, eps, form, clipPower, weightDecay, decay } = options;
    if (t === 1) return { update: [0], state: { exp_avg: [state.exp_avg], exp_avg_sq: square(gradient) } };
    const quotient = times(1 / Math.max(Math.sqrt(state.exp_avg_sq), eps), gradient);
    const taken = form === "clipped" ? clipped(quotient, (t - 1) ** clipPower) : quotient;
    const exp_avg = form === "paper" && t === 2 ? taken : averaged(beta1, state.exp_avg, taken);
    return {
      update: [...times(lr, exp_avg), decay === "decoupled" ? lr * weightDecay * parameter : 0],
      state: { exp_avg, exp_avg_sq: averaged(beta2, state.exp_avg_sq, square(gradient)) },
    };
  },
};
