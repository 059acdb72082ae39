import type { ElementInput, ReferenceRule } from "./reference-rule.js";
import { bounded, largest, square, sum, times } from "./summands.js";

type AdamOptions = { beta1: number; beta2: number; eps: number; epsRoot: number; epsHat: boolean };
type Moments = "exp_avg" | "exp_avg_sq";

/** Both moments after the step: m ← β1m + (1−β1)g, v ← β2v + (1−β2)g². */
const moments = ({ options: { beta1, beta2 }, gradient, state }: ElementInput<AdamOptions, Moments>) => ({
  exp_avg: [beta1 * state.exp_avg, ...times(1 - beta1, gradient)],
  exp_avg_sq: [beta2 * state.exp_avg_sq, ...times(1 - beta2, square(gradient))],
});

/** 1/(√v̂ + ε), or √(1−β2ᵗ)/(√v + ε̂) (Kingma & Ba 2015, end of sec. 2); optax adds a further ε inside the root. */
function overRoot({ beta2, eps, epsRoot, epsHat }: AdamOptions, t: number, v: number): number {
  const correction2 = 1 - beta2 ** t;
  return epsHat
    ? Math.sqrt(correction2) / (Math.sqrt(v + epsRoot) + eps)
    : 1 / (Math.sqrt(v / correction2 + epsRoot) + eps);
}

/** Adam: θ ← θ − η·m̂/(√v̂ + ε) with m̂ = m/(1−β1ᵗ), v̂ = v/(1−β2ᵗ) (Kingma & Ba 2015, algorithm 1). */
export const adam: ReferenceRule<AdamOptions, Moments> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  step(input) {
    const { options, t, lr } = input;
    const state = moments(input);
    const corrected = times(1 / (1 - options.beta1 ** t), state.exp_avg);
    return { update: times(lr * overRoot(options, t, sum(state.exp_avg_sq)), corrected), state };
  },
};

/** Adam with decoupled decay; the decay is a stage around the rule (Loshchilov & Hutter 2019, algorithm 2). */
export const adamw: ReferenceRule<AdamOptions, Moments> = adam;

type AmsgradOptions = AdamOptions & { maximum: "raw" | "corrected" };

/**
 * AMSGrad: v̂ from the largest v so far (Reddi, Kale & Kumar 2018, algorithm 2, with Adam's bias correction); optax's
 * state is the largest v̂ so far.
 */
export const amsgrad: ReferenceRule<AmsgradOptions, Moments | "max_exp_avg_sq"> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0, max_exp_avg_sq: 0 }),
  step(input) {
    const { options, t, lr } = input;
    const state = moments(input);
    const unit = options.maximum === "corrected" ? 1 - options.beta2 ** t : 1;
    const candidate = times(1 / unit, state.exp_avg_sq);
    const most = Math.max(input.state.max_exp_avg_sq, sum(candidate));
    const corrected = times(1 / (1 - options.beta1 ** t), state.exp_avg);
    return {
      update: times(lr * overRoot(options, t, most * unit), corrected),
      state: { ...state, max_exp_avg_sq: bounded(most, largest(candidate)) },
    };
  },
};

type AdamaxOptions = { beta1: number; beta2: number; eps: number; epsOutside: boolean };

/**
 * AdaMax: u ← max(β2u, |g|), θ ← θ − η·m̂/u (Kingma & Ba 2015, algorithm 2); ε joins |g| as in PyTorch, or u under the
 * fraction as in Keras.
 */
export const adamax: ReferenceRule<AdamaxOptions, "exp_avg" | "exp_inf"> = {
  initial: () => ({ exp_avg: 0, exp_inf: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, beta2, eps, epsOutside } = options;
    const exp_avg = [beta1 * state.exp_avg, ...times(1 - beta1, gradient)];
    const magnitude = Math.abs(sum(gradient));
    const norm = Math.max(beta2 * state.exp_inf, epsOutside ? magnitude : magnitude + eps);
    const denominator = epsOutside ? norm + eps : norm;
    const corrected = times(1 / (1 - beta1 ** t), exp_avg);
    // 0/0, with ε = 0 and no gradient yet, is no update.
    const update = denominator === 0 ? [0] : times(lr / denominator, corrected);
    return { update, state: { exp_avg, exp_inf: bounded(norm, largest(gradient)) } };
  },
};

type NadamOptions = AdamOptions & {
  momentumDecay: number;
  form: "scheduled" | "paper" | "constant" | "shared";
};

/**
 * Nadam with the momentum schedule μ_t = β1(1 − ½·0.96^(tψ)), by which m decays too in the paper (Dozat 2016, algorithm 2)
 * and not in PyTorch's and Keras's; or with β1 in its place (optax adam with nesterov), or (β1m + (1−β1)g)/(1−β1ᵗ) as TensorFlow 1's ApplyAdam with use_nesterov.
 */
export const nadam: ReferenceRule<NadamOptions, Moments> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  step(input) {
    const { options, t, lr, gradient } = input;
    const { beta1, momentumDecay, form } = options;
    const mu = (step: number) =>
      form === "constant" ? beta1 : beta1 * (1 - 0.5 * 0.96 ** (step * momentumDecay));
    const decays = form === "paper" ? { ...options, beta1: mu(t) } : options;
    const state = moments({ ...input, options: decays });
    const scale = lr * overRoot(options, t, sum(state.exp_avg_sq));
    if (form === "shared") {
      const looked = [...times(beta1, state.exp_avg), ...times(1 - beta1, gradient)];
      return { update: times(scale / (1 - beta1 ** t), looked), state };
    }
    let product = 1;
    for (let step = 1; step <= t; step++) product *= mu(step);
    const direction = [
      ...times((1 - mu(t)) / (1 - product), gradient),
      ...times(mu(t + 1) / (1 - product * mu(t + 1)), state.exp_avg),
    ];
    return { update: times(scale, direction), state };
  },
};
