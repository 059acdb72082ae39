import type { ReferenceRule } from "./reference-rule.js";
import { bounded, largest, over, rounding, type Summands, square, sum, times } from "./summands.js";

type FtrlOptions = {
  learningRatePower: number;
  initialAccumulatorValue: number;
  l1: number;
  l2: number;
  l2Shrinkage: number;
  beta: number;
  form: "proximal" | "keras";
};

/**
 * nᵖ and what f32 makes of it. WGSL's pow is exp2(p·log2 n): with a logarithm off by 2⁻²¹ or 3 ULP, a product off by its
 * rounding, and an exp2 off by 3 + 2|p·log2 n| ULP; stated as a quarter of that error in summands, 4 ULP of which it is.
 */
function powered(n: number, p: number): Summands {
  const value = n ** p;
  if (p === 0.5 || n === 0) return [value];
  const exponent = Math.abs(p * Math.log2(n));
  const logarithm = Math.abs(p) * 2 ** -21 + 4 * rounding * 2 * exponent;
  const relative = Math.LN2 * logarithm + (3 + 2 * exponent) * 2 * rounding;
  return bounded(value, (value * relative) / (4 * rounding));
}

/**
 * FTRL-Proximal with the options of TensorFlow's Ftrl: θ minimizes z·θ + l1·|θ| + k/2·θ², where z adds up g − (k − k₋₁)θ and
 * k = (β + nᵖ)/η + 2·l2 at each step's own rate (McMahan 2011). At such a minimum z + kθ is clamp(z, ±l1), which
 * stands for both where a step begins. Keras's Ftrl keeps the growth of nᵖ over the rate of the step alone in z.
 */
export const ftrl: ReferenceRule<FtrlOptions, "accumulator" | "linear"> = {
  initial: ({ initialAccumulatorValue }) => ({ accumulator: initialAccumulatorValue, linear: 0 }),
  step({ options, lr, parameter, gradient, state }) {
    const { learningRatePower, l1, l2, l2Shrinkage, beta, form } = options;
    // The closed form has no value at a rate of 0: nothing moves.
    if (lr === 0) return { update: [0], state: { accumulator: [state.accumulator], linear: [state.linear] } };
    const p = -learningRatePower;
    const accumulator = [state.accumulator, ...square(gradient)];
    const after = powered(sum(accumulator), p);
    const curvature = [...times(1 / lr, after), beta / lr, 2 * l2];
    const clamped = (z: number) => Math.min(Math.max(z, -l1), l1);
    if (form === "proximal") {
      const held = clamped(state.linear);
      const force = [...gradient, 2 * l2Shrinkage * parameter];
      const linear = [held, ...force, ...times(-parameter, curvature)];
      const z = sum(linear);
      const result = { accumulator, linear };
      if (sum(curvature) === 0) return { update: [0], state: result };
      const change =
        z === clamped(z)
          ? [parameter, ...over(bounded(0, largest(linear)), curvature, (total) => total)]
          : over([held, -clamped(z), ...force], curvature, (total) => total);
      return { update: change, state: result };
    }
    const before = powered(state.accumulator, p);
    // Roots differ by g²/(√n + √n₋₁), which cancels nothing, not even in float64; other powers by their difference.
    const roots = sum(after) + sum(before);
    const growth = roots === 0 ? [0] : times(1 / roots, square(gradient));
    const sigma = p === 0.5 ? growth : [...after, ...times(-1, before)];
    const linear = [state.linear, ...gradient, 2 * l2Shrinkage * parameter, ...times(-parameter / lr, sigma)];
    const z = sum(linear);
    const result = { accumulator, linear };
    if (sum(curvature) === 0) return { update: [0], state: result };
    const excess: Summands =
      Math.abs(z) > l1 ? [Math.sign(z) * l1, ...times(-1, linear)] : bounded(0, largest(linear));
    const closest = over(excess, curvature, (total) => total);
    return { update: [parameter, ...times(-1, closest)], state: result };
  },
};
