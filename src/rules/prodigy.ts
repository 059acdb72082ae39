import {
  choice,
  decoupledRate,
  epsilon,
  flag,
  fraction,
  neverCautious,
  nonNegative,
  positive,
  ruleFactory,
} from "../rule.js";
import shader from "../shaders/prodigy.wgsl";

/** Prodigy: Adam that finds its rate by itself, from how far the parameters have come. The rate is a factor on it. */
export const prodigy = /* @__PURE__ */ ruleFactory(() => ({
  name: "prodigy",
  shader,
  options: {
    cautious: neverCautious(),
    lr: nonNegative(1),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: epsilon(1e-8),
    /** Of r and s; 0 takes √β2. */
    beta3: fraction(0),
    /** First estimate of the distance: small against the real one. */
    d0: positive(1e-6),
    /** c: a factor on the estimate of the distance. */
    dCoef: positive(1),
    /** Whether η is multiplied by √(1 − β2ᵗ)/(1 − β1ᵗ), as optax does and the authors' code on request. */
    biasCorrection: flag(false),
    /** Whether s goes without the rate, which keeps a warm-up from raising the distance. */
    safeguardWarmup: flag(false),
    /** Whether ε is scaled by the distance after the step (the authors' code, optax) instead of the one before it. */
    newDistance: flag(false),
    /** `decoupled` takes ηdλθ off. */
    decay: choice("decoupled", "coupled"),
  },
  formula:
    "m ← β1m + (1−β1)dg, v ← β2v + (1−β2)d²g², r ← β3r + (1−β3)ηd²⟨g, θ₀−θ⟩, s ← β3s + (1−β3)ηd²g, θ ← θ − ηd·m/(√v + dε), d ← max(d, c·r/‖s‖₁), β3 = √β2",
  source: "Mishchenko & Defazio 2023, algorithm 4",
  scope: "all",
  ownDecay: true,
  initial: ({ d0 }) => ({ d: d0, next_d: d0, ratio: 1 }),
  scalars: (options, t, lr) => {
    const { beta1, beta2, eps, dCoef, biasCorrection, safeguardWarmup, newDistance } = options;
    const beta3 = options.beta3 || Math.sqrt(beta2);
    const rate = biasCorrection ? (lr * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t) : lr;
    return {
      rate,
      decay: decoupledRate(options, rate),
      beta3,
      numerator_in: (1 - beta3) * rate * dCoef,
      denominator_in: (1 - beta3) * (safeguardWarmup ? 1 : rate),
      eps: newDistance ? 0 : eps,
      next_eps: newDistance ? eps : 0,
    };
  },
}));
