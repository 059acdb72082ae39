import { OptimError } from "../../src/errors.js";
import { defaultRate, defaultRates, defaultSchedule } from "./defaults.js";
import { type ModelName, type ModelRow, modelNames, models } from "./models.js";
import { type ScheduleName, scheduleNames } from "./schedules.js";

/** What to train with. */
export interface TrainOptions {
  readonly model: ModelName;
  readonly optimizer: string;
  readonly schedule: ScheduleName;
  /** Base learning rate, before the schedule's factor. */
  readonly lr: number;
  readonly epochs: number;
  /** Examples in a step; `full` takes all of them, in micro-batches. */
  readonly batch: number | "full";
  /** Of the initialization and of the order of the examples. */
  readonly seed: number;
}

/** Options as text: of the command line or of the page's address. What is left out takes its default. */
export type TrainOptionTexts = { readonly [K in keyof TrainOptions]?: string | undefined };

/** Steps of an epoch. */
export const stepsPerEpoch = ({ model, batch }: Pick<TrainOptions, "model" | "batch">): number =>
  batch === "full" ? 1 : Math.ceil(models[model].examples / batch);

/**
 * Reads and checks options.
 * @throws OptimError `invalid-option` that lists what there is.
 */
export function readTrainOptions(texts: TrainOptionTexts): TrainOptions {
  const model = oneOf("model", modelNames, texts.model ?? "mlp");
  const row: ModelRow = models[model];
  const optimizer = oneOf("optimizer", Object.keys(defaultRates), texts.optimizer ?? "adamw");
  const schedule = oneOf("schedule", scheduleNames, texts.schedule ?? defaultSchedule);
  const batch =
    texts.batch === "full"
      ? "full"
      : wholeNumber("batch", texts.batch ?? String(row.batch), 1, row.examples, " or full");
  const defaultEpochs = batch === "full" ? "30" : batch === 1 ? "1" : String(row.epochs);
  const lr =
    texts.lr === undefined ? defaultRate(optimizer, batch, row) : Number(texts.lr.trim() || Number.NaN);
  if (!(lr >= 0 && Number.isFinite(Math.fround(lr))))
    throw badOption("lr", "a finite number of at least 0", texts.lr);
  return {
    model,
    optimizer,
    schedule,
    lr,
    epochs: wholeNumber("epochs", texts.epochs ?? defaultEpochs, 1, 100_000),
    batch,
    seed: wholeNumber("seed", texts.seed ?? "0", 0, 2 ** 32 - 1),
  };
}

function oneOf<T extends string>(name: string, values: readonly T[], text: string): T {
  const value = values.find((candidate) => candidate === text);
  if (value === undefined) throw badOption(name, `one of ${values.join(", ")}`, text);
  return value;
}

function wholeNumber(name: string, text: string, min: number, max: number, or = ""): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw badOption(name, `a whole number from ${min} to ${max}${or}`, text);
  return value;
}

function badOption(name: string, expected: string, got: string | undefined): OptimError {
  return new OptimError("invalid-option", `Option '${name}' is wrong`, {
    expected,
    got: `'${got ?? ""}'`,
    fix: "correct it, or leave it out for the default",
  });
}
