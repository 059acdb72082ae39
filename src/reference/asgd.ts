import type { ReferenceRule } from "./reference-rule.js";
import { times } from "./summands.js";

type AsgdOptions = { lambd: number; alpha: number; t0: number };

/** Averaged SGD as PyTorch has it (Polyak & Juditsky 1992): the rate of a step was made at the end of the one before. */
export const asgd: ReferenceRule<AsgdOptions, "ax", "eta" | "next_eta"> = {
  initial: (_options, parameter) => ({ ax: parameter }),
  settled: () => ({ eta: 0, next_eta: 0 }),
  settle: ({ options: { lambd, alpha }, t, lr, settled }) => ({
    eta: [t === 1 ? lr : settled.next_eta],
    next_eta: [lr / (1 + lambd * lr * t) ** alpha],
  }),
  step({ options, t, parameter, gradient, state, settled: { eta } }) {
    const update = [options.lambd * eta * parameter, ...times(eta, gradient)];
    const next = [parameter, ...times(-1, update)];
    const mu = 1 / Math.max(1, t - 1 - options.t0);
    return { update, state: { ax: [state.ax, ...times(mu, next), -mu * state.ax] } };
  },
};
