import type { Browser } from "puppeteer-core";
import type { TrainEvent } from "../demo/train/events.ts";
import type { TrainOptions } from "../demo/train/options.ts";

type EventOf<K extends TrainEvent["kind"]> = Extract<TrainEvent, { kind: K }>;

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
): Promise<EventOf<"done">> {
  return await runInPage(browser, url, asTexts(options), follow, "done", {
    ...(from && { readCheckpoint: () => Buffer.from(from).toString("base64") }),
    ...(keep && { keepCheckpoint: (file: string) => keep(Buffer.from(file, "base64")) }),
  });
}

/**
 * Sweeps the learning rate in a page and passes on what it reports.
 * @throws Error with the message of whatever went wrong in the page.
 */
export async function sweepInPage(
  browser: Browser,
  url: string,
  options: TrainOptions,
  follow: (event: TrainEvent) => void,
): Promise<EventOf<"swept">> {
  return await runInPage(browser, url, { ...asTexts(options), "find-lr": "1" }, follow, "swept", {});
}

const asTexts = (options: TrainOptions): Record<string, string> =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [name, String(value)]));

/** Opens the page with a query and some functions, and waits for its last event. */
async function runInPage<K extends TrainEvent["kind"]>(
  browser: Browser,
  url: string,
  query: Readonly<Record<string, string>>,
  follow: (event: TrainEvent) => void,
  last: K,
  functions: Readonly<Record<string, (text: string) => unknown>>,
): Promise<EventOf<K>> {
  const page = await browser.newPage();
  const done = new Promise<EventOf<K>>((resolve, reject) => {
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
    const isLast = (event: TrainEvent): event is EventOf<K> => event.kind === last;
    const receive = (event: TrainEvent) => {
      if (event.kind === "error") return reject(new Error(event.message));
      follow(event);
      if (isLast(event)) resolve(event);
    };
    const exposed = Object.entries({ ...functions, reportTraining: receive });
    Promise.all(exposed.map(([name, run]) => page.exposeFunction(name, run)))
      .then(() => page.goto(`${url}train/?${new URLSearchParams(query)}`))
      .catch(reject);
  });
  return await done;
}
