import type { Browser } from "puppeteer-core";
import type { TrainEvent } from "../demo/train/events.ts";
import type { TrainOptions } from "../demo/train/options.ts";

type DoneEvent = Extract<TrainEvent, { kind: "done" }>;

/** The checkpoint to go on from, and what is done with those of the run. */
export interface PageCheckpoints {
  readonly from: Uint8Array | undefined;
  readonly keep: ((file: Uint8Array) => void) | undefined;
}

/**
 * Trains in a page and passes on what it reports.
 * @throws Error with the message of whatever went wrong in the page.
 */
export async function trainInPage(
  browser: Browser,
  url: string,
  options: TrainOptions,
  follow: (event: TrainEvent) => void,
  { from, keep }: PageCheckpoints,
): Promise<DoneEvent> {
  const page = await browser.newPage();
  const done = new Promise<DoneEvent>((resolve, reject) => {
    page.on("error", () => reject(new Error("The page crashed.")));
    page.on("pageerror", reject);
    page.on("close", () => reject(new Error("The page was closed.")));
    page.on("requestfailed", (request) =>
      reject(new Error(`${request.url()} could not be loaded: ${request.failure()?.errorText}`)),
    );
    page.on("response", (response) => {
      if (response.status() >= 400) reject(new Error(`${response.url()}: status ${response.status()}`));
    });
    browser.on("disconnected", () => reject(new Error("The browser ended.")));
    const receive = (event: TrainEvent) => {
      if (event.kind === "error") return reject(new Error(event.message));
      follow(event);
      if (event.kind === "done") resolve(event);
    };
    const query = new URLSearchParams(Object.entries(options).map(([name, value]) => [name, String(value)]));
    const functions = [
      page.exposeFunction("reportTraining", receive),
      from && page.exposeFunction("readCheckpoint", () => Buffer.from(from).toString("base64")),
      keep && page.exposeFunction("keepCheckpoint", (file: string) => keep(Buffer.from(file, "base64"))),
    ];
    Promise.all(functions)
      .then(() => page.goto(`${url}?${query}`))
      .catch(reject);
  });
  return await done;
}
