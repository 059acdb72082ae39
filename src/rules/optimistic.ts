import { choice, epsilon, flag, fraction, nonNegative, type OptionValues, ruleFactory } from "../rule.js";
import adamShader from "../shaders/optimistic-adam.wgsl";
import sgdShader from "../shaders/optimistic-sgd.wgsl";

const sharedOptions = () => ({
  /** Weight of what is descended by. */
  alpha: nonNegative(1),
  /** Weight of its change since the step before. */
  beta: nonNegative(1),
  /** What came before the first step: the `same`, so that nothing changed (optax), or `zero` (paper). */
  before: choice("same", "zero"),
});
type Shared = OptionValues<ReturnType<typeof sharedOptions>>;
const rateOfChange = ({ beta, before }: Shared, t: number, lr: number) =>
  t === 1 && before === "same" ? 0 : lr * beta;

/** Optimistic gradient descent, for games and saddle points, which plain descent would circle. */
export const optimisticSgd = /* @__PURE__ */ ruleFactory(() => ({
  name: "optimistic-sgd",
  shader: sgdShader,
  options: sharedOptions(),
  formula: "θ ← θ − η[(α + β)g − βg₋₁], with g₀ = g₁; zero: g₀ = 0",
  source: "Daskalakis et al. 2018, eq. 5; with α and β Mokhtari, Ozdaglar & Pattathil 2020; optax",
  scalars: (options, t, lr) => ({
    rate_of_gradient: lr * options.alpha,
    rate_of_change: rateOfChange(options, t, lr),
  }),
}));

/** Optimistic Adam: the same with Adam's direction in the gradient's place. */
export const optimisticAdam = /* @__PURE__ */ ruleFactory(() => ({
  name: "optimistic-adam",
  shader: adamShader,
  options: {
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: epsilon(1e-8),
    /** Joins v̂ inside the root (optax). */
    epsRoot: nonNegative(0),
    /** Whether the direction is that of Nadam without a schedule, as optax has it by default. */
    nesterov: flag(false),
    ...sharedOptions(),
  },
  formula:
    "r = m̂/(√(v̂ + ε_root) + ε) of adam, θ ← θ − η[(α + β)r − βr₋₁], with r₀ = r₁; zero: r₀ = 0; nesterov: r of nadam, constant",
  source: "Daskalakis et al. 2018, algorithm 1; optax optimistic_adam_v2",
  scalars: (options, t, lr) => {
    const { alpha, beta1, beta2, nesterov } = options;
    return {
      rate_of_direction: lr * alpha,
      rate_of_change: rateOfChange(options, t, lr),
      momentum_in: nesterov ? beta1 / (1 - beta1 ** (t + 1)) : 1 / (1 - beta1 ** t),
      gradient_in: nesterov ? (1 - beta1) / (1 - beta1 ** t) : 0,
      inverse_bias_correction2: 1 / (1 - beta2 ** t),
    };
  },
}));
