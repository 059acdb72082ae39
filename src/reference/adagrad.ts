import type { ReferenceRule } from "./reference-rule.js";
import { square, sum, times } from "./summands.js";

type AdagradOptions = { lrDecay: number; initialAccumulatorValue: number; eps: number; epsInside: boolean };

/** AdaGrad: s ← s + g², θ ← θ − ηg/(√s + ε) or ηg/√(s + ε) (Duchi, Hazan & Singer 2011, sec. 1.2). */
export const adagrad: ReferenceRule<AdagradOptions, "sum"> = {
  initial: ({ initialAccumulatorValue }) => ({ sum: initialAccumulatorValue }),
  step({ options, t, lr, gradient, state }) {
    const { lrDecay, eps, epsInside } = options;
    const accumulated = [state.sum, ...square(gradient)];
    const total = sum(accumulated);
    const denominator = epsInside ? Math.sqrt(total + eps) : Math.sqrt(total) + eps;
    const rate = lr / (1 + (t - 1) * lrDecay);
    // 0/0, with ε = 0 and no gradient yet, is no update.
    const update = denominator === 0 ? [0] : times(rate / denominator, gradient);
    return { update, state: { sum: accumulated } };
  },
};
