// The browser has nothing to say about a whole life of optimizers: no warning, no error.
import { join } from "node:path";
import { expect, test } from "vitest";
import { launchBrowser } from "../../tooling/browser.js";
import { serve } from "../../tooling/serve.js";
import { wgsl } from "../../tooling/wgsl-plugin.js";

const root = join(import.meta.dirname, "../..");

test("nothing is printed to the console of the page", async () => {
  const server = await serve({
    configFile: false,
    root: join(import.meta.dirname, "life"),
    cacheDir: join(root, "node_modules/.vite-life"),
    plugins: [wgsl()],
    server: { fs: { allow: [root] } },
  });
  const gpu = await launchBrowser();
  try {
    const page = await gpu.browser.newPage();
    const said: string[] = [];
    page.on("console", (message) => {
      if (!message.text().startsWith("[vite]")) said.push(`${message.type()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => said.push(String(error)));
    await page.goto(server.url, { waitUntil: "load" });
    await page.evaluate(() => window.live());
    // What the browser says comes by a task of its own.
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(said).toEqual([]);
    // And it would be heard.
    await page.evaluate(async () => {
      const adapter = await navigator.gpu.requestAdapter();
      const device = await adapter!.requestDevice();
      device.createBuffer({ size: 3, usage: 0 });
      await device.queue.onSubmittedWorkDone();
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(said).not.toEqual([]);
  } finally {
    await gpu.close();
    await server.close();
  }
});
