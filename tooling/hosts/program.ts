// Runs in Node or Deno: does what the file of its one argument asks for, and answers with events on standard output.
import { readFileSync } from "node:fs";
import process from "node:process";
import { runBench } from "../../bench/run.js";
import { runConformance } from "../../src/conformance/index.ts";
import { requestDevice, rules } from "../../src/index.ts";
import { describeAdapter } from "../describe-adapter.ts";
import { type HostEvent, MARK, type Started } from "./events.ts";
import { openGpu } from "./open-gpu.ts";

const send = (event: HostEvent) =>
  new Promise<void>((resolve) => process.stdout.write(`${MARK}${JSON.stringify(event)}\n`, () => resolve()));

async function answer(started: Started): Promise<void> {
  const gpu = await openGpu(started);
  const found = await describeAdapter(gpu);
  if (!found) throw new Error("The host gives no WebGPU adapter.");
  await send({ kind: "adapter", adapter: found.adapter });
  const { request } = started;
  if (request.job === "bench") {
    const rows = await runBench(request, (progress) => send({ kind: "bench", ...progress }));
    return await send({ kind: "rows", rows });
  }
  const device = await requestDevice({ gpu, label: "conformance" });
  const { rules: names, vectors = [] } = request;
  const report = await runConformance(device, {
    rules: rules.filter(({ row }) => !names || names.includes(row.name)),
    vectors,
    onProgress: ({ done, total, failed, cases }) =>
      void send({ kind: "progress", done, total, failed, id: cases.at(-1)?.id ?? "" }),
  });
  device.destroy();
  await send({ kind: "done", report });
}

try {
  await answer(JSON.parse(readFileSync(process.argv[2]!, "utf8")) as Started);
} catch (error) {
  await send({ kind: "error", message: error instanceof Error ? error.message : String(error) });
}
// Dawn's threads would keep Node alive.
process.exit();
