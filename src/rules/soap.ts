import {
  decoupledFirst,
  decoupledRate,
  epsilon,
  flag,
  fraction,
  neverCautious,
  nonNegative,
  positive,
  ruleFactory,
  wholeNumber,
} from "../rule.js";
import * as passes from "../shaders/passes/soap.wgsl?engine";
import shader from "../shaders/soap.wgsl";
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

/** The tensor as one block; sides that are too long, or of one row, keep their axes. */
const sidesOf = (
  { shape, rows, columns }: WholeShape,
  { maxDimension }: { readonly maxDimension: number },
): Sides => {
  const based = (size: number) => (shape.length > 1 && size > 1 && size <= maxDimension ? size : 0);
  return { blocks: 1, height: rows, width: columns, left: based(rows), right: based(columns) };
};

/**
 * SOAP: Adam between the eigenvectors of averages of GGᵀ and GᵀG. The first step only begins the basis, by eight orthogonal
 * iterations where the authors' code takes an eigendecomposition. Dimensions behind the first are one. A side that is longer
 * than `maxDimension` keeps its axes, and so does a vector's: on it SOAP is Adam.
 */
export const soap = /* @__PURE__ */ ruleFactory(() => ({
  name: "soap",
  shader,
  options: {
    lr: nonNegative(3e-3),
    cautious: neverCautious(),
    weightDecay: nonNegative(0.01),
    decay: decoupledFirst(),
    beta1: fraction(0.95),
    beta2: fraction(0.95),
    /** β of L and R. */
    shampooBeta: fraction(0.95),
    eps: epsilon(1e-8),
    biasCorrection: flag(true),
    /** Steps from one turn of the basis to the next. */
    every: wholeNumber(10, 1),
    /** The longest side that has a basis. */
    maxDimension: { ...wholeNumber(512, 1), max: passes.constants.LONGEST! },
    /** MiB that moments, matrices and bases of a group may take. */
    memoryLimit: positive(256),
  },
  formula:
    "L ← βL + (1−β)GGᵀ, R likewise, Q_L ← QR(LQ_L), Q_R likewise; θ ← θ − ηλθ − η·Q_L·N·Q_Rᵀ with N of Adam on Q_LᵀGQ_R",
  source: "Vyas et al. 2024, algorithms 3 and 4",
  ownDecay: true,
  scalars: (options, t, lr) => {
    const { beta1, beta2, shampooBeta, biasCorrection, every } = options;
    const steps = t - 1;
    const corrected = biasCorrection && steps > 0;
    return {
      rate: steps === 0 ? 0 : corrected ? (lr * Math.sqrt(1 - beta2 ** steps)) / (1 - beta1 ** steps) : lr,
      decay_rate: steps === 0 ? 0 : decoupledRate(options, lr),
      begins: Number(steps === 0),
      refresh: Number(steps % every === 0),
      keeps: shampooBeta,
      weight: 1 - shampooBeta,
    };
  },
  whole: {
    shader: withSides(passes),
    shaped: true,
    kept: (tensor, options) => {
      const sides = sidesOf(tensor, options);
      return {
        exp_avg: tensor.shape,
        exp_avg_sq: tensor.shape,
        ...keptSides(sides, ["left", "right"]),
        ...keptSides(sides, ["left_basis", "right_basis"]),
      };
    },
    scratch: (tensor, options) => {
      const sides = sidesOf(tensor, options);
      const [own, square] = [cells(sides), matrices(sides)];
      return {
        gradient: own,
        image: own,
        turned: own,
        average: own,
        other_average: own,
        gram: square,
        basis: square,
        power: square,
      };
    },
    fields: (tensor, options) => sideFields(sidesOf(tensor, options)),
    limit: ({ memoryLimit }) => memoryLimit * 2 ** 20,
    passes: (options): readonly WholePass[] => {
      const by = (work: (sides: Sides) => number) => (tensor: WholeShape) => work(sidesOf(tensor, options));
      const turn = (round: number): WholePass => ({
        run: "turn_cells",
        round,
        workgroups: by((sides) =>
          (round % 2 === 0 ? sides.left : sides.right) > 0 ? (round < 2 ? 2 : 1) * cellProducts(sides) : 0,
        ),
      });
      return [
        { run: "gather", workgroups: by(cellWork) },
        { run: "load_basis", workgroups: by(matrixWork) },
        turn(0),
        turn(1),
        { run: "adapt", workgroups: by(cellWork) },
        turn(2),
        turn(3),
        { run: "scatter", workgroups: by(cellWork) },
        { run: "gram", workgroups: by(symmetricSides) },
        { run: "accumulate", workgroups: by(matrixWork) },
        { run: "find_basis", workgroups: by(singleSides) },
      ];
    },
    fixed: ({ maxDimension }) => maxDimension,
  },
}));
