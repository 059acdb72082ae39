import { rules } from "../../src/kernels.js";
import type { ModelRow } from "./models.js";

/**
 * Peak learning rate of each optimizer under its default schedule, batch 128, where it is not the rule's own default. With
 * it two epochs give at least 90 % test accuracy, but with Rprop, which is for full batches.
 */
const tunedRates: Readonly<Record<string, number>> = {
  sgd: 0.3,
  momentum: 0.05,
  nesterov: 0.05,
  "nesterov-lookahead": 0.05,
  adagrad: 0.03,
  rmsprop: 1e-3,
  "rmsprop-centered": 1e-3,
  "rmsprop-momentum": 1e-4,
  "rmsprop-centered-momentum": 1e-4,
  "rmsprop-nesterov": 3e-4,
  adam: 3e-3,
  amsgrad: 3e-3,
  adamw: 3e-3,
  adamax: 5e-3,
  nadam: 3e-3,
  radam: 3e-3,
  "radam-amsgrad": 3e-3,
  rprop: 1e-4,
  asgd: 0.3,
  lion: 3e-4,
  "sign-sgd": 3e-4,
  signum: 3e-4,
  adabelief: 3e-3,
  "adabelief-amsgrad": 3e-3,
  adan: 3e-3,
  laprop: 1e-3,
  "optimistic-sgd": 0.1,
  ftrl: 0.03,
  sophia: 3e-4,
  muon: 0.01,
  shampoo: 3e-3,
  lars: 10,
  lamb: 0.01,
  fromage: 0.03,
  "stable-adamw": 3e-3,
  "schedule-free-adamw": 3e-3,
  angd: 0.05,
  adafactor: 0.03,
  "adafactor-momentum": 0.03,
  "noisy-sgd": 0.3,
};

/** The peak learning rate of every optimizer, by its name on the command line. */
export const defaultRates: Readonly<Record<string, number>> = Object.fromEntries(
  rules.map((rule) => [rule.row.name, tunedRates[rule.row.name] ?? rule().options.lr]),
);

/** The default rate: below the batch that it is tuned for it falls with the root, as the noise of the gradient grows. */
export function defaultRate(
  optimizer: string,
  batch: number | "full",
  { rates, tunedBatch }: Pick<ModelRow, "rates" | "tunedBatch">,
): number {
  const rate = rates[optimizer] ?? defaultRates[optimizer]!;
  return rate * (batch === "full" ? 1 : Math.min(1, Math.sqrt(batch / tunedBatch)));
}

/** The schedule of every optimizer. */
export const defaultSchedule = "warmup-cosine";
