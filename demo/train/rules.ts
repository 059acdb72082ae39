import { type Rule, rules } from "../../src/index.js";
import { CLASSES } from "./mnist.js";

/** Options other than the rate that a rule is trained with. */
const options: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  // 0.1 is more than the squares of most gradients here add up to.
  ftrl: { initialAccumulatorValue: 0 },
  angd: { outputs: CLASSES, delta: 0.05, damping: 0.05 },
};

/** The rule of an optimizer, at a base learning rate. */
export const ruleByName = (name: string, lr: number): Rule =>
  rules.find(({ row }) => row.name === name)!({ ...options[name], lr });
