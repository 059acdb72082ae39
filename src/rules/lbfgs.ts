import { choice, neverCautious, nonNegative, positive, ruleFactory } from "../rule.js";
import shader from "../shaders/lbfgs.wgsl";
import * as passes from "../shaders/passes/lbfgs.wgsl?engine";
import type { WholePass, WholeShape } from "../whole-tensor.js";

/** Elements of a chunk, and pairs at most, as the shader has them. */
const CHUNK = 1024;
const MOST = 512;
/** What is multiplied with the new vectors: each s and y that is kept, the new ones, and the gradient. */
const units = (pairs: number) => 2 * pairs + 3;
const chunks = ({ count }: WholeShape) => Math.ceil(count / CHUNK);
const one = () => 1;
const each =
  (elements: number) =>
  ({ count }: WholeShape) =>
    Math.ceil(count / elements);

/**
 * L-BFGS: steps along Hg, where H is the inverse Hessian as the last changes of parameters and gradients tell of it, over all
 * tensors of its one group. For gradients without noise, of full batches.
 */
export const lbfgs = /* @__PURE__ */ ruleFactory(() => ({
  name: "lbfgs",
  shader,
  options: {
    lr: nonNegative(1),
    cautious: neverCautious(),
    decay: choice("coupled"),
    /** Pairs of changes that are kept; `2·historySize + 2` floats of each element. */
    historySize: { kind: "number", default: 100, min: 1, max: MOST, whole: true },
    /** MiB that the history may take. */
    memoryLimit: positive(1024),
  },
  formula:
    "θ ← θ − ηHg, H from the last pairs s = Δθ, y = Δg with sᵀy > 1e-10 by the two-loop recursion, H₀ = sᵀy/yᵀy; first θ ← θ − η·min(1, 1/‖g‖₁)·g",
  source: "Nocedal 1980; torch.optim.LBFGS",
  scope: "all",
  scalars: (_options, t) => ({
    begins: Number(t === 1),
    step: (t % 2 ** 23) + 1,
    last: t === 1 ? 0 : ((t - 1) % 2 ** 23) + 1,
  }),
  whole: {
    shader: passes,
    parameters: true,
    kept: ({ count }, { historySize: m }) => ({
      old_stps: [m, count],
      old_dirs: [m, count],
      prev_parameter: [count],
      prev_flat_grad: [count],
      progress: [2],
      products: [m, m, 4],
    }),
    scratch: (tensor, { historySize: m }) => ({
      partials: units(m) * chunks(tensor),
      gradient: Math.ceil(tensor.count / 4),
    }),
    shared: ({ historySize: m }) => ({ header: 2, totals: units(m), gram: m * m, weights: m }),
    fields: (_tensor, { historySize }) => ({ zero: 0, pairs: historySize }),
    limit: ({ memoryLimit }) => memoryLimit * 2 ** 20,
    passes: ({ historySize: m }): readonly WholePass[] => [
      { run: "recall", together: true, workgroups: one },
      { run: "measure", workgroups: (tensor) => units(m) * chunks(tensor) },
      { run: "total", together: true, workgroups: () => units(m) },
      { run: "recurse", together: true, workgroups: one },
      { run: "combine", workgroups: each(256) },
      { run: "keep", workgroups: each(64) },
      { run: "note", workgroups: one },
    ],
    fixed: ({ historySize }) => historySize,
  },
}));
