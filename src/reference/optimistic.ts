import type { ReferenceRule } from "./reference-rule.js";
import { averaged, bounded, largest, type Summands, square, sum, times } from "./summands.js";

type SharedOptions = { alpha: number; beta: number; before: "same" | "zero" };

/** a·x + b·(x − x₋₁), where nothing came before the first x, or what is the same (Daskalakis et al. 2018; optax). */
function optimistic(x: Summands, previous: number, a: number, b: number, isFirst: boolean): Summands {
  const last: Summands = isFirst ? x : [previous];
  return [...times(a + b, x), ...times(-b, last)];
}

/** Optimistic gradient descent: θ ← θ − η((α + β)g − βg₋₁) (Mokhtari, Ozdaglar & Pattathil 2020). */
export const optimisticSgd: ReferenceRule<SharedOptions, "previous_gradient"> = {
  initial: () => ({ previous_gradient: 0 }),
  step({ options: { alpha, beta, before }, t, lr, gradient, state }) {
    const isFirst = t === 1 && before === "same";
    const update = optimistic(gradient, state.previous_gradient, lr * alpha, lr * beta, isFirst);
    return { update, state: { previous_gradient: gradient } };
  },
};

type AdamOptions = SharedOptions & {
  beta1: number;
  beta2: number;
  eps: number;
  epsRoot: number;
  nesterov: boolean;
};

/**
 * Optimistic Adam: the same of r = m̂/(√v̂ + ε) (Daskalakis et al. 2018, algorithm 1); of optax, with ε inside the root, or
 * Nesterov's (1−β1)g/(1−β1ᵗ) + β1m/(1−β1ᵗ⁺¹) for m̂.
 */
export const optimisticAdam: ReferenceRule<AdamOptions, "exp_avg" | "exp_avg_sq" | "previous_direction"> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0, previous_direction: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { alpha, beta, before, beta1, beta2, eps, epsRoot, nesterov } = options;
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const exp_avg_sq = averaged(beta2, state.exp_avg_sq, square(gradient));
    const looked = [
      ...times((1 - beta1) / (1 - beta1 ** t), gradient),
      ...times(beta1 / (1 - beta1 ** (t + 1)), exp_avg),
    ];
    const corrected = nesterov ? looked : times(1 / (1 - beta1 ** t), exp_avg);
    const v = sum(exp_avg_sq) / (1 - beta2 ** t);
    const direction = times(1 / (Math.sqrt(v + epsRoot) + eps), corrected);
    // Kept by itself, it shows the roundings of m, v, root and quotient, which in a parameter are too small to be seen.
    const kept = bounded(sum(direction), 2 * largest(direction));
    const isFirst = t === 1 && before === "same";
    return {
      update: optimistic(direction, state.previous_direction, lr * alpha, lr * beta, isFirst),
      state: { exp_avg, exp_avg_sq, previous_direction: kept },
    };
  },
};
