/** What the job knows of a model without loading it. */
export interface ModelRow {
  readonly description: string;
  /** Examples of an epoch. */
  readonly examples: number;
  readonly batch: number;
  readonly epochs: number;
  /** The batch that the rates are tuned for: below it they fall. */
  readonly tunedBatch: number;
  /** Peak rates of its own, by optimizer. */
  readonly rates: Readonly<Record<string, number>>;
  /** What an evaluation gives: the part that is right (0 to 1), or the mean loss, of examples that are not trained on. */
  readonly evaluates: "accuracy" | "loss";
}

export const models = {
  mlp: {
    description: "a network of 784, 128 and 10 units, on MNIST",
    examples: 60_000,
    batch: 128,
    epochs: 5,
    tunedBatch: 128,
    rates: {},
    evaluates: "accuracy",
  },
  cnn: {
    description: "two convolutions and a dense layer, on MNIST",
    examples: 60_000,
    batch: 128,
    epochs: 4,
    tunedBatch: 128,
    rates: { adam: 5e-3, adamw: 5e-3 },
    evaluates: "accuracy",
  },
  gpt: {
    description: "a transformer of two layers over characters, on the documentation of Node.js",
    // Windows of the text, at random places.
    examples: 2_048,
    batch: 8,
    epochs: 3,
    tunedBatch: 8,
    rates: { adam: 5e-3, adamw: 5e-3 },
    evaluates: "loss",
  },
} as const satisfies Readonly<Record<string, ModelRow>>;

export type ModelName = keyof typeof models;

/** All names, the default first. */
export const modelNames = Object.keys(models) as ModelName[];
