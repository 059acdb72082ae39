import type { ElementInput, ReferenceRule } from "./rule.js";
import { bounded, largest, square, sum, times } from "./summands.js";

type AdamOptions = { beta1: number; beta2: number; eps: number };
type Moments = "exp_avg" | "exp_avg_sq";

/** Both moments after the step: m ← β1m + (1−β1)g, v ← β2v + (1−β2)g². */
const moments = ({ options: { beta1, beta2 }, gradient, state }: ElementInput<AdamOptions, Moments>) => ({
  exp_avg: [beta1 * state.exp_avg, ...times(1 - beta1, gradient)],
  exp_avg_sq: [beta2 * state.exp_avg_sq, ...times(1 - beta2, square(gradient))],
});

/** Adam: θ ← θ − η·m̂/(√v̂ + ε) with m̂ = m/(1−β1ᵗ), v̂ = v/(1−β2ᵗ) (Kingma & Ba 2015, algorithm 1). */
export const adam: ReferenceRule<AdamOptions, Moments> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  step(input) {
    const { options, t, lr } = input;
    const state = moments(input);
    const corrected = times(1 / (1 - options.beta1 ** t), state.exp_avg);
    const second = sum(state.exp_avg_sq) / (1 - options.beta2 ** t);
    return { update: times(lr / (Math.sqrt(second) + options.eps), corrected), state };
  },
};

/** Adam with decoupled decay; the decay is a stage around the rule (Loshchilov & Hutter 2019, algorithm 2). */
export const adamw: ReferenceRule<AdamOptions, Moments> = adam;

/** AMSGrad: v̂ from the largest v so far (Reddi, Kale & Kumar 2018, algorithm 2, with Adam's bias correction). */
export const amsgrad: ReferenceRule<AdamOptions, Moments | "max_exp_avg_sq"> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0, max_exp_avg_sq: 0 }),
  step(input) {
    const { options, t, lr } = input;
    const state = moments(input);
    const most = Math.max(input.state.max_exp_avg_sq, sum(state.exp_avg_sq));
    const corrected = times(1 / (1 - options.beta1 ** t), state.exp_avg);
    const second = most / (1 - options.beta2 ** t);
    return {
      update: times(lr / (Math.sqrt(second) + options.eps), corrected),
      state: { ...state, max_exp_avg_sq: bounded(most, largest(state.exp_avg_sq)) },
    };
  },
};

/** AdaMax: u ← max(β2u, |g|), θ ← θ − η·m̂/u (Kingma & Ba 2015, algorithm 2); ε joins |g| as in PyTorch. */
export const adamax: ReferenceRule<AdamOptions, "exp_avg" | "exp_inf"> = {
  initial: () => ({ exp_avg: 0, exp_inf: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, beta2, eps } = options;
    const exp_avg = [beta1 * state.exp_avg, ...times(1 - beta1, gradient)];
    const norm = Math.max(beta2 * state.exp_inf, Math.abs(sum(gradient)) + eps);
    const corrected = times(1 / (1 - beta1 ** t), exp_avg);
    // 0/0, with ε = 0 and no gradient yet, is no update.
    const update = norm === 0 ? [0] : times(lr / norm, corrected);
    return { update, state: { exp_avg, exp_inf: bounded(norm, largest(gradient)) } };
  },
};

type NadamOptions = AdamOptions & { momentumDecay: number };

/** Nadam (Dozat 2016, algorithm 2), with the momentum schedule μ_t = β1(1 − ½·0.96^(tψ)). */
export const nadam: ReferenceRule<NadamOptions, Moments> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  step(input) {
    const { options, t, lr, gradient } = input;
    const mu = (step: number) => options.beta1 * (1 - 0.5 * 0.96 ** (step * options.momentumDecay));
    let product = 1;
    for (let step = 1; step <= t; step++) product *= mu(step);
    const state = moments(input);
    const direction = [
      ...times((1 - mu(t)) / (1 - product), gradient),
      ...times(mu(t + 1) / (1 - product * mu(t + 1)), state.exp_avg),
    ];
    const second = sum(state.exp_avg_sq) / (1 - options.beta2 ** t);
    return { update: times(lr / (Math.sqrt(second) + options.eps), direction), state };
  },
};
