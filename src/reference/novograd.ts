import type { ReferenceRule } from "./reference-rule.js";
import { averaged, square, times } from "./summands.js";

type NovogradOptions = {
  beta1: number;
  beta2: number;
  eps: number;
  gradientAveraging: boolean;
  weightDecay: number;
  decay: string;
};

/** NovoGrad: m ← β1m + (g/(√v + ε) + λθ) with v an average of ‖g‖² of the tensor (Ginsburg et al. 2019, algorithm 1). */
export const novograd: ReferenceRule<NovogradOptions, "exp_avg", "exp_avg_sq"> = {
  ownDecay: true,
  initial: () => ({ exp_avg: 0 }),
  settled: () => ({ exp_avg_sq: 0 }),
  measure: ({ gradient }) => ({ squares: square(gradient) }),
  settle: ({ options: { beta2 }, t, sums, settled }) => ({
    exp_avg_sq: t === 1 ? sums.squares! : averaged(beta2, settled.exp_avg_sq, sums.squares!),
  }),
  step({ options, t, lr, parameter, gradient, state, settled }) {
    const { beta1, eps, gradientAveraging, weightDecay, decay } = options;
    const direction = [
      ...times(1 / (Math.sqrt(settled.exp_avg_sq) + eps), gradient),
      decay === "decoupled" ? weightDecay * parameter : 0,
    ];
    const exp_avg = [beta1 * state.exp_avg, ...times(gradientAveraging && t > 1 ? 1 - beta1 : 1, direction)];
    return { update: times(lr, exp_avg), state: { exp_avg } };
  },
};
