import { checkOptions, count, finite, flag, nonNegative, positive, whole } from "./arguments.js";
import { normal } from "./random-numbers.js";
import { type BuiltinSchedule, builtinSchedule, type Schedule } from "./schedule.js";

/** Options of {@link cosine}. */
export interface CosineOptions {
  /** Decay steps N. */
  readonly steps: number;
  /** Final factor α on the base rate. Default 0. */
  readonly alpha?: number;
  /** Power of the cosine term (optax). Default 1. */
  readonly exponent?: number;
  /** Periods P of the cosine over the decay steps. Default 0.5: from the full rate to α. */
  readonly periods?: number;
  /** Whether to go on after N steps, by default to rise again (PyTorch), and not to stay (Keras, optax). Default false. */
  readonly periodic?: boolean;
}

/** Options of {@link linearCosine}. */
export interface LinearCosineOptions {
  /** Decay steps N. */
  readonly steps: number;
  /** Offset α of the linear term. Default 0. */
  readonly alpha?: number;
  /** Offset β of the whole. Default 0.001. */
  readonly beta?: number;
  /** Periods P of the cosine over the decay steps. Default 0.5. */
  readonly periods?: number;
}

/** Options of {@link noisyLinearCosine}. */
export interface NoisyLinearCosineOptions extends LinearCosineOptions {
  /** Variance v₀ of the noise at step 0. Default 1. */
  readonly initialVariance?: number;
  /** Power d of the decay of the variance, v₀/(1 + s)^d. Default 0.55. */
  readonly varianceDecay?: number;
  /** Lowest factor on the base rate in an optimizer, which takes no rate below 0. Default 0. */
  readonly minimum?: number;
  /** Seed of the noise, a whole number. */
  readonly seed: number;
}

/**
 * Cosine decay α + (1 − α)(½(1 + cos 2πPs/N))^exponent with s up to N (Loshchilov & Hutter 2017, eq. 5, without restart).
 * PyTorch's CosineAnnealingLR is `{ steps: T_max, alpha: eta_min / lr, periodic: true }`.
 * @throws OptimError `invalid-schedule`
 */
export function cosine(options: CosineOptions): BuiltinSchedule {
  const checked = checkOptions("cosine", options, {
    steps: count(),
    alpha: finite(0),
    exponent: positive(1),
    periods: nonNegative(0.5),
    periodic: flag(false),
  });
  const { steps, alpha, exponent, periods, periodic } = checked;
  const range = 1 - alpha;
  const frequency = (2 * Math.PI) / steps;
  // Reducing by N is exact; the cosine of a large multiple of 2π/N is not.
  return builtinSchedule(
    { kind: "cosine", ...checked },
    (s) =>
      alpha +
      range *
        (0.5 * (1 + Math.cos(frequency * ((periods * (periodic ? s : Math.min(s, steps))) % steps)))) **
          exponent,
  );
}

/**
 * Linear cosine decay (α + (N − s)/N) · ½(1 + cos 2πPs/N) + β with s up to N (Bello et al. 2017; TensorFlow 1
 * linear_cosine_decay).
 * @throws OptimError `invalid-schedule`
 */
export function linearCosine(options: LinearCosineOptions): BuiltinSchedule {
  const checked = checkOptions("linearCosine", options, linearCosineRequirements());
  const { steps, alpha, beta, periods } = checked;
  const frequency = (2 * Math.PI * periods) / steps;
  return builtinSchedule({ kind: "linearCosine", ...checked }, (step) => {
    const s = Math.min(step, steps);
    return (alpha + (steps - s) / steps) * 0.5 * (1 + Math.cos(frequency * s)) + beta;
  });
}

/**
 * {@link linearCosine} with a draw of N(0, v₀/(1 + s)^d) added in the first bracket (Bello et al. 2017; TensorFlow 1
 * noisy_linear_cosine_decay). The noise depends on seed and step only; past N steps the factor stays as at N. The
 * function can be negative, as TensorFlow's is; an optimizer holds it at `minimum`, also as a part of another schedule.
 * @throws OptimError `invalid-schedule`
 */
export function noisyLinearCosine(options: NoisyLinearCosineOptions): BuiltinSchedule {
  const checked = checkOptions("noisyLinearCosine", options, {
    ...linearCosineRequirements(),
    initialVariance: nonNegative(1),
    varianceDecay: nonNegative(0.55),
    minimum: nonNegative(0),
    seed: whole(),
  });
  const { steps, alpha, beta, periods, initialVariance, varianceDecay, minimum, seed } = checked;
  const frequency = (2 * Math.PI * periods) / steps;
  const deviation = Math.sqrt(initialVariance);
  const power = -varianceDecay / 2;
  const at: Schedule = (step) => {
    const s = Math.min(step, steps);
    const noise = normal(seed, s) * deviation * (1 + s) ** power;
    return (alpha + (steps - s) / steps + noise) * 0.5 * (1 + Math.cos(frequency * s)) + beta;
  };
  // Noise may put the very first factor below.
  return builtinSchedule(
    { kind: "noisyLinearCosine", ...checked },
    at,
    () => (s) => Math.max(at(s), minimum),
  );
}

function linearCosineRequirements() {
  return { steps: count(), alpha: nonNegative(0), beta: nonNegative(0.001), periods: nonNegative(0.5) };
}
