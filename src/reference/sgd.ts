import type { ReferenceRule } from "./reference-rule.js";
import { times } from "./summands.js";

/** Gradient descent: θ ← θ − ηg (Robbins & Monro 1951). */
export const sgd: ReferenceRule<object, never> = {
  initial: () => ({}),
  step: ({ lr, gradient }) => ({ update: times(lr, gradient), state: {} }),
};
