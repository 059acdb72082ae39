import type { Browser } from "puppeteer-core";
import type { TrainEvent } from "../demo/train/events.ts";
import type { TrainOptions } from "../demo/train/options.ts";

type DoneEvent = Extract<TrainEvent, { kind: "done" }>;

/**
 * Trains in a page and passes on what it reports.
 * @throws Error with the message of whatever went wrong in the page.
 */
export async function trainInPage(
  browser: Browser,
  url: string,
  options: TrainOptions,
  follow: (event: TrainEvent) => void,
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
    page
      .exposeFunction("reportTraining", receive)
      .then(() => page.goto(`${url}?${query}`))
      .catch(reject);
  });
  return await done;
}
