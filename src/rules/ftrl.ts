import { choice, neverCautious, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/ftrl.wgsl";

/** FTRL-Proximal: follows the regularized leader of all steps so far, with an L1 that keeps parameters at zero. */
export const ftrl = /* @__PURE__ */ ruleFactory(() => ({
  name: "ftrl",
  shader,
  options: {
    cautious: neverCautious(),
    /** At a rate of 0, where the closed form has no value, nothing moves. */
    lr: nonNegative(1e-3),
    /** −p: −½ in the paper, 0 for a constant rate. */
    learningRatePower: { kind: "number", default: -0.5, min: -Infinity, max: 0 },
    initialAccumulatorValue: nonNegative(0.1),
    /** λ1 of the paper. */
    l1: nonNegative(0),
    /** Half the paper's λ2, as in TensorFlow. */
    l2: nonNegative(0),
    /** Pulls the parameter to zero by 2·l2Shrinkage·θ beside the gradient, but outside of n. */
    l2Shrinkage: nonNegative(0),
    /** β of the paper. */
    beta: nonNegative(0),
    /**
     * `proximal`: each step is held to the point where it was taken, at a rate of its own, and a gradient of zero keeps the
     * parameter, whatever rate and options are now. `keras` (TensorFlow's, too): a closed form by the rate of the step. Another
     * rate rescales the parameter, and the first step forgets where it began unless the initial accumulator is 0.
     */
    form: choice("proximal", "keras"),
  },
  formula:
    "n ← n + g², k = (β + nᵖ)/η + 2·l2, z ← z + g + 2·shrinkage·θ − (k − k₋₁)θ, θ ← (clamp(z, ±l1) − z)/k, p = −learningRatePower; keras: (nᵖ − n₋₁ᵖ)/η for k − k₋₁",
  source: "McMahan 2011; McMahan et al. 2013, algorithm 1; keras: Keras and TensorFlow Ftrl",
  absolute: ({ form }) => form === "keras",
  constants: ({ learningRatePower, form }) => ({
    square_root: learningRatePower === -0.5 ? 1 : 0,
    rescaled: form === "keras" ? 1 : 0,
  }),
  initial: ({ initialAccumulatorValue }) => ({ accumulator: initialAccumulatorValue }),
  scalars: ({ learningRatePower, l2, l2Shrinkage, beta }, _t, lr) => ({
    inverse_rate: lr === 0 ? 0 : 1 / lr,
    power: -learningRatePower,
    l2: (lr === 0 ? 0 : beta / lr) + 2 * l2,
    shrinkage: 2 * l2Shrinkage,
  }),
}));
