import { choice, fraction, ruleFactory } from "../rule.js";
import shader from "../shaders/momentum.wgsl";
import lookaheadShader from "../shaders/momentum-nesterov-lookahead.wgsl";

/**
 * Momentum in its four forms: `buffer` with the rate outside (PyTorch; with dampening 0 also TensorFlow 1 and
 * optax), `velocity` with the rate inside (Polyak 1964, Keras), so that a change of rate acts late, and `average`.
 */
export const momentum = /* @__PURE__ */ ruleFactory(() => ({
  name: "momentum",
  shader,
  options: {
    momentum: fraction(0.9),
    /** Of form `buffer`: b ← μb + (1 − dampening)g from the second step on. */
    dampening: { kind: "number", default: 0, min: 0, max: 1 },
    /** What b is: sums of gradients (PyTorch), of updates (Keras), or an average of gradients. */
    form: choice("buffer", "velocity", "average"),
  },
  formula:
    "buffer: b ← μb + (1−d)g, b₁ = g, θ ← θ − ηb; velocity: b ← μb + ηg, θ ← θ − b; average: b ← μb + (1−μ)g, θ ← θ − ηb",
  source: "Polyak 1964; Sutskever et al. 2013; PyTorch SGD",
  scalars: ({ momentum, dampening, form }, t, lr) => {
    if (form === "velocity") return { gradient_in: lr, buffer_out: 1, gradient_out: 0 };
    if (form === "average") return { gradient_in: 1 - momentum, buffer_out: lr, gradient_out: 0 };
    return { gradient_in: t === 1 ? 1 : 1 - dampening, buffer_out: lr, gradient_out: 0 };
  },
}));

/** Nesterov momentum in the shifted form, which needs no second point: `buffer` (PyTorch, optax) or `velocity` (Keras). */
export const nesterov = /* @__PURE__ */ ruleFactory(() => ({
  name: "nesterov",
  shader,
  options: {
    momentum: fraction(0.9),
    /** What b is: sums of gradients (PyTorch, optax), or of updates (Keras). */
    form: choice("buffer", "velocity"),
  },
  formula: "buffer: b ← μb + g, θ ← θ − η(g + μb); velocity: b ← μb + ηg, θ ← θ − (μb + ηg)",
  source:
    "Sutskever et al. 2013, eq. 3–4, shifted as in Bengio et al. 2013, sec. 3.5; PyTorch SGD, Keras SGD",
  scalars: ({ momentum, form }, _t, lr) =>
    form === "velocity"
      ? { gradient_in: lr, buffer_out: momentum, gradient_out: lr }
      : { gradient_in: 1, buffer_out: lr * momentum, gradient_out: lr },
}));

/** Nesterov momentum as printed: the gradient is taken at the look-ahead point, which `lookahead()` writes first. */
export const nesterovLookahead = /* @__PURE__ */ ruleFactory(() => ({
  name: "nesterov-lookahead",
  shader: lookaheadShader,
  options: { momentum: fraction(0.9) },
  formula: "g at θ − μb; b ← μb + ηg, θ ← θ − b",
  source: "Nesterov 1983; Sutskever et al. 2013, eq. 3–4",
}));
