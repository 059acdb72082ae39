import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BenchRequest, BenchRow } from "../../bench/events.ts";
import { workloads } from "../../bench/workloads.ts";
import { benchInPage } from "../bench-page.ts";
import { formatRows } from "../bench-table.ts";
import { launchBrowser } from "../browser.ts";
import { requireNames, requireWritable } from "../check-options.ts";
import { packBench } from "../hosts/pack.ts";
import { type Host, readHost, runInHost } from "../hosts/run.ts";
import { parseOptions } from "../parse-options.ts";
import { ProgressBar } from "../progress.ts";
import { root } from "../root.ts";
import { serve } from "../serve.ts";
import { UsageError } from "../usage-error.ts";
import { wgsl } from "../wgsl-plugin.ts";

const known = workloads.map(({ name }) => name);

/** `bench […]`: measures steps in a headless browser, or in Node or Deno, side by side. It asserts no time. */
export async function benchJob(parameters: string[]): Promise<void> {
  const { request, host, json, pack } = readCommandLine(parameters);
  if (json) requireWritable("json", json);
  if (pack !== undefined) return await packBench(pack, request);
  const { adapter, rows } = await (host ? measureInHost(host, request) : measureInBrowser(request));
  if (json) writeFileSync(json, `${JSON.stringify({ adapter, rows }, null, 2)}\n`);
  console.log(formatRows(rows));
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

function readCommandLine(parameters: string[]): {
  request: BenchRequest;
  host: Host | undefined;
  json: string | undefined;
  pack: string | undefined;
} {
  const text = { type: "string" } as const;
  const { values } = parseOptions({
    args: parameters,
    options: {
      workload: { type: "string", multiple: true },
      rounds: text,
      host: text,
      json: text,
      pack: text,
      peers: { type: "boolean" },
    },
  });
  const { workload, rounds, json, pack, peers } = values;
  for (const [name, value] of Object.entries({ json, pack }))
    if (value === "") throw new UsageError(`Option '--${name}' is empty.`);
  if (pack !== undefined && (json !== undefined || values.host !== undefined || peers))
    throw new UsageError("Option '--pack' takes workloads and rounds only: what it packs runs in Node.");
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
    pack,
  };
}
