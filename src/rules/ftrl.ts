import { nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/ftrl.wgsl";

/**
 * FTRL-Proximal. The new parameter is a closed form of what the gradients add up to. So the first step forgets where the
 * parameter began, but for an initial accumulator of 0; zero gradients do not keep it; and another rate rescales what was
 * learnt: train it at a constant one.
 */
export const ftrl = /* @__PURE__ */ ruleFactory(() => ({
  name: "ftrl",
  shader,
  options: {
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
  },
  formula:
    "n ← n + g², z ← z + g + 2·shrinkage·θ − (nᵖ − n₋₁ᵖ)/η·θ, θ ← (clamp(z, ±l1) − z)/((β + nᵖ)/η + 2·l2), p = −learningRatePower",
  source: "McMahan et al. 2013, algorithm 1; Keras and TensorFlow Ftrl",
  absolute: true,
  constants: ({ learningRatePower }) => ({ square_root: learningRatePower === -0.5 ? 1 : 0 }),
  initial: ({ initialAccumulatorValue }) => ({ accumulator: initialAccumulatorValue }),
  scalars: ({ learningRatePower, l2, l2Shrinkage, beta }, _t, lr) => ({
    inverse_rate: lr === 0 ? 0 : 1 / lr,
    power: -learningRatePower,
    l2: (lr === 0 ? 0 : beta / lr) + 2 * l2,
    shrinkage: 2 * l2Shrinkage,
  }),
}));
