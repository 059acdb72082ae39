import { epsilon, flag, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/yogi.wgsl";

/** Yogi: Adam whose second moment changes by a bounded amount, so that the effective rate cannot jump. */
export const yogi = /* @__PURE__ */ ruleFactory(() => ({
  name: "yogi",
  shader,
  options: {
    lr: nonNegative(1e-2),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: epsilon(1e-3),
    /** First v. */
    initialAccumulatorValue: nonNegative(1e-6),
    /** First m, which optax begins like v. */
    initialExpAvg: nonNegative(0),
    /** Off in the paper's algorithm; optax and TensorFlow Addons correct. */
    biasCorrection: flag(false),
    /** With the correction, ε beside √v (TensorFlow Addons) instead of √v̂ (optax). */
    epsHat: flag(false),
    /** λ₁ of the proximal step after the update, whose rate is that of the element (TensorFlow Addons). */
    l1: nonNegative(0),
    /** λ₂ of that step. */
    l2: nonNegative(0),
  },
  formula:
    "m ← β1m + (1−β1)g, v ← v − (1−β2)·sign(v−g²)·g², θ ← θ − η·m/(√v + ε); biasCorrection: m̂, v̂ of adam; l1, l2 with h = η/(√v + ε): then θ ← sign(θ)·max(|θ| − l1·h, 0)/(1 + l2·h)",
  source: "Zaheer et al. 2018, algorithm 2; first v of TensorFlow Addons",
  constants: ({ l1, l2 }) => ({ proximal: l1 > 0 || l2 > 0 ? 1 : 0 }),
  initial: ({ initialAccumulatorValue, initialExpAvg }) => ({
    exp_avg: initialExpAvg,
    exp_avg_sq: initialAccumulatorValue,
  }),
  scalars: ({ beta1, beta2, biasCorrection, epsHat }, t, lr) => {
    const correction1 = biasCorrection ? 1 - beta1 ** t : 1;
    const correction2 = biasCorrection ? 1 - beta2 ** t : 1;
    return {
      step_size: (lr / correction1) * (epsHat ? Math.sqrt(correction2) : 1),
      inverse_bias_correction2: epsHat ? 1 : 1 / correction2,
    };
  },
}));
