import type { TrainEvent } from "../demo/train/events.ts";
import type { TrainOptions } from "../demo/train/options.ts";
import { curvesSvg } from "./curves.ts";
import { formatDuration, ProgressBar } from "./progress.ts";

interface StepRecord {
  readonly step: number;
  readonly epoch: number;
  readonly rate: number;
  readonly loss: number;
}

/** The outcome of a run, with loss the mean training loss of the last epoch, and accuracy (0 to 1) on the test set. */
export interface TrainResult extends Omit<TrainOptions, "lr" | "seed"> {
  readonly steps: number;
  readonly seconds: number;
  readonly loss: number;
  readonly accuracy: number;
}

/** Keeps what a run reports and shows it on the terminal. */
export class TrainingLog {
  readonly #options: TrainOptions;
  readonly #bar = new ProgressBar();
  readonly #records: StepRecord[] = [];
  readonly #accuracies: { readonly step: number; readonly accuracy: number }[] = [];
  #last: Extract<TrainEvent, { kind: "epoch" }> | undefined;
  #steps = 0;
  #firstStep = 0;
  #seconds = 0;
  #started = 0;

  constructor(options: TrainOptions) {
    this.#options = options;
  }

  add(event: TrainEvent): void {
    if (event.kind === "start") {
      this.#steps = event.steps;
      this.#firstStep = event.firstStep;
      this.#started = performance.now();
    } else if (event.kind === "steps") this.#addSteps(event);
    else if (event.kind === "epoch") this.#addEpoch(event);
    else if (event.kind === "done") this.#seconds = event.seconds;
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
    for (const [step, epoch, rate, loss, accuracy] of rows) {
      this.#records.push({
        step: Number(step),
        epoch: Number(epoch),
        rate: Number(rate),
        loss: Number(loss),
      });
      if (accuracy) this.#accuracies.push({ step: Number(step), accuracy: Number(accuracy) });
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
    this.#accuracies.push(event);
    this.#last = event;
    this.#bar.clear();
    const accuracy = (100 * event.accuracy).toFixed(2);
    console.log(
      `epoch ${event.epoch}/${this.#options.epochs}  training loss ${event.loss.toFixed(4)}  test accuracy ${accuracy} %`,
    );
  }

  /** @throws Error before the end of the first epoch. */
  result(): TrainResult {
    const last = this.#last;
    if (!last) throw new Error("The training ended without an epoch.");
    const { optimizer, schedule, batch, epochs } = this.#options;
    return {
      optimizer,
      schedule,
      batch,
      epochs,
      steps: this.#steps,
      seconds: Number(this.#seconds.toFixed(3)),
      loss: last.loss,
      accuracy: last.accuracy,
    };
  }

  /** One line for each step; the test accuracy stands at the last step of each epoch. */
  csv(): string {
    const accuracies = new Map(this.#accuracies.map(({ step, accuracy }) => [step, accuracy]));
    const lines = this.#records.map(
      ({ step, epoch, rate, loss }) => `${step},${epoch},${rate},${loss},${accuracies.get(step) ?? ""}`,
    );
    return `step,epoch,rate,training_loss,test_accuracy\n${lines.join("\n")}\n`;
  }

  /** Training loss, test accuracy and learning rate over the steps. */
  svg(): string {
    return curvesSvg(
      [
        {
          title: "Training loss",
          points: this.#records.map(({ step, loss }) => ({ step, value: loss })),
          format: (value) => value.toFixed(2),
          from: 0,
        },
        {
          title: "Test accuracy",
          points: this.#accuracies.map(({ step, accuracy }) => ({ step, value: accuracy })),
          format: (value) => `${(100 * value).toFixed(1)} %`,
          to: 1,
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
