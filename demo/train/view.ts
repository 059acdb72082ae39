import { defaultRates } from "./defaults.js";
import type { TrainEvent } from "./events.js";
import { modelNames, models } from "./models.js";
import type { TrainOptions, TrainOptionTexts } from "./options.js";
import { scheduleNames } from "./schedules.js";

function find<T extends Element>(selector: string, type: new () => T): T {
  const element = document.querySelector(selector);
  if (element instanceof type) return element;
  throw new Error(`The page has no ${selector}.`);
}

/** Fills the form's lists and puts in what the address says. */
export function showForm(texts: TrainOptionTexts): void {
  const optimizers = find("select[name=optimizer]", HTMLSelectElement);
  optimizers.append(
    ...Object.keys(defaultRates).map((name) => new Option(name, name, false, name === "adamw")),
  );
  find("select[name=model]", HTMLSelectElement).append(...modelNames.map((name) => new Option(name)));
  find("select[name=schedule]", HTMLSelectElement).append(...scheduleNames.map((name) => new Option(name)));
  for (const [name, value] of Object.entries(texts)) {
    const field = document.querySelector(`[name=${name}]`);
    if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) field.value = value ?? "";
  }
}

/** Says something below the form. */
export function showStatus(text: string): void {
  find("#status", HTMLElement).textContent = text;
}

/** Shows the run as it goes. */
export function runView(options: TrainOptions): (event: TrainEvent) => void {
  const progress = find("#progress", HTMLProgressElement);
  const table = find("#epochs", HTMLTableElement);
  let steps = 1;
  return (event) => {
    switch (event.kind) {
      case "start":
        steps = event.steps;
        progress.hidden = false;
        find("#measure", HTMLElement).textContent =
          models[options.model].evaluates === "accuracy" ? "Test accuracy" : "Validation loss";
        showStatus(
          `Training ${models[options.model].description}, with ${options.optimizer} for ${steps} steps …`,
        );
        break;
      case "steps": {
        progress.value = event.step / steps;
        const loss = event.losses.at(-1)?.toFixed(4);
        const rate = event.rates.at(-1)?.toPrecision(3);
        showStatus(
          `Epoch ${event.epoch} of ${options.epochs}, step ${event.step} of ${steps}, loss ${loss}, rate ${rate}`,
        );
        break;
      }
      case "epoch": {
        table.hidden = false;
        const row = find("#epochs tbody", HTMLTableSectionElement).insertRow();
        for (const text of [
          `${event.epoch}`,
          event.loss.toFixed(4),
          models[options.model].evaluates === "accuracy"
            ? `${(100 * event.evaluated).toFixed(2)} %`
            : event.evaluated.toFixed(3),
        ])
          row.insertCell().textContent = text;
        break;
      }
      case "done":
        showStatus(
          [`Done in ${event.seconds.toFixed(1)} s.`, event.sample && `It writes: ${event.sample}`]
            .filter(Boolean)
            .join(" "),
        );
        break;
      case "swept": {
        progress.value = 1;
        const figure = find("#sweep", HTMLElement);
        figure.hidden = false;
        figure.innerHTML = event.svg;
        const rate = event.suggestion?.rate.toPrecision(2);
        showStatus(rate ? `Proposed learning rate: ${rate}` : "At no rate did the loss fall.");
        break;
      }
      case "error":
        showStatus(event.message);
    }
  };
}
