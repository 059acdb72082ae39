import { decoupledFirst, epsilon, flag, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/laprop.wgsl";

/** LaProp: momentum of the normalised gradient. Its memory is the average of all rates, from zero. */
export const laprop = /* @__PURE__ */ ruleFactory(() => ({
  name: "laprop",
  shader,
  options: {
    lr: nonNegative(4e-4),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: epsilon(1e-15),
    /** Whether the rate enters m, whose correction is then the average of the rates over the rate (authors' code, timm). */
    rateInside: flag(false),
    /** Whether ε stands beside √v instead of √v̂ (pytorch_optimizer). */
    epsHat: flag(false),
    decay: decoupledFirst(),
  },
  formula:
    "v of adam, m ← β1m + (1−β1)g/(√v̂ + ε), θ ← θ − η·m/(1−β1ᵗ); rateInside: m ← β1m + (1−β1)ηg/(√v̂ + ε), l ← β1l + (1−β1)η, θ ← θ − η·m/l; epsHat: √(1−β2ᵗ)·g/(√v + ε)",
  source: "Ziyin et al. 2020, algorithm 1; default rate and ε of the authors' code",
  memory: [0],
  advance: ({ beta1 }, _t, lr, [average = 0]) => [beta1 * average + (1 - beta1) * lr],
  scalars: ({ beta1, beta2, rateInside, epsHat }, t, lr, [average = 0]) => {
    const correction2 = 1 - beta2 ** t;
    // The authors' code moves by all of m at a rate of 0; here a rate of 0 moves nothing, as rates near it do.
    const weighted = average > 0 ? lr / average : 0;
    return {
      rate_in: (rateInside ? lr : 1) * (epsHat ? Math.sqrt(correction2) : 1),
      step_size: rateInside ? weighted : lr / (1 - beta1 ** t),
      inverse_bias_correction2: epsHat ? 1 : 1 / correction2,
    };
  },
}));
