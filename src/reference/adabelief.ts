import { rectification } from "./radam.js";
import type { ElementInput, ReferenceRule } from "./reference-rule.js";
import { averaged, bounded, largest, over, type Summands, square, sum, times } from "./summands.js";

type AdabeliefOptions = { beta1: number; beta2: number; eps: number; epsRoot: number; rectify: boolean };

type Belief = "exp_avg" | "exp_avg_var";

/** m ← β1m + (1−β1)g and s ← β2s + (1−β2)(g − m)² + ε. */
function moments({
  options: { beta1, beta2, epsRoot },
  gradient,
  state,
}: Pick<ElementInput<AdabeliefOptions, Belief>, "options" | "gradient" | "state">) {
  const exp_avg = averaged(beta1, state.exp_avg, gradient);
  const deviation = sum([...gradient, ...times(-1, exp_avg)]);
  // The new m has a part of g in it: g − m = β1(g − m₋₁), whose summands bound its error.
  const squared = square(times(beta1, [...gradient, -state.exp_avg]));
  const exp_avg_var = [
    ...averaged(beta2, state.exp_avg_var, [deviation ** 2, ...squared, -sum(squared)]),
    epsRoot,
  ];
  return { exp_avg, exp_avg_var };
}

/** η·m̂/(√ŝ + ε), at RAdam's rates where rectified. */
function quotient(
  { beta1, beta2, eps, rectify }: AdabeliefOptions,
  { t, lr, exp_avg, second }: { t: number; lr: number; exp_avg: Summands; second: Summands },
): Summands {
  const corrected = times(lr / (1 - beta1 ** t), exp_avg);
  const r = rectify ? rectification(beta2, 5, t) : 1;
  if (r === undefined) return corrected;
  return over(times(r, corrected), second, (s) => Math.sqrt(s / (1 - beta2 ** t)) + eps);
}

/**
 * AdaBelief: Adam with s ← β2s + (1−β2)(g − m)² + ε in the place of v (Zhuang et al. 2020, algorithm 2). The rectified
 * form takes RAdam's rates.
 */
export const adabelief: ReferenceRule<AdabeliefOptions, Belief> = {
  initial: () => ({ exp_avg: 0, exp_avg_var: 0 }),
  step(input) {
    const { options, t, lr } = input;
    const state = moments(input);
    const { exp_avg, exp_avg_var: second } = state;
    return { update: quotient(options, { t, lr, exp_avg, second }), state };
  },
};

/** AdaBelief over the largest s so far (Reddi, Kale & Kumar 2018, algorithm 2; TensorFlow Addons). */
export const adabeliefAmsgrad: ReferenceRule<AdabeliefOptions, Belief | "max_exp_avg_var"> = {
  initial: () => ({ exp_avg: 0, exp_avg_var: 0, max_exp_avg_var: 0 }),
  step(input) {
    const { options, t, lr } = input;
    const { exp_avg, exp_avg_var } = moments(input);
    const before = input.state.max_exp_avg_var;
    const now = sum(exp_avg_var);
    // What rounds is s, whichever of the two is larger.
    const second = bounded(Math.max(before, now), largest(exp_avg_var));
    const update = quotient(options, { t, lr, exp_avg, second });
    return { update, state: { exp_avg, exp_avg_var, max_exp_avg_var: second } };
  },
};
