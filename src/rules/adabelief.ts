import {
  decoupledFirst,
  flag,
  fraction,
  nonNegative,
  type OptionValues,
  positive,
  ruleFactory,
} from "../rule.js";
import shader from "../shaders/adabelief.wgsl";
import amsgradShader from "../shaders/adabelief-amsgrad.wgsl";
import { rectifiedRates } from "./radam.js";

const adabeliefOptions = () => ({
  beta1: fraction(0.9),
  beta2: fraction(0.999),
  /** Beside the root; the paper has one ε in both places. */
  eps: positive(1e-16),
  /** Added to s in every step. */
  epsRoot: nonNegative(1e-16),
  /** Whether the rate is rectified as in RAdam. */
  rectify: flag(false),
  decay: decoupledFirst(),
});
const scalars = (
  { beta1, beta2, rectify }: OptionValues<ReturnType<typeof adabeliefOptions>>,
  t: number,
  lr: number,
) => ({
  ...(rectify
    ? rectifiedRates(beta1, beta2, 5, t, lr)
    : { momentum_rate: 0, adaptive_rate: lr / (1 - beta1 ** t) }),
  beta1_squared: beta1 ** 2,
  inverse_bias_correction2: 1 / (1 - beta2 ** t),
});

/** AdaBelief: Adam that divides by how far the gradient is from its average; on request rectified as RAdam is. */
export const adabelief = /* @__PURE__ */ ruleFactory(() => ({
  name: "adabelief",
  shader,
  options: adabeliefOptions(),
  formula:
    "m ← β1m + (1−β1)g, s ← β2s + (1−β2)(g−m)² + ε_root, θ ← θ − η·m̂/(√ŝ + ε); rectify: rates of radam",
  source: "Zhuang et al. 2020, algorithm 2; ε of the authors' code and optax",
  scalars,
}));

/** AdaBelief with the largest s so far. */
export const adabeliefAmsgrad = /* @__PURE__ */ ruleFactory(() => ({
  name: "adabelief-amsgrad",
  shader: amsgradShader,
  options: adabeliefOptions(),
  formula: "as adabelief, with s = max(s₁ … s_t) in the quotient",
  source: "Zhuang et al. 2020 with Reddi, Kale & Kumar 2018; TensorFlow Addons AdaBelief(amsgrad=True)",
  scalars,
}));
