import { matrixLength, productWork, symmetricWork, withProduct } from "../product.js";
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
import shader from "../shaders/muon.wgsl";
import * as passes from "../shaders/passes/muon.wgsl?engine";
import type { WholePass, WholeShape } from "../whole-tensor.js";

/** A coefficient of the iteration: any number. */
const coefficient = (value: number) =>
  ({ kind: "number", default: value, min: -Infinity, max: Infinity }) as const;

const scalings = ["original", "match_rms_adamw", "optax"] as const;

/** Sides of X, which lies along the longer one. */
const sides = ({ rows, columns }: WholeShape) => [Math.min(rows, columns), Math.max(rows, columns)] as const;
const strips = ({ count }: WholeShape) => Math.ceil(count / passes.constants.STRIP!);
const quads = (tensor: WholeShape) => Math.ceil(matrixLength(...sides(tensor)) / 64);
const gramWork = (tensor: WholeShape) => symmetricWork(sides(tensor)[0]);
const stepWork = (tensor: WholeShape) => productWork(...sides(tensor));

/**
 * Muon: momentum whose matrices are made orthogonal by Newton–Schulz iterations. For the hidden matrices of a network;
 * embeddings, the last layer, biases and norms go into groups with another rule, AdamW for example. Dimensions behind the
 * first are one, as of convolutions.
 */
export const muon = /* @__PURE__ */ ruleFactory(() => ({
  name: "muon",
  shader,
  options: {
    lr: nonNegative(1e-3),
    cautious: neverCautious(),
    weightDecay: nonNegative(0.1),
    decay: decoupledFirst(),
    momentum: fraction(0.95),
    /** `average`: b ← μb + (1−μ)g (the authors' and PyTorch's code); `sum`: b ← μb + g (PyTorch's documentation, Keras). */
    form: choice("average", "sum"),
    nesterov: flag(true),
    /** Whether averages are corrected for their start at zero, which counts under Nesterov (optax). */
    biasCorrection: flag(false),
    /** Newton–Schulz iterations. */
    steps: { ...wholeNumber(5, 0), max: 99 },
    /** First coefficient of the iteration's polynomial aX + b(XXᵀ)X + c(XXᵀ)²X. */
    a: coefficient(3.4445),
    /** Its second. */
    b: coefficient(-4.775),
    /** Its third. */
    c: coefficient(2.0315),
    eps: positive(1e-7),
    /** Whether the norm is at least ε (PyTorch) instead of ε joining it (the authors, Keras, optax). */
    epsFloor: flag(true),
    /**
     * On the update: `original` √max(1, rows/columns), `match_rms_adamw` 0.2√max(rows, columns), at which rates of AdamW serve;
     * `optax` √max(1, columns/rows), of matrices whose first dimension is the input.
     */
    scaling: choice(...scalings),
  },
  formula:
    "b ← μb + (1−μ)g, X = u/max(‖u‖, ε) of u = (1−μ)g + μb; five times X ← aX + (bA + cA²)X, A = XXᵀ; θ ← θ − ηλθ − η√max(1, rows/columns)·X",
  source: "Jordan et al. 2024; PyTorch Muon",
  constants: ({ epsFloor, scaling }) => ({ eps_floor: Number(epsFloor), scaling: scalings.indexOf(scaling) }),
  scalars: ({ momentum, form, nesterov, biasCorrection }, t) => {
    const gradientIn = form === "average" ? 1 - momentum : 1;
    const corrected = (steps: number) => (biasCorrection ? 1 - momentum ** steps : 1);
    return nesterov
      ? {
          gradient_in: gradientIn,
          buffer_out: momentum / corrected(t + 1),
          gradient_out: gradientIn / corrected(t),
        }
      : { gradient_in: gradientIn, buffer_out: 1 / corrected(t), gradient_out: 0 };
  },
  whole: {
    shader: withProduct(passes),
    shaped: true,
    refuse: ({ length }) => (length < 2 ? "a matrix" : undefined),
    scratch: (tensor) => {
      const [rows, columns] = sides(tensor);
      const x = matrixLength(rows, columns);
      const gram = matrixLength(rows, rows);
      return { squares: 1 + strips(tensor), x, next_x: x, gram, polynomial: gram };
    },
    passes: ({ steps }): readonly WholePass[] => [
      { run: "square", workgroups: strips },
      { run: "norm", workgroups: () => 1 },
      { run: "begin_x", workgroups: quads },
      ...Array.from({ length: 3 * steps }, (_, round) => ({
        run: "iterate",
        round,
        workgroups: round % 3 === 2 ? stepWork : gramWork,
      })),
      { run: "end_x", round: steps, workgroups: quads },
    ],
    fixed: ({ steps }) => steps,
  },
}));
