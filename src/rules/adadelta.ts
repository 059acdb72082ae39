import { epsilon, fraction, nonNegative, ruleFactory } from "../rule.js";
import shader from "../shaders/adadelta.wgsl";

/** Adadelta. The paper has no rate: the default is 1. */
export const adadelta = /* @__PURE__ */ ruleFactory(() => ({
  name: "adadelta",
  shader,
  options: { lr: nonNegative(1), rho: fraction(0.9), eps: epsilon(1e-6) },
  formula: "E ← ρE + (1−ρ)g², Δ = √(X+ε)/√(E+ε)·g, X ← ρX + (1−ρ)Δ², θ ← θ − ηΔ",
  source: "Zeiler 2012, algorithm 1; PyTorch Adadelta",
}));
