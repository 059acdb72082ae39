import { fromBase64, toBase64 } from "./base64.js";
import type { TrainEvent } from "./events.js";
import { findRate } from "./find-rate.js";
import { loadTask } from "./load-task.js";
import { readTrainOptions, type TrainOptionTexts } from "./options.js";
import { startDevice, train } from "./train.js";
import { runView, showForm, showStatus } from "./view.js";

declare global {
  interface Window {
    /** Set by the headless runner, which follows the run. */
    reportTraining?: (event: TrainEvent) => void;
    /** Set by the runner where a run goes on: the checkpoint, base64. */
    readCheckpoint?: () => Promise<string>;
    /** Set by the runner where checkpoints are kept: takes one, base64. */
    keepCheckpoint?: (file: string) => Promise<void>;
  }
}

// An empty field of the form means the default.
const texts: TrainOptionTexts & { readonly "find-lr"?: string } = Object.fromEntries(
  [...new URLSearchParams(location.search)].filter(([, value]) => value !== ""),
);
let show: (event: TrainEvent) => void = () => {};

function report(event: TrainEvent): void {
  show(event);
  window.reportTraining?.(event);
}

function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  showStatus(message);
  report({ kind: "error", message });
}

window.addEventListener("error", (event) => fail(event.error ?? event.message));
window.addEventListener("unhandledrejection", (event) => fail(event.reason));

async function run(): Promise<void> {
  const { "find-lr": findLr, ...given } = texts;
  const options = readTrainOptions(given);
  show = runView(options);
  showStatus("Loading …");
  const device = await startDevice();
  device.addEventListener("uncapturederror", ({ error }) => fail(new Error(`GPU error: ${error.message}`)));
  void device.lost.then(({ message }) => fail(new Error(`The GPU device was lost: ${message}`)));
  const task = await loadTask(options);
  if (findLr) return await findRate(task, options, report);
  const { readCheckpoint, keepCheckpoint } = window;
  await train(task, options, report, {
    from: readCheckpoint && fromBase64(await readCheckpoint()),
    keep: keepCheckpoint && ((file) => keepCheckpoint(toBase64(file))),
  });
}

showForm(texts);
// The form sends its fields in the address, where the headless runner puts its options, too.
if (location.search) run().catch(fail);
