import { briefly, OptimError } from "../../errors.js";
import { checkNames } from "./check-names.js";

/**
 * Dynamic loss scale, as mixed-precision training needs it (Micikevicius et al. 2018, sec. 3.2; PyTorch GradScaler). It stays
 * between `min` and `max`, and these between 2^-126 and 2^126: beyond, f32 holds no reciprocal to unscale gradients with.
 */
export interface LossScaleOptions {
  /** First scale; default 65536. */
  readonly initial?: number;
  /** Factor after `interval` steps without a non-finite gradient; default 2. */
  readonly growth?: number;
  /** Factor after a step with one; default 0.5. */
  readonly backoff?: number;
  /** Default 2000. */
  readonly interval?: number;
  /** Default 1. */
  readonly min?: number;
  /** Default 2^24. */
  readonly max?: number;
}

/**
 * Which dimension counts the units of a tensor, its outputs: the `first` (PyTorch's [out, in] and [out, in, height, width]) or
 * the `last` (Keras and Flax: [in, out], [height, width, in, out]).
 */
export type Units = "first" | "last";

/** Adaptive gradient clipping: of each unit, g to at most λ·max(‖θ‖, ε), by g·λ·max(‖θ‖, ε)/‖g‖ (Brock et al. 2021, eq. 3). */
export interface AdaptiveClipOptions {
  /** λ; default 0.01. */
  readonly clipping?: number;
  /** ε, the least norm that counts for θ, so that zeros can move; default 1e-3. */
  readonly eps?: number;
  /** Default `first`. A tensor with at most one dimension above 1 is one unit. */
  readonly units?: Units;
}

/** Gradient centralization: of each unit, g minus its mean (Yong et al. 2020, eq. 1). */
export interface CentralizeOptions {
  /** Default `first`. */
  readonly units?: Units;
}

/**
 * Guards of a tensor's units, for which it needs a shape. They act behind all others, the clip first. They cannot change after
 * creation.
 */
export interface UnitwiseGuards {
  /** λ, or all of it; Infinity (the default) is no limit. */
  readonly adaptiveClip?: number | AdaptiveClipOptions | undefined;
  /** Of tensors of two dimensions and more; default false. */
  readonly centralize?: boolean | CentralizeOptions | undefined;
}

/** What is done to gradients before the rule sees them, on the GPU and without a read-back. */
export interface GuardOptions extends UnitwiseGuards {
  /** Largest |g| of an element; here and below, Infinity (the default) is no limit. */
  readonly clipValue?: number;
  /** Largest norm of a tensor's gradient. */
  readonly clipNorm?: number;
  /** Largest norm of all gradients together. Norms are measured up to 3.4e38 (f32); larger ones count as that. */
  readonly clipGlobalNorm?: number;
  /** Factor of a norm n over its limit c: `pytorch` min(1, c/(n + 1e-6)), `optax` c/n where n ≥ c. */
  readonly clipFormula?: "pytorch" | "optax";
  /** A step with a NaN or an infinity is not taken (`skip`, the default), taken with zeros for them, or taken as it is. */
  readonly nonFinite?: "skip" | "zero" | "keep";
  /** What the caller multiplies the loss by: a fixed number from 2^-126 to 2^126, or a scale held on the GPU. */
  readonly lossScale?: number | LossScaleOptions;
  /** Skipped steps that the host need not know of yet; more are skipped too, and reported as faults. Default 8. */
  readonly skipsInFlight?: number;
}

/** Guards that may change between steps. */
export type ChangingGuards = Omit<GuardOptions, "lossScale" | "skipsInFlight" | keyof UnitwiseGuards>;

/** Checked guards, defaults filled in. */
export interface Guards {
  readonly clipValue: number;
  readonly clipNorm: number;
  readonly clipGlobalNorm: number;
  readonly clipFormula: "pytorch" | "optax";
  readonly nonFinite: "skip" | "zero" | "keep";
  readonly lossScale: Required<LossScaleOptions>;
  readonly dynamicScale: boolean;
  readonly skipsInFlight: number;
}

/** Stands for no limit; the largest number that is one in f32 as well. */
export const UNLIMITED = (2 - 2 ** -23) * 2 ** 127;

const SCALE_DEFAULTS = { initial: 65536, growth: 2, backoff: 0.5, interval: 2000, min: 1, max: 2 ** 24 };

