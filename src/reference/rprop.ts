import type { ReferenceRule } from "./reference-rule.js";
import { bounded, largest, type Summands, sign, sum, times } from "./summands.js";

type RpropOptions = {
  etaMinus: number;
  etaPlus: number;
  stepSizeMin: number;
  stepSizeMax: number;
  delayed: boolean;
};

/**
 * Rprop without backtracking: where the gradient turns, it counts as zero (Riedmiller & Braun 1993; PyTorch Rprop). In
 * optax each step waits for the next gradient, and is dropped where that has turned.
 */
export const rprop: ReferenceRule<RpropOptions, "prev" | "step_size"> = {
  initial: () => ({ prev: 0, step_size: 0 }),
  step({ options, t, lr, gradient, state }) {
    const { etaMinus, etaPlus, stepSizeMin, stepSizeMax, delayed } = options;
    const before = t === 1 ? lr : state.step_size;
    const agreement = Math.sign(sum(gradient)) * Math.sign(state.prev);
    const scaled = agreement > 0 ? etaPlus * before : agreement < 0 ? etaMinus * before : before;
    const size = Math.min(Math.max(scaled, stepSizeMin), stepSizeMax);
    // Of a gradient whose sign rounding decides, all of this is open.
    const open = largest(sign(gradient)) > 1;
    const limit = (value: number, scale: number): Summands => bounded(value, open ? scale * 2 ** 22 : 0);
    const kept: Summands = agreement < 0 ? limit(0, largest(gradient)) : gradient;
    const direction = !delayed ? Math.sign(sum(kept)) : agreement < 0 ? 0 : Math.sign(state.prev);
    return {
      update: times(delayed ? before : size, open ? limit(direction, 1) : [direction]),
      state: { prev: kept, step_size: limit(size, etaPlus * before) },
    };
  },
};
