import { choice, decoupledRate, epsilon, flag, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/lamb.wgsl";

/** For an option whose 0 is no limit. */
const limit = (value: number) => value || 1e38;

/** LAMB: Adam with a rate of each tensor's own, by how large its parameters are beside its update. */
export const lamb = /* @__PURE__ */ ruleFactory(() => ({
  name: "lamb",
  shader,
  options: {
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: epsilon(1e-6),
    /** Joins v̂ inside the root, beside the ε outside (optax). */
    epsRoot: nonNegative(0),
    biasCorrection: flag(true),
    /** The most that ‖θ‖ counts, φ of the paper; 0 for no limit. */
    maxNorm: nonNegative(0),
    /** The largest trust; 0 for no limit. 1 in LAMBC (Fong et al. 2020) and with timm's trust_clip. */
    maxTrust: nonNegative(0),
    /** Whether a tensor has a rate of its own; biases and norms often go without. */
    adapt: flag(true),
    /** Whether decoupled decay goes before the norms (Keras) instead of into u. */
    decayFirst: flag(false),
    /** `decoupled` from the moments: λθ enters u. */
    decay: choice("decoupled", "coupled"),
  },
  formula:
    "m̂, v̂ of adam; u = m̂/(√v̂ + ε) + λθ, trust = φ(‖θ‖)/‖u‖ of the tensor, 1 where a norm is 0; θ ← θ − η·trust·u; decayFirst: θ ← θ − ηλθ, then so with λ = 0",
  source: "You et al. 2020, algorithm 2",
  ownDecay: true,
  scalars: (options, t, lr) => {
    const { beta1, beta2, biasCorrection, maxNorm, maxTrust, adapt, decayFirst } = options;
    const first = decayFirst ? decoupledRate(options, lr) : 0;
    return {
      inverse_bias_correction1: biasCorrection ? 1 / (1 - beta1 ** t) : 1,
      inverse_bias_correction2: biasCorrection ? 1 / (1 - beta2 ** t) : 1,
      decay: decayFirst ? 0 : decoupledRate(options, 1),
      decay_first: first,
      norm_kept: Math.abs(1 - first),
      max_norm: limit(maxNorm),
      max_trust: limit(maxTrust),
      adapt: Number(adapt),
    };
  },
}));
