import type { ReferenceRule } from "./reference-rule.js";
import { ofNorms, over, square, sum, times } from "./summands.js";

type LarsOptions = {
  momentum: number;
  trustCoefficient: number;
  eps: number;
  form: "velocity" | "buffer";
  nesterov: boolean;
  adapt: boolean;
  weightDecay: number;
  decay: string;
};

/**
 * LARS: the local rate c‖θ‖/(‖g‖ + λ‖θ‖) of a tensor on a step of momentum along g + λθ (You, Gitman & Ginsburg 2017,
 * algorithm 1). With coupled decay g has λθ in it already, and so has its norm.
 */
export const lars: ReferenceRule<LarsOptions, "momentum_buffer", "trust"> = {
  ownDecay: true,
  initial: () => ({ momentum_buffer: 0 }),
  settled: () => ({ trust: 0 }),
  measure: ({ parameter, gradient }) => ({ parameters: [parameter ** 2], gradients: square(gradient) }),
  settle({ options: { trustCoefficient, eps, adapt, weightDecay, decay }, sums }) {
    const norm = Math.sqrt(sum(sums.parameters!));
    if (!adapt || norm === 0 || sum(sums.gradients!) === 0) return { trust: [1] };
    const beside = (decay === "decoupled" ? weightDecay * norm : 0) + eps;
    const divisor = (total: number) => Math.sqrt(total) + beside;
    return { trust: ofNorms(over([trustCoefficient * norm], sums.gradients!, divisor)) };
  },
  step({ options, lr, parameter, gradient, state, settled: { trust } }) {
    const { momentum, form, nesterov, weightDecay, decay } = options;
    const decayed = decay === "decoupled" ? [...gradient, weightDecay * parameter] : gradient;
    const taken = times(trust, decayed);
    const kept = momentum * state.momentum_buffer;
    if (form === "velocity") {
      const velocity = [kept, ...times(lr, taken)];
      const ahead = nesterov ? [...times(momentum, velocity), ...times(lr, taken)] : velocity;
      return { update: ahead, state: { momentum_buffer: velocity } };
    }
    const buffer = [kept, ...taken];
    const ahead = nesterov ? [...times(momentum, buffer), ...taken] : buffer;
    return { update: times(lr, ahead), state: { momentum_buffer: buffer } };
  },
};
