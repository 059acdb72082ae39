import type { ReferenceRule } from "./reference-rule.js";
import { square, sum, times } from "./summands.js";

/** Adadelta: the ratio of the root mean squares of past updates and gradients is the rate (Zeiler 2012, algorithm 1). */
export const adadelta: ReferenceRule<{ rho: number; eps: number }, "square_avg" | "acc_delta"> = {
  initial: () => ({ square_avg: 0, acc_delta: 0 }),
  step({ options, lr, gradient, state }) {
    const { rho, eps } = options;
    // The squared gradients are averaged first, the squared updates last.
    const square_avg = [rho * state.square_avg, ...times(1 - rho, square(gradient))];
    const rmsUpdate = Math.sqrt(state.acc_delta + eps);
    const rmsGradient = Math.sqrt(sum(square_avg) + eps);
    const delta = times(rmsUpdate / rmsGradient, gradient);
    const acc_delta = [rho * state.acc_delta, ...times(1 - rho, square(delta))];
    return { update: times(lr, delta), state: { square_avg, acc_delta } };
  },
};
