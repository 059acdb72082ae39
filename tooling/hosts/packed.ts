// Runs in the folder that `bench --pack` makes: measures, prints the tables, and writes bench.json.
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import type { BenchRequest } from "../../bench/events.js";
import { runBench } from "../../bench/run.js";
import { workloads } from "../../bench/workloads.js";
import { formatRows } from "../bench-table.ts";
import { describeAdapter } from "../describe-adapter.ts";
import { openGpu } from "./open-gpu.ts";

const request = JSON.parse(readFileSync("request.json", "utf8")) as BenchRequest & {
  readonly dawn: string;
};

/** For PyTorch, which steps the same shapes. */
const shapes = Object.fromEntries(
  workloads
    .filter(({ name, product }) => request.workloads.includes(name) && !product)
    .map((workload) => [workload.name, Object.values(workload.shapes())]),
);
writeFileSync("shapes.json", JSON.stringify(shapes));

const dawn = { url: new URL("webgpu/index.js", import.meta.url).href, version: request.dawn };
const found = await describeAdapter(await openGpu({ dawn, request: { job: "bench", ...request } }));
if (!found) {
  console.error("There is no WebGPU adapter: is a Vulkan driver installed, and libvulkan.so.1?");
  process.exit(1);
}
console.log(`WebGPU adapter: ${found.adapter}`);
const rows = await runBench(request, async ({ text }) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
});
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
writeFileSync("bench.json", `${JSON.stringify({ adapter: found.adapter, rows }, null, 2)}\n`);
console.log(formatRows(rows));
// Dawn's threads would keep Node alive.
process.exit();
