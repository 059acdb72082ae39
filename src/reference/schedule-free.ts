import type { ReferenceRule } from "./reference-rule.js";
import { type Summands, square, sum, times } from "./summands.js";

type Common = { warmupSteps: number; weightDecay: number; decay: string };

/** Both sequences of Defazio et al. 2024 after a step of z, and the change from y to (1−β)z + βx. */
function sequences(beta: number, weight: number, y: number, x: number, z: Summands) {
  const average = [(1 - weight) * x, ...times(weight, z)];
  const next = [...times(1 - beta, z), ...times(beta, average)];
  // z − x and x − z are taken on the way.
  const bounds = [x, -x, sum(z), -sum(z)];
  return { update: [y, ...times(-1, next), ...bounds], z, x: [...average, ...bounds] };
}

const decoupled = ({ decay, weightDecay }: Common) => (decay === "decoupled" ? weightDecay : 0);

/** min(1, t/T), 1 without warm-up. */
const warmup = ({ warmupSteps }: Common, t: number) => Math.min(1, t / Math.max(warmupSteps, 1));

/** γ² joins the sum of weights: what an average over all steps, weighted so, gives the last one. */
const weightOf = (rate: number, total: number) => (total === 0 ? 0 : rate ** 2 / total);

/** Schedule-Free SGD (Defazio et al. 2024, eq. 2–4), with decay at y and the weights of algorithm 1. */
export const scheduleFreeSgd: ReferenceRule<Common & { momentum: number }, "z" | "x", "weight_sum"> = {
  ownDecay: true,
  initial: (_options, parameter) => ({ z: parameter, x: parameter }),
  settled: () => ({ weight_sum: 0 }),
  settle: ({ options, t, lr, settled }) => ({
    weight_sum: [settled.weight_sum, (lr * warmup(options, t)) ** 2],
  }),
  step({ options, t, lr, parameter, gradient, state, settled }) {
    const rate = lr * warmup(options, t);
    const z = [state.z, ...times(-rate, gradient), -rate * decoupled(options) * parameter];
    const weight = weightOf(rate, settled.weight_sum);
    const { update, x } = sequences(options.momentum, weight, parameter, state.x, z);
    return { update, state: { z, x } };
  },
};

type AdamwOptions = Common & { beta1: number; beta2: number; eps: number; correctedRate: boolean };

/** γ_t: η√(1−β2ᵗ) in algorithm 1, η in optax. */
const rateOf = (options: AdamwOptions, t: number, lr: number) =>
  lr * warmup(options, t) * (options.correctedRate ? Math.sqrt(1 - options.beta2 ** t) : 1);

/** Schedule-Free AdamW (Defazio et al. 2024, algorithm 1), or with v̂ of Adam in the place of its corrected rate (optax). */
export const scheduleFreeAdamw: ReferenceRule<AdamwOptions, "z" | "x" | "exp_avg_sq", "weight_sum"> = {
  ownDecay: true,
  initial: (_options, parameter) => ({ z: parameter, x: parameter, exp_avg_sq: 0 }),
  settled: () => ({ weight_sum: 0 }),
  settle: ({ options, t, lr, settled }) => ({
    weight_sum: [settled.weight_sum, rateOf(options, t, lr) ** 2],
  }),
  step({ options, t, lr, parameter, gradient, state, settled }) {
    const { beta1, beta2, eps, correctedRate } = options;
    const exp_avg_sq = [beta2 * state.exp_avg_sq, ...times(1 - beta2, square(gradient))];
    const rate = rateOf(options, t, lr);
    const v = correctedRate ? sum(exp_avg_sq) : sum(exp_avg_sq) / (1 - beta2 ** t);
    const z = [
      state.z,
      ...times(-rate / (Math.sqrt(v) + eps), gradient),
      -rate * decoupled(options) * parameter,
    ];
    const weight = weightOf(rate, settled.weight_sum);
    const { update, x } = sequences(beta1, weight, parameter, state.x, z);
    return { update, state: { z, x, exp_avg_sq } };
  },
};
