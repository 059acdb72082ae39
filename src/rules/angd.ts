import { choice, fraction, neverCautious, nonNegative, positive, ruleFactory, wholeNumber } from "../rule.js";
import shader from "../shaders/angd.wgsl";
import * as passes from "../shaders/passes/angd.wgsl?engine";
import { elements, type WholePass, type WholeShape } from "../whole-tensor.js";

/** A row of H an invocation. */
const workgroups = ({ rows, columns }: WholeShape) => rows * Math.ceil(columns / 64);
const each = (...runs: readonly string[]): readonly WholePass[] => runs.map((run) => ({ run, workgroups }));
/** What comes behind an adaptation, where there is damping. */
const dampened = (damping: number) => (damping > 0 ? ["dampened_image", "dampen"] : []);

/**
 * The adaptive natural gradient: gradients multiplied by a running inverse of the Fisher information, kept exactly by
 * rank-one updates and block by block. The step is taken with the inverse of before.
 *
 * What the inverse adapts to is the gradients of the model's outputs, `outputs` of them, each handed over by
 * `optimizer.outputGradient()` after the step. With `outputs: 0` it is the gradient of the loss itself: the empirical
 * Fisher, which is another matrix wherever the model does not yet fit its data (Kunstner et al. 2019).
 */
export const angd = /* @__PURE__ */ ruleFactory(() => ({
  name: "angd",
  shader,
  options: {
    lr: nonNegative(1e-2),
    cautious: neverCautious(),
    /** δ: how far the estimate moves in a step; with `inverse` adaptation c of c/t. */
    delta: fraction(1e-6),
    /** Whether δ stays, or falls as δ/t, so that the estimate is a mean over all steps. */
    adaptation: choice("constant", "inverse"),
    /** The exact inverse, or Amari's approximation of first order in δ, which diverges where δ·hᵀHh is not small. */
    form: choice("exact", "firstOrder"),
    /** Elements, one behind the other in a tensor, that share a matrix; `block²` floats are kept for each block. */
    block: wholeNumber(64, 1),
    /** Gradients of outputs that are handed over each step, at most 65536; 0 takes the loss's. */
    outputs: { ...wholeNumber(0, 0), max: 65536 },
    /**
     * λ, which damping adds to the diagonal of the estimate on average: one element of a block a step, spread over it, as many
     * times λ as it has elements. A block should have fewer than a few times 1/δ of them.
     */
    damping: nonNegative(0),
    /** Diagonal of H before the first step. */
    start: positive(1),
    /** MiB that the matrices of a group may take. */
    memoryLimit: positive(256),
  },
  formula: "θ ← θ − ηHg, then H ← (H − δ(Hh)(Hh)ᵀ/((1−δ) + δhᵀHh))/(1−δ), H₁ = I",
  source: "Amari et al. 2000; Park, Amari & Fukumizu 2000",
  constants: ({ form }) => ({ first_order: Number(form === "firstOrder") }),
  scalars: ({ delta: c, adaptation, form, damping, outputs }, t) => {
    // Gradients of outputs are handed over after the step that they belong to.
    const step = outputs > 0 ? Math.max(t - 1, 1) : t;
    const delta = adaptation === "inverse" ? c / step : c;
    return {
      begins: Number(t === 1),
      delta,
      kept: 1 - delta,
      gain: form === "firstOrder" ? delta : delta / (1 - delta),
      dampened: delta * damping,
      cycle: (step - 1) % 2 ** 24,
    };
  },
  whole: {
    shader: passes,
    matrix: (shape, { block }) => {
      const size = Math.min(block, elements(shape));
      return [Math.ceil(elements(shape) / size), size];
    },
    kept: ({ rows, columns }) => ({ inverse_fisher: [rows, columns, columns] }),
    scratch: ({ count }) => ({ image: count }),
    limit: ({ memoryLimit }) => memoryLimit * 2 ** 20,
    passes: ({ outputs, damping }) =>
      each("precondition", "direct_along", ...(outputs > 0 ? [] : ["adapt", ...dampened(damping)])),
    outputs: ({ outputs }) => outputs,
    outputPasses: ({ outputs, damping }, output) =>
      each(
        "precondition",
        output === 0 ? "adapt" : "adapt_further",
        ...(output === outputs - 1 ? dampened(damping) : []),
      ),
    fixed: ({ block, outputs, damping }) => [block, outputs, damping > 0],
  },
}));
