import { adamw, type GroupPattern, type Rule, rules } from "../../src/index.js";
import { CLASSES } from "./mnist.js";

/** Options other than the rate that a rule is trained with. */
const options: Readonly<Record<string, Readonly<Record<string, number | string>>>> = {
  // 0.1 is more than the squares of most gradients here add up to.
  ftrl: { initialAccumulatorValue: 0 },
  // What no gradient has told of yet is damped from the start.
  angd: { outputs: CLASSES, delta: 0.02, damping: 0.1, start: 10 },
  // One rate for what it takes and the rest: with the length of RMSProp's steps.
  shampoo: { grafting: "rmsprop", momentum: 0.9, accumulation: "average" },
  soap: { maxDimension: 128 },
  // Of noisy gradients older changes tell nothing.
  lbfgs: { historySize: 5 },
  // So that one rate serves what it takes and the rest.
  muon: { scaling: "match_rms_adamw" },
};

/** The rule of an optimizer, at a base learning rate. */
export const ruleByName = (name: string, lr: number): Rule =>
  rules.find(({ row }) => row.name === name)!({ ...options[name], lr });

/** Groups of parameters: those that a rule takes, and with AdamW at its rate those that it does not. */
export const groupsOf = (rule: Rule): readonly GroupPattern[] => [
  { match: (_, shape = []) => rule.row.whole?.refuse?.(shape, rule.options) === undefined, rule },
  { rule: adamw({ lr: rule.options.lr }) },
];
