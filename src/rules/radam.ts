import { epsilon, flag, fraction, type OptionValues, ruleFactory } from "../rule.js";
import shader from "../shaders/radam.wgsl";
import amsgradShader from "../shaders/radam-amsgrad.wgsl";

/**
 * The rates of a rectified Adam step: by momentum alone while ρ_t, the length of the average that v stands for, is at
 * most the threshold; then Adam's, times r_t (Liu et al. 2020, algorithm 2).
 */
export const rectifiedRates = (beta1: number, beta2: number, threshold: number, t: number, lr: number) => {
  const longest = 2 / (1 - beta2) - 1;
  const length = longest - (2 * t * beta2 ** t) / (1 - beta2 ** t);
  const rate = lr / (1 - beta1 ** t);
  if (!(length > threshold)) return { momentum_rate: rate, adaptive_rate: 0 };
  const variance = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length);
  return { momentum_rate: 0, adaptive_rate: rate * Math.sqrt(variance) };
};

const radamOptions = () => ({
  beta1: fraction(0.9),
  beta2: fraction(0.999),
  eps: epsilon(1e-8),
  /** ρ_t above which the step is Adam's: 5 in PyTorch, optax and TensorFlow Addons, 4 in the paper. */
  threshold: { kind: "number", default: 5, min: 4, max: Infinity } as const,
  /** ε beside √v (PyTorch) or, if false, beside √v̂ (optax, TensorFlow Addons). */
  epsHat: flag(true),
});
const scalars = (
  { beta1, beta2, threshold, epsHat }: OptionValues<ReturnType<typeof radamOptions>>,
  t: number,
  lr: number,
) => {
  const { momentum_rate, adaptive_rate } = rectifiedRates(beta1, beta2, threshold, t, lr);
  const correction2 = 1 - beta2 ** t;
  return {
    momentum_rate,
    adaptive_rate: epsHat ? adaptive_rate * Math.sqrt(correction2) : adaptive_rate,
    inverse_bias_correction2: epsHat ? 1 : 1 / correction2,
  };
};

/** Adam whose first steps go by momentum alone, until the second moment is worth dividing by. */
export const radam = /* @__PURE__ */ ruleFactory(() => ({
  name: "radam",
  shader,
  options: radamOptions(),
  formula:
    "moments of adam; ρ_t = ρ∞ − 2tβ2ᵗ/(1−β2ᵗ), ρ∞ = 2/(1−β2) − 1; ρ_t > threshold: θ ← θ − ηr_t·m̂·√(1−β2ᵗ)/(√v + ε), r_t² = (ρ_t−4)(ρ_t−2)ρ∞/((ρ∞−4)(ρ∞−2)ρ_t); else θ ← θ − ηm̂",
  source: "Liu et al. 2020, algorithm 2; PyTorch RAdam",
  scalars,
}));

/** RAdam with the largest second moment so far. */
export const radamAmsgrad = /* @__PURE__ */ ruleFactory(() => ({
  name: "radam-amsgrad",
  shader: amsgradShader,
  options: radamOptions(),
  formula: "as radam, with v = max(v₁ … v_t)",
  source: "Liu et al. 2020 with Reddi, Kale & Kumar 2018; TensorFlow Addons RectifiedAdam(amsgrad=True)",
  scalars,
}));
