import { join } from "node:path";
import type { StreamRow } from "../../bench/streams.ts";
import { launchBrowser } from "../browser.ts";
import { parseOptions } from "../parse-options.ts";
import { root } from "../root.ts";
import { serve } from "../serve.ts";
import { wgsl } from "../wgsl-plugin.ts";

/** `bench`: measures in a headless browser and prints; it asserts no time. */
export async function benchJob(parameters: string[]): Promise<void> {
  parseOptions({ args: parameters, options: {} });
  const server = await serve({
    configFile: false,
    root: join(root, "bench"),
    plugins: [wgsl()],
    server: { fs: { allow: [root] } },
  });
  const gpu = await launchBrowser();
  try {
    console.log(`WebGPU adapter: ${gpu.adapter}`);
    const page = await gpu.browser.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.goto(server.url, { waitUntil: "load" });
    const rows = await page.evaluate(() => window.measureStreams());
    const copy = rows.find(({ engine }) => engine === "copy")?.bytesPerSecond ?? Number.NaN;
    console.table(rows.map((row) => describe(row, copy)));
  } finally {
    await gpu.close();
    await server.close();
  }
}

const describe = ({ engine, parameters, medianMs, bytesPerSecond }: StreamRow, copy: number) => ({
  engine,
  parameters,
  "median ms": Number(medianMs.toFixed(1)),
  "GB/s": Number((bytesPerSecond / 1e9).toFixed(2)),
  "of copy": Number((bytesPerSecond / copy).toFixed(2)),
});
