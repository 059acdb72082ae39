import type { ElementInput, ReferenceRule } from "./reference-rule.js";
import { averaged, ofNorms, over, type Summands, square, sum, times } from "./summands.js";

type LambOptions = {
  beta1: number;
  beta2: number;
  eps: number;
  epsRoot: number;
  biasCorrection: boolean;
  maxNorm: number;
  maxTrust: number;
  adapt: boolean;
  decayFirst: boolean;
  weightDecay: number;
  decay: string;
};
type Moments = "exp_avg" | "exp_avg_sq";

/** The moments after the step, and r + λθ of r = m̂/(√v̂ + ε). */
function directed({ options, t, parameter, gradient, state }: ElementInput<LambOptions, Moments>) {
  const { beta1, beta2, eps, epsRoot, biasCorrection, decayFirst, weightDecay, decay } = options;
  const exp_avg = averaged(beta1, state.exp_avg, gradient);
  const exp_avg_sq = averaged(beta2, state.exp_avg_sq, square(gradient));
  const unbiased = (beta: number) => (biasCorrection ? 1 - beta ** t : 1);
  const ratio = over(
    times(1 / unbiased(beta1), exp_avg),
    exp_avg_sq,
    (v) => Math.sqrt(v / unbiased(beta2) + epsRoot) + eps,
  );
  const decays = decay === "decoupled" && !decayFirst;
  const direction: Summands = decays ? [...ratio, weightDecay * parameter] : ratio;
  return { direction, state: { exp_avg, exp_avg_sq } };
}

/**
 * LAMB: θ ← θ − η·φ(‖θ‖)/‖r + λθ‖·(r + λθ) (You et al. 2020, algorithm 2), with φ the identity up to a limit. Keras
 * decays first: what follows sees (1 − ηλ)θ.
 */
export const lamb: ReferenceRule<LambOptions, Moments, "trust"> = {
  ownDecay: true,
  initial: () => ({ exp_avg: 0, exp_avg_sq: 0 }),
  settled: () => ({ trust: 0 }),
  measure: (input) => ({ parameters: [input.parameter ** 2], directions: square(directed(input).direction) }),
  settle({ options, lr, sums }) {
    const { maxNorm, maxTrust, adapt, decayFirst, weightDecay, decay } = options;
    const shrunk = decayFirst && decay === "decoupled" ? 1 - lr * weightDecay : 1;
    const norm = Math.sqrt(sum(sums.parameters!)) * Math.abs(shrunk);
    const clipped = maxNorm === 0 ? norm : Math.min(norm, maxNorm);
    if (!adapt) return { trust: [1] };
    const defined = clipped > 0 && sum(sums.directions!) > 0;
    const trust = defined ? ofNorms(over([clipped], sums.directions!, Math.sqrt)) : [1];
    return { trust: maxTrust !== 0 && sum(trust) > maxTrust ? [maxTrust] : trust };
  },
  step(input) {
    const { options, lr, parameter, settled } = input;
    const { direction, state } = directed(input);
    const first = options.decayFirst && options.decay === "decoupled" ? lr * options.weightDecay : 0;
    return { update: [...times(lr * settled.trust, direction), first * parameter], state };
  },
};
