import type { ReferenceRule } from "./reference-rule.js";
import { over, type Summands, square, sum, times } from "./summands.js";

type RmspropOptions = {
  alpha: number;
  eps: number;
  epsInside: boolean;
  initialSquareAvg: number;
};
type CorrectionOptions = { biasCorrection: boolean };
type RmspropMomentumOptions = RmspropOptions & { momentum: number; rateInside: boolean; nesterov: boolean };

/** The exponential average α·average + (1 − α)·value. */
const averaged = (alpha: number, average: number, value: Summands): Summands => [
  alpha * average,
  ...times(1 - alpha, value),
];

/** What v is divided by: 1 − αᵗ where optax's bias_correction is on. */
const correction = ({ alpha, biasCorrection }: RmspropOptions & CorrectionOptions, t: number) =>
  biasCorrection ? 1 - alpha ** t : 1;

/** √(v) + ε, or √(v + ε). */
const rootWithEps = ({ eps, epsInside }: RmspropOptions, v: number) =>
  epsInside ? Math.sqrt(v + eps) : Math.sqrt(v) + eps;

/**
 * The variance v − ḡ² and ḡ after a step. By ḡ before it, v − ḡ² ← α(v − ḡ² + (1−α)(g − ḡ)²), which loses nothing where
 * gradients hardly change.
 */
function centered({ alpha }: RmspropOptions, state: Record<"square_dev" | "grad_avg", number>, g: Summands) {
  // A gradient as it came is exact, and its difference off by one rounding.
  const deviation = square(g.length === 1 ? [sum(g) - state.grad_avg] : [...g, -state.grad_avg]);
  return {
    square_dev: averaged(alpha, state.square_dev, times(alpha, deviation)),
    grad_avg: averaged(alpha, state.grad_avg, g),
  };
}

/** RMSProp: v ← αv + (1−α)g², θ ← θ − ηg/(√v + ε) or ηg/√(v + ε) (Tieleman & Hinton 2012, lecture 6.5). */
export const rmsprop: ReferenceRule<RmspropOptions & CorrectionOptions, "square_avg"> = {
  initial: ({ initialSquareAvg }) => ({ square_avg: initialSquareAvg }),
  step({ options, t, lr, gradient, state }) {
    const square_avg = averaged(options.alpha, state.square_avg, square(gradient));
    return {
      update: times(lr / rootWithEps(options, sum(square_avg) / correction(options, t)), gradient),
      state: { square_avg },
    };
  },
};

/** Centered RMSProp: divides by the root of v − ḡ² (Graves 2013, eq. 38–45). */
export const rmspropCentered: ReferenceRule<RmspropOptions, "square_dev" | "grad_avg"> = {
  initial: ({ initialSquareAvg }) => ({ square_dev: initialSquareAvg, grad_avg: 0 }),
  step({ options, lr, gradient, state: before }) {
    const state = centered(options, before, gradient);
    const quotient = over(gradient, state.square_dev, (v) => rootWithEps(options, v));
    return { update: times(lr, quotient), state };
  },
};

/**
 * b ← μb + q with the rate outside (PyTorch), or b ← μb + ηq (Keras, TensorFlow 1, optax). With Nesterov the update is
 * made of q + μb in the place of b (optax trace).
 */
function withMomentum(options: RmspropMomentumOptions, lr: number, buffer: number, quotient: Summands) {
  const { momentum, rateInside, nesterov } = options;
  const added = rateInside ? times(lr, quotient) : quotient;
  const momentum_buffer = [momentum * buffer, ...added];
  const direction = nesterov ? [...added, ...times(momentum, momentum_buffer)] : momentum_buffer;
  return { momentum_buffer, update: rateInside ? direction : times(lr, direction) };
}

/** RMSProp with momentum over the scaled gradient (PyTorch RMSprop). */
export const rmspropMomentum: ReferenceRule<
  RmspropMomentumOptions & CorrectionOptions,
  "square_avg" | "momentum_buffer"
> = {
  initial: ({ initialSquareAvg }) => ({ square_avg: initialSquareAvg, momentum_buffer: 0 }),
  step({ options, t, lr, gradient, state }) {
    const square_avg = averaged(options.alpha, state.square_avg, square(gradient));
    const quotient = times(1 / rootWithEps(options, sum(square_avg) / correction(options, t)), gradient);
    const { momentum_buffer, update } = withMomentum(options, lr, state.momentum_buffer, quotient);
    return { update, state: { square_avg, momentum_buffer } };
  },
};

/** Centered RMSProp with momentum over the scaled gradient (Graves 2013, eq. 38–45). */
export const rmspropCenteredMomentum: ReferenceRule<
  RmspropMomentumOptions,
  "square_dev" | "grad_avg" | "momentum_buffer"
> = {
  initial: ({ initialSquareAvg }) => ({ square_dev: initialSquareAvg, grad_avg: 0, momentum_buffer: 0 }),
  step({ options, lr, gradient, state }) {
    const averages = centered(options, state, gradient);
    const quotient = over(gradient, averages.square_dev, (v) => rootWithEps(options, v));
    const { momentum_buffer, update } = withMomentum(options, lr, state.momentum_buffer, quotient);
    return { update, state: { ...averages, momentum_buffer } };
  },
};

/**
 * RMSProp with Nesterov momentum: gradient at θ + αv, r ← ρr + (1−ρ)g², v ← αv − η/√r·g, θ ← θ + v
 * (Goodfellow, Bengio & Courville 2016, algorithm 8.6). The buffer is −v; r = 0 adds nothing to it.
 */
export const rmspropNesterov: ReferenceRule<
  { rho: number; momentum: number },
  "square_avg" | "momentum_buffer"
> = {
  initial: () => ({ square_avg: 0, momentum_buffer: 0 }),
  lookahead: ({ momentum }, parameter, state) => parameter - momentum * state.momentum_buffer,
  step({ options, lr, gradient, state }) {
    const square_avg = averaged(options.rho, state.square_avg, square(gradient));
    const r = sum(square_avg);
    const descent = r === 0 ? [0] : times(lr / Math.sqrt(r), gradient);
    const momentum_buffer = [options.momentum * state.momentum_buffer, ...descent];
    return { update: momentum_buffer, state: { square_avg, momentum_buffer } };
  },
};
