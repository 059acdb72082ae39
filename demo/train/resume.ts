import { OptimError } from "../../src/errors.js";
import { readTrainOptions, stepsPerEpoch, type TrainOptions, type TrainOptionTexts } from "./options.js";
import { scheduleByName } from "./schedules.js";

/** The key of a checkpoint's metadata under which a run notes itself. */
const KEY = "train";

/** How far a run has come. */
export interface TrainPosition {
  readonly options: TrainOptions;
  /** Epochs done. */
  readonly epoch: number;
}

/** The metadata of a checkpoint after an epoch. */
export function positionMetadata({ options, epoch }: TrainPosition): Record<string, string> {
  return { [KEY]: JSON.stringify({ ...options, epoch }) };
}

/**
 * Reads how far the run of a checkpoint had come.
 * @throws OptimError `invalid-checkpoint`
 */
export function readPosition(metadata: ReadonlyMap<string, string>): TrainPosition {
  const refuse = (expected: string, got: string, cause?: unknown): never => {
    throw new OptimError(
      "invalid-checkpoint",
      "The checkpoint is not one of this job",
      { expected, got, fix: "pass a checkpoint.safetensors that train wrote" },
      { cause },
    );
  };
  const text = metadata.get(KEY) ?? refuse(`metadata '${KEY}'`, "none");
  try {
    const { epoch, ...values } = JSON.parse(text) as Record<string, unknown>;
    const texts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
    const options = readTrainOptions(texts);
    if (Number.isSafeInteger(epoch) && (epoch as number) >= 1 && (epoch as number) <= options.epochs)
      return { options, epoch: epoch as number };
    return refuse(`an epoch from 1 to ${options.epochs}`, String(epoch));
  } catch (error) {
    if (error instanceof OptimError && error.code === "invalid-checkpoint") throw error;
    return refuse("the options of a run", text.slice(0, 200), error);
  }
}

/**
 * The options to go on with: those of the checkpoint, with more epochs where they are asked for.
 * @param texts what the caller asked for; what is left out is the checkpoint's
 * @throws OptimError `invalid-option` where they contradict the checkpoint, or leave nothing to do
 */
export function resumeOptions(
  texts: TrainOptionTexts,
  { options: saved, epoch }: TrainPosition,
): TrainOptions {
  const savedTexts = Object.fromEntries(Object.entries(saved).map(([name, value]) => [name, String(value)]));
  const given = Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined));
  const asked = readTrainOptions({ ...savedTexts, ...given });
  for (const name of Object.keys(saved) as (keyof TrainOptions)[])
    if (name !== "epochs" && asked[name] !== saved[name])
      throw contradiction(name, asked[name], saved[name], `leave out --${name}`);
  if (asked.epochs <= epoch)
    throw new OptimError("invalid-option", "The checkpoint leaves nothing to train", {
      expected: `--epochs above the ${epoch} that are done`,
      got: `--epochs ${asked.epochs}`,
      fix: `pass --epochs ${epoch + 1} or more`,
    });
  const [before, after] = [saved, asked].map((options) =>
    JSON.stringify(scheduleByName(options.schedule, options.epochs * stepsPerEpoch(options), options.seed)),
  );
  if (before !== after)
    throw contradiction(
      "epochs",
      asked.epochs,
      saved.epochs,
      `leave out --epochs: schedule ${saved.schedule} depends on their number`,
    );
  return asked;
}

const contradiction = (name: string, asked: unknown, saved: unknown, fix: string) =>
  new OptimError("invalid-option", `Option '${name}' contradicts the checkpoint`, {
    expected: `--${name} ${saved}, as in the checkpoint`,
    got: `--${name} ${asked}`,
    fix,
  });
