import {
  choice,
  decoupledRate,
  epsilon,
  flag,
  fraction,
  neverCautious,
  nonNegative,
  ruleFactory,
} from "../rule.js";
import adamwShader from "../shaders/schedule-free-adamw.wgsl";
import sgdShader from "../shaders/schedule-free-sgd.wgsl";

/** Of Schedule-Free rules, which decay at y, where the gradient is taken. */
const sharedOptions = () => ({
  cautious: neverCautious(),
  /** Steps over which the rate grows from 0, in a line. */
  warmupSteps: nonNegative(0),
  decay: choice("decoupled", "coupled"),
});
const warmedUp = (lr: number, warmupSteps: number, t: number) =>
  t < warmupSteps ? (lr * t) / warmupSteps : lr;

/**
 * Schedule-Free SGD: the parameter is y, where gradients are taken; state `x` is the average to evaluate at. Its memory is
 * the sum of the average's weights γ².
 */
export const scheduleFreeSgd = /* @__PURE__ */ ruleFactory(() => ({
  name: "schedule-free-sgd",
  shader: sgdShader,
  options: { lr: nonNegative(1), momentum: fraction(0.9), ...sharedOptions() },
  formula: "g at y = θ; z ← z − γg − γλy, x ← (1−c)x + cz with c = γ²/Σγ², θ ← (1−β)z + βx",
  source: "Defazio et al. 2024, eq. 2–4, weights of algorithm 1; default rate of the authors' code",
  startsAtParameter: ["z", "x"],
  evaluate: "x",
  ownDecay: true,
  absolute: true,
  memory: [0],
  advance: ({ warmupSteps }, t, lr, [sum = 0]) => [sum + warmedUp(lr, warmupSteps, t) ** 2],
  scalars: (options, t, lr, [sum = 0]) => {
    const rate = warmedUp(lr, options.warmupSteps, t);
    return { rate, decay: decoupledRate(options, rate), weight: sum > 0 ? rate ** 2 / sum : 0 };
  },
}));

/** √(1 − β2^t), where it is part of the rate. */
const rateCorrection = (beta2: number, correctedRate: boolean, t: number) =>
  correctedRate ? Math.sqrt(1 - beta2 ** t) : 1;

/** Schedule-Free AdamW: as {@link scheduleFreeSgd}, with Adam's second moment. */
export const scheduleFreeAdamw = /* @__PURE__ */ ruleFactory(() => ({
  name: "schedule-free-adamw",
  shader: adamwShader,
  options: {
    lr: nonNegative(2.5e-3),
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    eps: epsilon(1e-8),
    /**
     * Whether √(1 − β2ᵗ) is part of the rate, and so of decay and weights, as in algorithm 1; if not, v is corrected and ε
     * stands beside √v̂ (the authors' code, optax).
     */
    correctedRate: flag(true),
    ...sharedOptions(),
  },
  formula:
    "g at y = θ; v of adam, γ = η√(1−β2ᵗ), z ← z − γg/(√v + ε) − γλy, x ← (1−c)x + cz with c = γ²/Σγ², θ ← (1−β1)z + β1x; without correctedRate: γ = η, √v̂ + ε",
  source: "Defazio et al. 2024, algorithm 1; default rate of the authors' code",
  startsAtParameter: ["z", "x"],
  evaluate: "x",
  ownDecay: true,
  absolute: true,
  memory: [0],
  advance: ({ warmupSteps, beta2, correctedRate }, t, lr, [sum = 0]) => [
    sum + (warmedUp(lr, warmupSteps, t) * rateCorrection(beta2, correctedRate, t)) ** 2,
  ],
  scalars: (options, t, lr, [sum = 0]) => {
    const { beta2, eps, correctedRate, warmupSteps } = options;
    const warmed = warmedUp(lr, warmupSteps, t);
    const root = Math.sqrt(1 - beta2 ** t);
    const rate = warmed * rateCorrection(beta2, correctedRate, t);
    return {
      // η/(√v̂ + ε) is η·root/(√v + ε·root).
      rate: warmed * root,
      decay: decoupledRate(options, rate),
      weight: sum > 0 ? rate ** 2 / sum : 0,
      eps: correctedRate ? eps : eps * root,
    };
  },
}));
