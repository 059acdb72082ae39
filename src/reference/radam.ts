import type { ReferenceRule } from "./reference-rule.js";
import { averaged, bounded, largest, type Summands, square, sum, times } from "./summands.js";

type RadamOptions = { beta1: number; beta2: number; eps: number; threshold: number; epsHat: boolean };

/** r_t of Liu et al. 2020, algorithm 2; undefined while ρ_t is no more than the threshold. */
export function rectification(beta2: number, threshold: number, t: number): number | undefined {
  const rhoInf = 2 / (1 - beta2) - 1;
  const rho = rhoInf - (2 * t * beta2 ** t) / (1 - beta2 ** t);
  if (rho <= threshold) return undefined;
  return Math.sqrt((((rho - 4) * (rho - 2)) / (rhoInf - 4) / (rhoInf - 2)) * (rhoInf / rho));
}

/** θ's update, given what is divided by: ρ_t decides between momentum alone and Adam's quotient. */
function rectified(
  { beta1, beta2, eps, threshold, epsHat }: RadamOptions,
  { t, lr, exp_avg, second }: { t: number; lr: number; exp_avg: Summands; second: number },
): Summands {
  const corrected = times(lr / (1 - beta1 ** t), exp_avg);
  const r = rectification(beta2, threshold, t);
  if (r === undefined) return corrected;
  const root = Math.sqrt(1 - beta2 ** t);
  const v = Math.sqrt(second);
  const l = epsHat ? root / (v + eps) : 1 / (v / root + eps);
  return times(r * l, corrected);
}

/** RAdam (Liu et al. 2020, algorithm 2). The paper has no ε: it joins √v as in PyTorch, or √v̂. */
export const radam: ReferenceRule<RadamOptions, "exp_avg" | "exp_avg_sq"> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  step({ options, t, lr, gradient, state }) {
    const exp_avg = averaged(options.beta1, state.exp_avg, gradient);
    const exp_avg_sq = averaged(options.beta2, state.exp_avg_sq, square(gradient));
    const update = rectified(options, { t, lr, exp_avg, second: sum(exp_avg_sq) });
    return { update, state: { exp_avg, exp_avg_sq } };
  },
};

/** RAdam over the largest v so far (Reddi, Kale & Kumar 2018, algorithm 2; TensorFlow Addons). */
export const radamAmsgrad: ReferenceRule<RadamOptions, "exp_avg" | "exp_avg_sq" | "max_exp_avg_sq"> = {
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0, max_exp_avg_sq: 0 }),
  step({ options, t, lr, gradient, state }) {
    const exp_avg = averaged(options.beta1, state.exp_avg, gradient);
    const exp_avg_sq = averaged(options.beta2, state.exp_avg_sq, square(gradient));
    const most = Math.max(state.max_exp_avg_sq, sum(exp_avg_sq));
    const update = rectified(options, { t, lr, exp_avg, second: most });
    return { update, state: { exp_avg, exp_avg_sq, max_exp_avg_sq: bounded(most, largest(exp_avg_sq)) } };
  },
};
