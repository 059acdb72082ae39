import { decoupledFirst, fraction, nonNegative, ruleFactory } from "../rule.js";
import lionShader from "../shaders/sign-lion.wgsl";
import signSgdShader from "../shaders/sign-sgd.wgsl";

/** Lion: the sign of an average that looks back less far than the one it keeps. */
export const lion = /* @__PURE__ */ ruleFactory(() => ({
  name: "lion",
  shader: lionShader,
  options: { lr: nonNegative(1e-4), beta1: fraction(0.9), beta2: fraction(0.99), decay: decoupledFirst() },
  formula: "θ ← θ − η·sign(β1m + (1−β1)g), then m ← β2m + (1−β2)g",
  source: "Chen et al. 2023, algorithm 2",
  scalars: ({ beta1 }) => ({ momentum_share: beta1 / (1 - beta1) }),
}));

/** signSGD: the sign of the gradient. */
export const signSgd = /* @__PURE__ */ ruleFactory(() => ({
  name: "sign-sgd",
  shader: signSgdShader,
  options: {},
  formula: "θ ← θ − η·sign(g)",
  source: "Bernstein et al. 2018, algorithm 1",
}));

/** Signum: the sign of an average of gradients; Lion with one β. */
export const signum = /* @__PURE__ */ ruleFactory(() => ({
  name: "signum",
  shader: lionShader,
  options: { momentum: fraction(0.9) },
  formula: "m ← βm + (1−β)g, θ ← θ − η·sign(m)",
  source: "Bernstein et al. 2018, algorithm 2",
  scalars: ({ momentum }) => ({ momentum_share: momentum / (1 - momentum), beta2: momentum }),
}));
