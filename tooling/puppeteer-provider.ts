import { defineBrowserProvider } from "@vitest/browser";
import type { CDPSession, Page } from "puppeteer-core";
import { type GpuBrowser, launchBrowser } from "./browser.ts";

declare module "vitest/browser" {
  /** The page's session of the Chrome DevTools Protocol. Vitest types this only for its own providers. */
  export const cdp: () => { send(method: string, parameters?: object): Promise<unknown> };
}

/** Vitest's browser mode on puppeteer-core: one headless browser with WebGPU, one page for each session. */
export function puppeteer() {
  return defineBrowserProvider({
    name: "puppeteer",
    supportedBrowser: ["chromium"],
    providerFactory(project) {
      let launching: Promise<GpuBrowser> | undefined;
      const pages = new Map<string, Page>();
      const pageOf = (sessionId: string): Page => {
        const page = pages.get(sessionId);
        if (!page) throw new Error(`No page is open for session ${sessionId}.`);
        return page;
      };
      return {
        name: "puppeteer",
        // A second page is hidden, gets no animation frames and so never runs its tests.
        supportsParallelism: false,
        getCommandsContext: (sessionId) => ({ page: pageOf(sessionId) }),
        async openPage(sessionId, url) {
          if (!launching) {
            launching = launchBrowser();
            project.vitest.logger.log(`WebGPU adapter: ${(await launching).adapter}`);
          }
          const { browser } = await launching;
          await pages.get(sessionId)?.close();
          const page = await browser.newPage();
          pages.set(sessionId, page);
          await page.goto(url, { timeout: 0 });
        },
        async getCDPSession(sessionId): Promise<CDPSession> {
          return await pageOf(sessionId).createCDPSession();
        },
        async close() {
          pages.clear();
          await (await launching)?.close();
        },
      };
    },
  });
}
