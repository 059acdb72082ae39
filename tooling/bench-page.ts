import type { Browser } from "puppeteer-core";
import type { BenchProgress, BenchRequest, BenchRow } from "../bench/events.ts";

/**
 * Measures in a page and passes on how far it is.
 * @throws Error with the message of whatever went wrong in the page.
 */
export async function benchInPage(
  browser: Browser,
  url: string,
  request: BenchRequest,
  follow: (progress: BenchProgress) => void,
): Promise<BenchRow[]> {
  const page = await browser.newPage();
  return await new Promise<BenchRow[]>((resolve, reject) => {
    page.on("error", () => reject(new Error("The page crashed.")));
    page.on("pageerror", reject);
    page.on("close", () => reject(new Error("The page was closed.")));
    page.on("response", (response) => {
      if (response.status() >= 400) reject(new Error(`${response.url()}: status ${response.status()}`));
    });
    browser.on("disconnected", () => reject(new Error("The browser ended.")));
    page
      .exposeFunction("reportBench", follow)
      .then(() => page.goto(url, { waitUntil: "load" }))
      .then(() => page.evaluate((asked) => window.runBench(asked), request))
      .then(resolve)
      .catch(reject);
  });
}
