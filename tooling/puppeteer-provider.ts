import { defineBrowserProvider } from "@vitest/browser";
import type { CDPSession, Page } from "puppeteer-core";
import { type GpuBrowser, launchBrowser } from "./browser.ts";

declare module "vitest/browser" {
  /** The page's session of the Chrome DevTools Protocol. Vitest types this only for its own providers. */
  export const cdp: () => { send(method: string, parameters?: object): Promise<unknown> };
}

/** Vitest's browser mode on puppeteer-core: a headless browser with WebGPU and one page for each session. */
export function puppeteer() {
  return defineBrowserProvider({
    name: "puppeteer",
    supportedBrowser: ["chromium"],
    providerFactory(project) {
      // A browser each: a second page of one is hidden, gets no animation frames and so never runs its tests, and both
      // would wait for one GPU process.
      const sessions = new Map<string, Promise<{ gpu: GpuBrowser; page: Page }>>();
      const pageOf = async (sessionId: string): Promise<Page> => {
        const session = sessions.get(sessionId);
        if (!session) throw new Error(`No page is open for session ${sessionId}.`);
        return (await session).page;
      };
      const open = async () => {
        const gpu = await launchBrowser();
        return { gpu, page: await gpu.browser.newPage() };
      };
      return {
        name: "puppeteer",
        supportsParallelism: true,
        getCommandsContext: () => ({}),
        async openPage(sessionId, url) {
          const first = sessions.size === 0;
          const session = sessions.get(sessionId) ?? open();
          sessions.set(sessionId, session);
          const { gpu, page } = await session;
          if (first) project.vitest.logger.log(`WebGPU adapter: ${gpu.adapter}`);
          await page.goto(url, { timeout: 0 });
        },
        async getCDPSession(sessionId): Promise<CDPSession> {
          return await (await pageOf(sessionId)).createCDPSession();
        },
        async close() {
          const open = [...sessions.values()];
          sessions.clear();
          for (const session of await Promise.allSettled(open))
            if (session.status === "fulfilled") await session.value.gpu.close();
        },
      };
    },
  });
}
