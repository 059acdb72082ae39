import { fraction, neverCautious, nonNegative, ruleFactory } from "../rule.js";
import * as passes from "../shaders/passes/sm3.wgsl?engine";
import shader from "../shaders/sm3.wgsl";
import type { WholeShape } from "../whole-tensor.js";

const MOST = 6;

/** Dimensions that tell elements apart; a single element has one. */
const extentsOf = (shape: readonly number[]): readonly number[] => {
  const extents = shape.filter((extent) => extent > 1);
  return extents.length > 0 ? extents : [1];
};

/** Workgroups that the accumulators of a tensor take, as the shader has it. */
function works({ shape }: WholeShape): number {
  const extents = extentsOf(shape);
  return extents.reduce((sum, extent, dimension) => {
    const last = dimension === extents.length - 1;
    return sum + Math.ceil(extent / (last && extent >= 16 ? 16 : 1));
  }, 0);
}

/**
 * SM3: AdaGrad with an accumulator for each index of each dimension in the place of one for each element. A tensor without
 * a shape is a vector, of which every element has its own.
 */
export const sm3 = /* @__PURE__ */ ruleFactory(() => ({
  name: "sm3",
  shader,
  options: {
    lr: nonNegative(0.1),
    cautious: neverCautious(),
    /** β of the average of directions. */
    momentum: fraction(0.9),
    /** Inside the root: 0, as in the paper, or at least 2⁻⁵⁰; optax has 1e-8. */
    eps: { ...nonNegative(0), least: 2 ** -50 },
  },
  formula:
    "ν ← min of the accumulators of its indices + g², m ← βm + (1−β)g/√(ν + ε), θ ← θ − ηm; each accumulator ← max ν",
  source: "Anil et al. 2019, SM3-II",
  whole: {
    shader: passes,
    refuse: (shape) =>
      extentsOf(shape).length > MOST ? `at most ${MOST} dimensions larger than 1` : undefined,
    kept: ({ shape }) => ({ accumulator: [extentsOf(shape).reduce((sum, extent) => sum + extent, 0)] }),
    scratch: ({ count }) => ({ nu: Math.ceil(count / 4) }),
    fields({ shape }) {
      const extents = extentsOf(shape);
      return {
        dimensions: extents.length,
        ...Object.fromEntries(Array.from({ length: MOST }, (_, d) => [`extent${d}`, extents[d] ?? 1])),
      };
    },
    passes: () => [
      { run: "precondition", workgroups: ({ count }) => Math.ceil(count / 256) },
      { run: "accumulate", workgroups: works },
    ],
  },
}));
