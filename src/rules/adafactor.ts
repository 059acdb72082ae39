import {
  choice,
  decoupledFirst,
  flag,
  fraction,
  neverCautious,
  nonNegative,
  positive,
  ruleFactory,
  wholeNumber,
} from "../rule.js";
import plainShader from "../shaders/adafactor.wgsl";
import momentumShader from "../shaders/adafactor-momentum.wgsl";
import * as passes from "../shaders/passes/adafactor.wgsl?engine";
import type { WholePass, WholeShape } from "../whole-tensor.js";

interface Factoring {
  readonly factored: "last" | "largest" | "none";
  readonly minDimension: number;
}

/** Whether v of a shape is kept as a product. */
function isFactored(shape: readonly number[], { factored, minDimension }: Factoring): boolean {
  if (shape.length < 2 || factored === "none") return false;
  const of = factored === "last" ? shape : [...shape].sort((a, b) => a - b);
  return Math.min(...of.slice(-2)) >= minDimension;
}

/** Rows and columns of what is factored are those of the last two dimensions. */
const matrixOf = (shape: readonly number[], options: Factoring): readonly [number, number] =>
  isFactored(shape, options) ? [shape.at(-2)!, shape.at(-1)!] : [1, shape.reduce((a, b) => a * b, 1)];

const options = () =>
  ({
    /** η: the most that ρ is, or ρ itself. */
    lr: nonNegative(1e-2),
    cautious: neverCautious(),
    /** Whether ρ = min(η, 1/√t), or η. */
    relativeStep: flag(true),
    /** c of β2 = 1 − t⁻ᶜ. */
    decayRate: nonNegative(0.8),
    /** ε1 of the paper, against division by zero. */
    eps1: nonNegative(2 ** -23),
    /** Whether v is at least ε1² and the mean of R at least ε1 (PyTorch), or ε1 is added to g² (the paper, with 1e-30). */
    eps1Form: choice("floor", "added"),
    /** The least scale of a tensor's parameters. */
    eps2: positive(1e-3),
    /** d: how large RMS(U) may be; 0 for no bound. */
    clipThreshold: nonNegative(1),
    /** Whether ρ is multiplied by max(ε2, RMS(θ)). */
    scaleParameter: flag(true),
    /** Dimensions that v is factored by: the last two, or as in optax the largest, which must be the last two; or none. */
    factored: choice("last", "largest", "none"),
    /** Where one of the two is smaller, v is kept in full. */
    minDimension: wholeNumber(0, 0),
    decay: decoupledFirst(),
  }) as const;

type Options = { readonly [K in "decayRate" | "eps1" | "eps2" | "clipThreshold"]: number } & Factoring & {
    readonly relativeStep: boolean;
    readonly scaleParameter: boolean;
    readonly eps1Form: string;
  };

const scalars = (given: Options, t: number, lr: number) => {
  const { relativeStep, decayRate, eps1, eps1Form, eps2, clipThreshold, scaleParameter } = given;
  const weight = t ** -decayRate;
  const added = eps1Form === "added";
  return {
    rate: relativeStep ? Math.min(lr, 1 / Math.sqrt(t)) : lr,
    kept: 1 - weight,
    weight,
    added: added ? eps1 : 0,
    mean_floor: added ? 0 : eps1,
    floor: added ? 0 : eps1 ** 2,
    least_scale: scaleParameter ? eps2 : 1,
    scale: Number(scaleParameter),
    inverse_threshold: clipThreshold > 0 ? 1 / clipThreshold : 0,
  };
};

const fours = ({ count }: WholeShape) => Math.ceil(count / 256);
const parts = ({ count }: WholeShape) => Math.ceil(count / 1024);

const whole = {
  shader: passes,
  parameters: true,
  refuse: (shape: readonly number[], options: Factoring) =>
    options.factored === "largest" &&
    isFactored(shape, options) &&
    Math.max(...shape.slice(0, -2)) > Math.min(...shape.slice(-2))
      ? "its two largest dimensions last"
      : undefined,
  matrix: matrixOf,
  kept: ({ shape }: WholeShape, options: Factoring): Readonly<Record<string, readonly number[]>> =>
    isFactored(shape, options)
      ? {
          row_var: [...shape.slice(0, -1), 1],
          col_var: [...shape.slice(0, -2), 1, shape.at(-1)!],
        }
      : { variance: shape },
  scratch: (tensor: WholeShape) => ({
    means: tensor.count / (tensor.rows * tensor.columns),
    sums: parts(tensor),
    factor: 1,
  }),
  fields: ({ shape }: WholeShape, options: Factoring) => ({ factored: Number(isFactored(shape, options)) }),
  passes: (options: Factoring): readonly WholePass[] => [
    {
      run: "average_rows",
      workgroups: (tensor) =>
        isFactored(tensor.shape, options) ? tensor.count / tensor.columns : fours(tensor),
    },
    {
      run: "average_columns",
      workgroups: ({ shape, count, rows, columns }) =>
        isFactored(shape, options) ? (count / (rows * columns)) * (Math.ceil(columns / 16) + 1) : 0,
    },
    { run: "normalize", workgroups: parts },
    { run: "measure_tensor", workgroups: () => 1 },
    { run: "scale_directions", workgroups: fours },
  ],
  fixed: ({ factored, minDimension }: Factoring) => [factored, minDimension],
} as const;

const form =
  "R, C ← averages of g² by row and column at 1 − t⁻ᶜ, v = RCᵀ/mean R; Û = U/max(1, RMS(U)/d), U = g/√v; θ ← θ − max(ε2, RMS(θ))·min(η, 1/√t)·Û";

/**
 * Adafactor: the second moment of a matrix as the product of its averages by row and column, updates bounded by their size,
 * and steps relative to the parameters'. A tensor without a shape is a vector, whose second moment is kept in full.
 */
export const adafactor = /* @__PURE__ */ ruleFactory(() => ({
  name: "adafactor",
  shader: plainShader,
  options: options(),
  formula: form,
  source: "Shazeer & Stern 2018, algorithms 4 to 6; PyTorch Adafactor",
  scalars,
  whole,
}));

/** Adafactor with an average of its updates, as optax has it. */
export const adafactorMomentum = /* @__PURE__ */ ruleFactory(() => ({
  name: "adafactor-momentum",
  shader: momentumShader,
  options: {
    ...options(),
    /** β of the average of updates, rates included. */
    momentum: fraction(0.9),
  },
  formula: "adafactor, by m ← βm + (1−β)·its update; θ ← θ − m",
  source: "optax adafactor",
  scalars,
  whole,
}));
