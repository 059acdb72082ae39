import { flag, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/adagrad.wgsl";

/** AdaGrad, with PyTorch's decay of the rate and initial accumulator, and ε outside or inside the root. */
export const adagrad = /* @__PURE__ */ ruleFactory(() => ({
  name: "adagrad",
  shader,
  options: {
    lr: nonNegative(1e-2),
    /** The rate of step t is η / (1 + (t − 1)·lrDecay). */
    lrDecay: nonNegative(0),
    initialAccumulatorValue: nonNegative(0),
    /** 0, as in the paper, or at least 2⁻⁵⁰. */
    eps: { ...nonNegative(1e-10), least: 2 ** -50 },
    epsInside: flag(false),
  },
  formula: "s ← s + g², θ ← θ − η/(1+(t−1)·lrDecay)·g/(√s + ε), or /√(s + ε)",
  source: "Duchi, Hazan & Singer 2011, sec. 1.1; PyTorch Adagrad",
  constants: ({ epsInside }) => ({ eps_inside: epsInside ? 1 : 0 }),
  initial: ({ initialAccumulatorValue }) => ({ sum: initialAccumulatorValue }),
  scalars: ({ lrDecay }, t, lr) => ({ rate: lr / (1 + (t - 1) * lrDecay) }),
}));
