import type { ReferenceRule } from "./reference-rule.js";
import { bounded, largest, over, square, sum, times } from "./summands.js";

type PolyakOptions = {
  maxRate: number;
  scale: number;
  minimum: number;
  eps: number;
  leastSquare: number;
  variant: "sps" | "sps+";
};

/** SGD with step size min(γmax, c·(f − f*)/(‖g‖² + ε)) (Loizou et al. 2021, eq. 4, with optax's ε and variants). */
export const polyakSgd: ReferenceRule<PolyakOptions, never, "step_size"> = {
  initial: () => ({}),
  settled: () => ({ step_size: 0 }),
  measure: ({ gradient }) => ({ squares: square(gradient) }),
  settle({ options: { maxRate, scale, minimum, eps, leastSquare, variant }, sums, loss }) {
    const squares = sum(sums.squares!);
    if (!Number.isFinite(loss) || squares === 0 || squares + eps <= leastSquare) return { step_size: [0] };
    const gap = variant === "sps+" ? Math.max(loss - minimum, 0) : loss - minimum;
    // The loss and its least value cancel, and the norm counts twice.
    const taken = scale * Math.max(Math.abs(loss), Math.abs(minimum));
    const quotient = over(bounded(scale * gap, 2 * taken), sums.squares!, (total) => total + eps);
    const off = bounded(sum(quotient), Math.max(largest(quotient), (2 * taken) / (squares + eps)));
    return { step_size: sum(off) > maxRate ? bounded(maxRate, Math.min(maxRate, largest(off))) : off };
  },
  step: ({ lr, gradient, settled: { step_size } }) => ({
    update: times(lr * step_size, gradient),
    state: {},
  }),
};
