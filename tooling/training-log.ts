import type { Comparison, TrainEvent } from "../demo/train/events.ts";
import { models } from "../demo/train/models.ts";
import type { TrainOptions } from "../demo/train/options.ts";
import { curvesSvg } from "./curves.ts";
import { formatDuration, ProgressBar } from "./progress.ts";

interface StepRecord {
  readonly step: number;
  readonly epoch: number;
  readonly rate: number;
  readonly loss: number;
}

/**
 * The outcome of a run, with loss the mean training loss of the last epoch; of what is not trained on the part that is right
 * (0 to 1), or the mean loss.
 */
export interface TrainResult extends Omit<TrainOptions, "lr" | "seed"> {
  readonly steps: number;
  readonly seconds: number;
  readonly loss: number;
  readonly accuracy?: number;
  readonly validationLoss?: number;
  readonly sample?: string;
  readonly comparison?: Comparison;
}

/** How what an evaluation gives is shown. */
const measures = {
  accuracy: {
    title: "Test accuracy",
    column: "test_accuracy",
    format: (value: number, digits = 2) => `${(100 * value).toFixed(digits)} %`,
    range: { to: 1 },
  },
  loss: {
    title: "Validation loss",
    column: "validation_loss",
    format: (value: number, digits = 3) => value.toFixed(digits),
    range: { from: 0 },
  },
} as const;

/** Keeps what a run reports and shows it on the terminal. */
export class TrainingLog {
  readonly #options: TrainOptions;
  readonly #bar = new ProgressBar();
  readonly #records: StepRecord[] = [];
  readonly #evaluations: { readonly step: number; readonly evaluated: number }[] = [];
  #last: Extract<TrainEvent, { kind: "epoch" }> | undefined;
  #steps = 0;
  #firstStep = 0;
  #done: Extract<TrainEvent, { kind: "done" }> | undefined;
  #started = 0;

  constructor(options: TrainOptions) {
    this.#options = options;
  }

  get #measure() {
    return measures[models[this.#options.model].evaluates];
  }

  add(event: TrainEvent): void {
    if (event.kind === "start") {
      this.#steps = event.steps;
      this.#firstStep = event.firstStep;
      this.#started = performance.now();
    } else if (event.kind === "steps") this.#addSteps(event);
    else if (event.kind === "epoch") this.#addEpoch(event);
    else if (event.kind === "done") this.#done = event;
  }

  /**
   * Begins with the curve of an earlier run, as {@link csv} wrote it.
   * @returns whether it holds each of the first `steps` steps; if not, nothing is taken
   */
  takeUp(csv: string, steps: number): boolean {
    const rows = csv
      .trim()
      .split("\n")
      .slice(1, steps + 1)
      .map((line) => line.split(","));
    const isRow = (row: readonly string[], index: number) =>
      row.length === 5 && Number(row[0]) === index + 1 && row.every((text) => Number.isFinite(Number(text)));
    if (rows.length !== steps || !rows.every(isRow)) return false;
    for (const [step, epoch, rate, loss, evaluated] of rows) {
      this.#records.push({
        step: Number(step),
        epoch: Number(epoch),
        rate: Number(rate),
        loss: Number(loss),
      });
      if (evaluated) this.#evaluations.push({ step: Number(step), evaluated: Number(evaluated) });
    }
    return true;
  }

  close(): void {
    this.#bar.clear();
  }

  #addSteps({ epoch, step, losses, rates }: Extract<TrainEvent, { kind: "steps" }>): void {
    losses.forEach((loss, index) => {
      this.#records.push({
        step: step - losses.length + index + 1,
        epoch,
        rate: rates[index] ?? Number.NaN,
        loss,
      });
    });
    const seconds = (performance.now() - this.#started) / 1000;
    const perSecond = (step - this.#firstStep) / seconds;
    const last = this.#records.at(-1);
    const text = [
      `epoch ${epoch}/${this.#options.epochs}`,
      `loss ${last?.loss.toFixed(4)}`,
      `rate ${last?.rate.toPrecision(3)}`,
      `${perSecond.toPrecision(3)} steps/s`,
      `${formatDuration((this.#steps - step) / perSecond)} left`,
    ].join(" ");
    this.#bar.update({ done: step / this.#steps, text });
  }

  #addEpoch(event: Extract<TrainEvent, { kind: "epoch" }>): void {
    this.#evaluations.push(event);
    this.#last = event;
    this.#bar.clear();
    const { title, format } = this.#measure;
    console.log(
      `epoch ${event.epoch}/${this.#options.epochs}  training loss ${event.loss.toFixed(4)}  ${title.toLowerCase()} ${format(event.evaluated)}`,
    );
  }

  /** @throws Error before the end of the first epoch. */
  result(): TrainResult {
    const last = this.#last;
    if (!last) throw new Error("The training ended without an epoch.");
    const { model, optimizer, schedule, batch, epochs } = this.#options;
    const { seconds = 0, sample, comparison } = this.#done ?? {};
    return {
      model,
      optimizer,
      schedule,
      batch,
      epochs,
      steps: this.#steps,
      seconds: Number(seconds.toFixed(3)),
      loss: last.loss,
      [models[model].evaluates === "accuracy" ? "accuracy" : "validationLoss"]: last.evaluated,
      ...(sample !== undefined && { sample }),
      ...(comparison && { comparison }),
    };
  }

  /** What to say at the end. */
  summary(): string {
    const { steps, seconds, accuracy, validationLoss, sample, comparison } = this.result();
    const { title, format } = this.#measure;
    const lines = [
      `${title} ${format(accuracy ?? validationLoss!)} after ${steps} steps in ${seconds.toFixed(1)} s.`,
    ];
    if (sample !== undefined) lines.push(`It writes: ${sample}`);
    if (comparison) {
      const { ours, jax } = comparison;
      lines.push(
        `With jax-js's own Adam step, jitted, the run would take ${(jax.step / ours.step).toPrecision(3)} times as long` +
          ` (${jax.step.toFixed(1)} ms a step for ${ours.step.toFixed(1)}; of these the update ${jax.update.toFixed(1)} for ${ours.update.toFixed(1)}).`,
      );
    }
    return lines.join("\n");
  }

  /** One line for each step; what the evaluation gives stands at the last step of each epoch. */
  csv(): string {
    const evaluations = new Map(this.#evaluations.map(({ step, evaluated }) => [step, evaluated]));
    const lines = this.#records.map(
      ({ step, epoch, rate, loss }) => `${step},${epoch},${rate},${loss},${evaluations.get(step) ?? ""}`,
    );
    return `step,epoch,rate,training_loss,${this.#measure.column}\n${lines.join("\n")}\n`;
  }

  /** Training loss, evaluations and learning rate over the steps. */
  svg(): string {
    const { title, format, range } = this.#measure;
    return curvesSvg(
      [
        {
          title: "Training loss",
          points: this.#records.map(({ step, loss }) => ({ step, value: loss })),
          format: (value) => value.toFixed(2),
          from: 0,
        },
        {
          title,
          points: this.#evaluations.map(({ step, evaluated }) => ({ step, value: evaluated })),
          format: (value) => format(value, title === "Test accuracy" ? 1 : 2),
          ...range,
        },
        {
          title: "Learning rate",
          points: this.#records.map(({ step, rate }) => ({ step, value: rate })),
          format: (value) => value.toPrecision(2),
          from: 0,
        },
      ],
      this.#steps,
    );
  }
}
