import { ruleFactory } from "../rule.js";
import shader from "../shaders/sgd.wgsl";

/** Gradient descent. Full batch, mini-batch and single sample differ only in what the gradient averages over. */
export const sgd = /* @__PURE__ */ ruleFactory(() => ({
  name: "sgd",
  shader,
  options: {},
  formula: "θ ← θ − ηg",
  source: "Robbins & Monro 1951; PyTorch SGD",
}));