const NAMES = [
  "clipValue",
  "clipNorm",
  "clipGlobalNorm",
  "clipFormula",
  "nonFinite",
  "lossScale",
  "skipsInFlight",
  "adaptiveClip",
  "centralize",
];

/** @throws OptimError `invalid-argument` */
export function checkGuards(options: GuardOptions, base?: Guards): Guards {
  checkNames("guards", options, NAMES);
  const given = <N extends keyof GuardOptions & keyof Guards>(name: N, otherwise: Guards[N]) =>
    (options[name] === undefined ? (base?.[name] ?? otherwise) : options[name]) as Guards[N];
  const limit = (name: "clipValue" | "clipNorm" | "clipGlobalNorm") =>
    given(name, UNLIMITED) === Number.POSITIVE_INFINITY
      ? UNLIMITED
      : number(name, given(name, UNLIMITED), positive, "a number above 0, or Infinity for no limit");
  const { lossScale = base ? undefined : 1 } = options;
  const scale = lossScale === undefined ? base!.lossScale : checkScale(lossScale);
  return {
    clipValue: limit("clipValue"),
    clipNorm: limit("clipNorm"),
    clipGlobalNorm: limit("clipGlobalNorm"),
    clipFormula: oneOf("clipFormula", given("clipFormula", "pytorch"), ["pytorch", "optax"]),
    nonFinite: oneOf("nonFinite", given("nonFinite", "skip"), ["skip", "zero", "keep"]),
    lossScale: scale,
    dynamicScale: lossScale === undefined ? base!.dynamicScale : typeof lossScale === "object",
    skipsInFlight: number(
      "skipsInFlight",
      given("skipsInFlight", 8),
      (value) => Number.isSafeInteger(value) && value >= 1 && value <= 64,
      "a whole number from 1 to 64",
    ),
  };
}

function checkScale(given: number | LossScaleOptions): Required<LossScaleOptions> {
  const fixed = typeof given === "number";
  if (!fixed) checkNames("lossScale", given, Object.keys(SCALE_DEFAULTS));
  const scale = { ...SCALE_DEFAULTS, ...(fixed ? { initial: given } : given) };
  number("lossScale", scale.initial, invertible, SCALES);
  number("lossScale.growth", scale.growth, (value) => value >= 1, "a number of at least 1");
  number("lossScale.backoff", scale.backoff, (value) => value > 0 && value <= 1, "a number in (0, 1]");
  number(
    "lossScale.interval",
    scale.interval,
    // A u32 on the GPU.
    (value) => Number.isSafeInteger(value) && value >= 1 && value <= 2 ** 31,
    "a whole number from 1 to 2147483648",
  );
  number("lossScale.min", scale.min, invertible, SCALES);
  number(
    "lossScale.max",
    scale.max,
    (value) => value >= scale.min && invertible(value),
    "a number of at least min and at most 2^126 (8.5e37)",
  );
  if (!fixed)
    number(
      "lossScale.initial",
      scale.initial,
      (value) => value >= Math.fround(scale.min) && value <= scale.max,
      `a number from min to max (${scale.min} to ${scale.max})`,
    );
  return scale;
}

/** Smaller ones are subnormal in f32, which a GPU may take for zero. */
export const positive = (value: number): boolean => value >= 2 ** -126;

/** Nor is the reciprocal, which would make zeros of all gradients. */
const invertible = (value: number): boolean => positive(value) && value <= 2 ** 126;
const SCALES = "a number from 2^-126 (1.2e-38) to 2^126 (8.5e37)";

export function number(
  name: string,
  value: number,
  valid: (value: number) => boolean,
  expected: string,
): number {
  const rounded = Math.fround(value);
  if (typeof value === "number" && Number.isFinite(rounded) && valid(value) && valid(rounded)) return value;
  throw new OptimError("invalid-argument", `'${name}' is out of range`, {
    expected,
    got: briefly(value),
    fix: `pass ${expected}, or leave it out`,
  });
}

export function oneOf<T extends string>(name: string, value: T, values: readonly T[]): T {
  if (values.includes(value)) return value;
  throw new OptimError("invalid-argument", `'${name}' is unknown`, {
    expected: `one of ${values.join(", ")}`,
    got: briefly(value),
    fix: "pass one of these",
  });
}
