import type { ReferenceRule } from "./reference-rule.js";
import { averaged, sign, times } from "./summands.js";

/** Lion: θ ← θ − η·sign(β1m + (1−β1)g), then m ← β2m + (1−β2)g (Chen et al. 2023, algorithm 2). */
export const lion: ReferenceRule<{ beta1: number; beta2: number }, "exp_avg"> = {
  initial: () => ({ exp_avg: 0 }),
  step: ({ options: { beta1, beta2 }, lr, gradient, state }) => ({
    update: times(lr, sign(averaged(beta1, state.exp_avg, gradient))),
    state: { exp_avg: averaged(beta2, state.exp_avg, gradient) },
  }),
};

/** signSGD: θ ← θ − η·sign(g) (Bernstein et al. 2018, algorithm 1). */
export const signSgd: ReferenceRule<object, never> = {
  initial: () => ({}),
  step: ({ lr, gradient }) => ({ update: times(lr, sign(gradient)), state: {} }),
};

/** Signum: m ← βm + (1−β)g, θ ← θ − η·sign(m) (Bernstein et al. 2018, algorithm 2). */
export const signum: ReferenceRule<{ momentum: number }, "exp_avg"> = {
  initial: () => ({ exp_avg: 0 }),
  step({ options, lr, gradient, state }) {
    const exp_avg = averaged(options.momentum, state.exp_avg, gradient);
    return { update: times(lr, sign(exp_avg)), state: { exp_avg } };
  },
};
