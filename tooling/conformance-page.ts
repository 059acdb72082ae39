import type { Browser } from "puppeteer-core";
import type { ConformanceEvent, ConformanceRequest } from "../demo/conformance/events.ts";

/** How far a run is. */
export type Progress = Extract<ConformanceEvent, { kind: "progress" }>;
/** What a run ends with. */
export type Result = Extract<ConformanceEvent, { kind: "done" | "judged" }>;

/**
 * Runs conformance in a page and passes on how far it is.
 * @throws Error with the message of whatever went wrong in the page.
 */
export async function conformInPage(
  browser: Browser,
  url: string,
  request: ConformanceRequest,
  follow: (progress: Progress) => void,
): Promise<Result> {
  const page = await browser.newPage();
  return await new Promise<Result>((resolve, reject) => {
    page.on("error", () => reject(new Error("The page crashed.")));
    page.on("pageerror", reject);
    page.on("close", () => reject(new Error("The page was closed.")));
    page.on("response", (response) => {
      if (response.status() >= 400) reject(new Error(`${response.url()}: status ${response.status()}`));
    });
    browser.on("disconnected", () => reject(new Error("The browser ended.")));
    const receive = (event: ConformanceEvent) => {
      if (event.kind === "error") reject(new Error(event.message));
      else if (event.kind === "progress") follow(event);
      else resolve(event);
    };
    Promise.all([
      page.exposeFunction("reportConformance", receive),
      page.exposeFunction("readConformanceRequest", () => request),
    ])
      .then(() => page.goto(`${url}conformance/`))
      .catch(reject);
  });
}
