import {
  choice,
  epsilon,
  fraction,
  neverCautious,
  nonNegative,
  positive,
  ruleFactory,
  wholeNumber,
} from "../rule.js";
import * as passes from "../shaders/passes/shampoo.wgsl?engine";
import shader from "../shaders/shampoo.wgsl";
import {
  cellProducts,
  cells,
  cellWork,
  keptSides,
  matrices,
  matrixWork,
  type Sides,
  sideFields,
  singleSides,
  symmetricSides,
  withSides,
} from "../sides.js";
import type { WholePass, WholeShape } from "../whole-tensor.js";

const graftings = ["none", "sgd", "adagrad", "rmsprop"] as const;

/** Blocks of one size, the largest up to `block` rows and columns that leaves the fewest. */
const blocksOf = ({ rows, columns }: WholeShape, { block }: { readonly block: number }): Sides => {
  const [down, across] = [Math.ceil(rows / block), Math.ceil(columns / block)];
  const [height, width] = [Math.ceil(rows / down), Math.ceil(columns / across)];
  const blocks = Math.ceil(rows / height) * Math.ceil(columns / width);
  return { blocks, height, width, left: height, right: width };
};

const strips = ({ count }: WholeShape) => Math.ceil(count / passes.constants.STRIP!);

const degreeOf = (root: string): number => (root === "square" ? 2 : 4);

/**
 * Turns of the iteration until the least eigenvalue, ε of the largest, is at 1: from (p + 1)/2·ε it grows by (1 + 1/p)ᵖ a
 * turn, and the last six square what is missing.
 */
const turnsOf = (eps: number, p: number): number =>
  Math.ceil(Math.log(2 / ((p + 1) * eps)) / (p * Math.log(1 + 1 / p))) + 6;

/**
 * Shampoo: gradients of matrices between the inverse fourth roots of sums of GGᵀ and of GᵀG, by blocks. Vectors go into groups
 * with another rule. Dimensions behind the first are one.
 */
export const shampoo = /* @__PURE__ */ ruleFactory(() => ({
  name: "shampoo",
  shader,
  options: {
    lr: nonNegative(0.1),
    cautious: neverCautious(),
    /** β of the average of gradients in the gradient's place (section 5 of the paper). */
    momentum: fraction(0),
    /** Whether L and R are sums, or averages that forget as β has it (Anil et al. 2020). */
    accumulation: choice("sum", "average"),
    /** Decay rate β of the averages L and R. */
    beta: fraction(0.99),
    /** ε of L₀ = R₀ = εI. */
    start: nonNegative(0),
    /** Of the largest sum over a row: the least that joins the diagonal under a root. From 1e-4 on, f32 is within 1e-4 of it. */
    eps: { ...positive(1e-4), least: 2 ** -20, max: 1 },
    /** The inverse root of L and R: with `square` that of Morwani et al. 2024 and pytorch-optimizer. */
    root: choice("fourth", "square"),
    /** Steps from one working out of the roots to the next. */
    every: wholeNumber(10, 1),
    /** The most rows and columns of a block. */
    block: { ...wholeNumber(128, 1), max: 512 },
    /** Whose step gives the length of a tensor's own (Agarwal et al. 2020). */
    grafting: choice(...graftings),
    /** β of the squares of `rmsprop` grafting. */
    graftBeta: fraction(0.999),
    /** ε of that grafting. */
    graftEps: epsilon(1e-8),
    /** MiB that the matrices of a group may take. */
    memoryLimit: positive(256),
  },
  formula: "L ← L + GGᵀ, R ← R + GᵀG; θ ← θ − η·L^(−1/4)·G·R^(−1/4)",
  source: "Gupta et al. 2018, algorithm 1; Anil et al. 2020",
  scalars: ({ accumulation, beta, every, root, grafting, graftBeta }, t) => ({
    keeps: accumulation === "average" ? beta : 1,
    weight: accumulation === "average" ? 1 - beta : 1,
    refresh: Number((t - 1) % every === 0),
    degree: degreeOf(root),
    grafting: graftings.indexOf(grafting),
    graft_keeps: grafting === "rmsprop" ? graftBeta : 1,
    graft_weight: grafting === "rmsprop" ? 1 - graftBeta : 1,
  }),
  whole: {
    shader: withSides(passes),
    shaped: true,
    refuse: ({ length }) => (length < 2 ? "a matrix" : undefined),
    kept: (tensor, options) => {
      const sides = blocksOf(tensor, options);
      return {
        ...keptSides(sides, ["left", "right"]),
        ...keptSides(sides, ["left_root", "right_root"]),
        ...(options.momentum > 0 && { momentum_buffer: tensor.shape }),
        ...(graftings.indexOf(options.grafting) > 1 && { graft_sq: tensor.shape }),
      };
    },
    scratch: (tensor, options) => {
      const sides = blocksOf(tensor, options);
      const [own, square] = [cells(sides), matrices(sides)];
      return {
        gradient: own,
        image: own,
        ...(options.momentum > 0 && { average: own }),
        gram: square,
        m: square,
        next_m: square,
        x: square,
        next_x: square,
        ...(options.grafting !== "none" && { squares: 1 + strips(tensor) }),
      };
    },
    fields: (tensor, options) => sideFields(blocksOf(tensor, options)),
    limit: ({ memoryLimit }) => memoryLimit * 2 ** 20,
    passes: (options): readonly WholePass[] => {
      const by = (work: (sides: Sides) => number) => (tensor: WholeShape) => work(blocksOf(tensor, options));
      const grafted = options.grafting !== "none";
      const turns = turnsOf(options.eps, degreeOf(options.root));
      return [
        { run: "gather", workgroups: by(cellWork) },
        ...(grafted ? [{ run: "measure_graft", workgroups: strips }] : []),
        { run: "gram", workgroups: by(symmetricSides) },
        { run: "accumulate", workgroups: by(matrixWork) },
        { run: "find_root", round: turns, workgroups: by(singleSides) },
        { run: "load_root", workgroups: by(matrixWork) },
        { run: "apply_root", round: 0, workgroups: by(cellProducts) },
        { run: "apply_root", round: 1, workgroups: by(cellProducts) },
        { run: "scatter", workgroups: by(cellWork) },
        ...(grafted
          ? [
              { run: "measure_direction", workgroups: strips },
              { run: "measure_ratio", workgroups: () => 1 },
              { run: "scale_direction", workgroups: strips },
            ]
          : []),
      ];
    },
    fixed: ({ momentum, eps, root, block, grafting }) => [momentum > 0, eps, root, block, grafting],
  },
}));
