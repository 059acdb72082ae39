import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchRequest, BenchRow } from "../../bench/events.ts";
import { fitCost } from "../../bench/fit.ts";
import { workloads } from "../../bench/workloads.ts";
import { benchInPage } from "../bench-page.ts";
import { launchBrowser } from "../browser.ts";
import { requireNames, requireWritable } from "../check-options.ts";
import { type Host, readHost, runInHost } from "../hosts/run.ts";
import { parseOptions } from "../parse-options.ts";
import { ProgressBar } from "../progress.ts";
import { root } from "../root.ts";
import { serve } from "../serve.ts";
import { formatTable } from "../table.ts";
import { UsageError } from "../usage-error.ts";
import { wgsl } from "../wgsl-plugin.ts";

const known = workloads.map(({ name }) => name);

/** `bench […]`: measures steps in a headless browser, or in Node or Deno, side by side. It asserts no time. */
export async function benchJob(parameters: string[]): Promise<void> {
  const { request, host, json } = readCommandLine(parameters);
  if (json) requireWritable("json", json);
  const { adapter, rows } = await (host ? measureInHost(host, request) : measureInBrowser(request));
  if (json) writeFileSync(json, `${JSON.stringify({ adapter, rows }, null, 2)}\n`);
  for (const workload of request.workloads) print(rows.filter((row) => row.workload === workload));
  printCost(rows.filter(({ engine, optimizer }) => engine === "webgpu-optim-arena" && optimizer === "adam"));
}

/** What a step over an arena costs by parameters, and how far it is from that for many tensors. */
function printCost(rows: readonly BenchRow[]): void {
  const cost = fitCost(rows.filter(({ tensors }) => tensors === 1));
  if (!cost) return;
  const { step, parameter } = cost;
  console.log(
    `\nAdam over an arena, by one tensor: ${digits(step)} ms and ${digits(1e6 * parameter)} ns a parameter.`,
  );
  for (const { workload, parameters, medianMs } of rows)
    console.log(`  ${workload}: ${(medianMs / (step + parameter * parameters)).toFixed(2)} of that`);
}

interface Measured {
  readonly adapter: string;
  readonly rows: readonly BenchRow[];
}

async function measureInBrowser(request: BenchRequest): Promise<Measured> {
  const server = await serve({
    configFile: false,
    root: join(root, "bench"),
    plugins: [wgsl()],
    // Named here, so that it is not found while the page loads, which would load the page again.
    optimizeDeps: {
      include: ["@jax-js/jax", "@tensorflow/tfjs-backend-webgpu", "@tensorflow/tfjs-core"],
    },
    server: { fs: { allow: [root] } },
  });
  const gpu = await launchBrowser();
  console.log(`WebGPU adapter: ${gpu.adapter}`);
  const bar = new ProgressBar();
  const rows = await benchInPage(gpu.browser, server.url, request, (progress) =>
    bar.update(progress),
  ).finally(async () => {
    bar.clear();
    await gpu.close();
    await server.close();
  });
  return { adapter: gpu.adapter, rows };
}

async function measureInHost(host: Host, request: BenchRequest): Promise<Measured> {
  const bar = new ProgressBar();
  let adapter = "";
  let rows: readonly BenchRow[] = [];
  await runInHost(host, { job: "bench", ...request }, (event) => {
    if (event.kind === "adapter") {
      ({ adapter } = event);
      console.log(`WebGPU adapter: ${adapter}`);
    } else if (event.kind === "bench") bar.update(event);
    else if (event.kind === "rows") ({ rows } = event);
  }).finally(() => bar.clear());
  return { adapter, rows };
}

/** Three digits at least, never as a power of ten. */
const digits = (value: number) => (value < 100 ? value.toPrecision(3) : value.toFixed(0));

function print(rows: readonly BenchRow[]): void {
  const { workload, tensors, parameters } = rows[0]!;
  console.log(`\n${workload}: ${tensors} tensors, ${parameters} parameters`);
  const headings = ["engine", "optimizer", "ms", "ratio", "dispatches", "objects", "MB moved", "GB/s"];
  const lines = rows.map((row) => [
    row.engine,
    row.optimizer,
    digits(row.medianMs),
    row.ratio.toFixed(2),
    String(row.dispatches),
    String(row.objectsMade),
    (row.bytesMoved / 1e6).toFixed(2),
    (row.bytesPerSecond / 1e9).toFixed(2),
  ]);
  console.log(formatTable(headings, lines));
}

function readCommandLine(parameters: string[]): {
  request: BenchRequest;
  host: Host | undefined;
  json: string | undefined;
} {
  const text = { type: "string" } as const;
  const { values } = parseOptions({
    args: parameters,
    options: {
      workload: { type: "string", multiple: true },
      rounds: text,
      host: text,
      json: text,
      peers: { type: "boolean" },
    },
  });
  const { workload, rounds, json, peers } = values;
  if (json === "") throw new UsageError("Option '--json' is empty.");
  if (rounds !== undefined && !/^[1-9]\d{0,3}$/.test(rounds))
    throw new UsageError(`Option '--rounds': ${rounds} is no whole number from 1 to 9999.`);
  requireNames("workload", workload ?? [], known);
  const host = readHost(values.host ?? "chrome");
  if (host && peers)
    throw new UsageError("Option '--peers' needs a page: the other libraries are measured there.");
  return {
    host,
    request: {
      // In their own order, each once.
      workloads: known.filter((name) => !workload || workload.includes(name)),
      ...(rounds !== undefined && { rounds: Number(rounds) }),
      ...(peers && { peers }),
    },
    json,
  };
}
