import type { ReferenceRule } from "./rule.js";
import { averaged, square, sum, times } from "./summands.js";

type RadamOptions = { beta1: number; beta2: number; eps: number; threshold: number; epsHat: boolean };

/** r_t of Liu et al. 2020, algorithm 2; undefined while ρ_t is no more than the threshold. */
export function rectification(beta2: number, threshold: number, t: number): number | undefined {
  const rhoInf = 2 / (1 - beta2) - 1;
  const rho = rhoInf - (2 * t * beta2 ** t) / (1 - beta2 ** t);
  if (rho <= threshold) return undefined;
  return Math.sqrt((((rho - 4) * (rho - 2)) / (rhoInf - 4) / (rhoInf - 2)) * (rhoInf / rho));
}

/** RAdam (Liu et al. 2020, algorithm 2). The paper has no ε: it joins √v as in PyTorch, or √v̂. */
export const radam: ReferenceRule<RadamOptions, "exp_avg" | "exp_avg_sq"> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { beta1, beta2, eps, threshold, epsHat } = options;
    const exp_avg = averaged(beta1, state.exp_avg, gradient);
    const exp_avg_sq = averaged(beta2, state.exp_avg_sq, square(gradient));
    const corrected = times(lr / (1 - beta1 ** t), exp_avg);
    const after = { exp_avg, exp_avg_sq };
    const r = rectification(beta2, threshold, t);
    if (r === undefined) return { update: corrected, state: after };
    const root = Math.sqrt(1 - beta2 ** t);
    const v = Math.sqrt(sum(exp_avg_sq));
    const l = epsHat ? root / (v + eps) : 1 / (v / root + eps);
    return { update: times(r * l, corrected), state: after };
  },
};
