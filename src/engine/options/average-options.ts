import { briefly, OptimError } from "../../errors.js";
import { checkNames } from "./check-names.js";

/** A running average of the parameters, kept beside them for evaluation. */
export type AverageOptions =
  | {
      readonly kind?: "exponential";
      /** Weight of the average so far; default 0.999. */
      readonly decay?: number;
      /** At step t, a decay of at most (1 + t)/(10 + t), so that the first steps count (TensorFlow 1). Default false. */
      readonly warmup?: boolean;
      /**
       * Whether the average begins with the parameters before the first step, and the warm-up counts from 0 (TensorFlow 1
       * and Addons), instead of with those after it (Keras). Default false.
       */
      readonly initial?: boolean;
    }
  | {
      /** The plain average of stochastic weight averaging (Izmailov et al. 2018). */
      readonly kind: "equal";
      /** First step that counts, from 1; default 1. */
      readonly start?: number;
      /** Steps from one that counts to the next; default 1. */
      readonly every?: number;
    };

/** Lookahead (Zhang et al. 2019, algorithm 1): slow weights that the parameters return to. */
export interface SlowWeightsOptions {
  /** Steps between two synchronisations, k; default 5. */
  readonly every?: number;
  /** How far the slow weights move towards the parameters, α; default 0.5. */
  readonly alpha?: number;
}

/** Weight of the parameters in a blend after step t, from 1; 0 where nothing is blended, 1 for a copy. */
export type BlendWeight = (t: number) => number;

/** A running average's weights, and the first step that counts. */
export interface AverageWeight {
  readonly weight: BlendWeight;
  readonly start: number;
}

/** @throws OptimError `invalid-argument` */
export function averageWeight(options: AverageOptions): AverageWeight {
  if (options?.kind === "equal") {
    checkNames("average", options, ["kind", "start", "every"]);
    const start = count("average.start", options.start ?? 1);
    const every = count("average.every", options.every ?? 1);
    const weight: BlendWeight = (t) =>
      t < start || (t - start) % every !== 0 ? 0 : 1 / ((t - start) / every + 1);
    return { weight, start };
  }
  checkNames("average", options, ["kind", "decay", "warmup", "initial"]);
  const { kind = "exponential", decay = 0.999, warmup = false, initial = false } = options;
  if (kind !== "exponential") refuse("average.kind", "exponential or equal", kind);
  if (!(decay >= 0 && decay < 1)) refuse("average.decay", "a number in [0, 1)", decay);
  if (typeof warmup !== "boolean") refuse("average.warmup", "true or false", warmup);
  if (typeof initial !== "boolean") refuse("average.initial", "true or false", initial);
  const weight: BlendWeight = (t) => {
    // The first step is copied: there is nothing to average with.
    if (t === 1 && !initial) return 1;
    const n = initial ? t - 1 : t;
    return 1 - (warmup ? Math.min(decay, (1 + n) / (10 + n)) : decay);
  };
  return { weight, start: 1 };
}

/** @throws OptimError `invalid-argument` */
export function slowWeight(options: SlowWeightsOptions): BlendWeight {
  checkNames("slowWeights", options, ["every", "alpha"]);
  const every = count("slowWeights.every", options.every ?? 5);
  const { alpha = 0.5 } = options;
  if (!(alpha > 0 && alpha <= 1)) refuse("slowWeights.alpha", "a number in (0, 1]", alpha);
  return (t) => (t % every === 0 ? alpha : 0);
}

function count(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) refuse(name, "a whole number of at least 1", value);
  return value;
}

function refuse(name: string, expected: string, got: unknown): never {
  throw new OptimError("invalid-argument", `'${name}' is out of range`, {
    expected,
    got: briefly(got),
    fix: `pass ${expected}, or leave it out`,
  });
}
