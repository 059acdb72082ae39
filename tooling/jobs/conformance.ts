import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { ConformanceRequest } from "../../demo/conformance/events.ts";
import { figure, seconds } from "../../demo/conformance/figures.ts";
import { libraries } from "../../demo/conformance/libraries/index.ts";
import { toJUnit } from "../../src/conformance/junit.ts";
import { type ConformanceReport, summarize } from "../../src/conformance/report.ts";
import type { SubjectReport } from "../../src/conformance/subject.ts";
import type { VectorFile } from "../../src/conformance/vector-cases.ts";
import { reference } from "../../src/reference/rules.ts";
import { launchBrowser } from "../browser.ts";
import { requireNames, requireWritable } from "../check-options.ts";
import { conformInPage, type Progress, type Result } from "../conformance-page.ts";
import { type Host, readHost, runInHost } from "../hosts/run.ts";
import { parseOptions } from "../parse-options.ts";
import { ProgressBar } from "../progress.ts";
import { root } from "../root.ts";
import { serve } from "../serve.ts";
import { formatTable } from "../table.ts";
import { UsageError } from "../usage-error.ts";

/**
 * `conformance […]`: holds every rule, dialect, schedule and recorded run against the reference in a headless browser,
 * or in Node or Deno. The exit code is 1 if a case failed.
 */
export async function conformanceJob(parameters: string[]): Promise<void> {
  const { request, host, json, junit } = readCommandLine(parameters);
  for (const [name, file] of Object.entries({ json, junit })) if (file) requireWritable(name, file);
  const result = await (host ? conformInHost(host, request) : conformInBrowser(request));
  if (json) writeFileSync(json, `${JSON.stringify(result.report, null, 2)}\n`);
  if (result.kind === "judged") return printSubject(result.report);
  if (junit) writeFileSync(junit, toJUnit(result.report));
  printReport(result.report);
  if (result.report.failed > 0) process.exitCode = 1;
}

const show = (bar: ProgressBar, { done, total, failed, id }: Progress) =>
  bar.update({ done: done / total, text: `${done} of ${total}, ${failed} failed, ${id}` });

async function conformInBrowser(request: ConformanceRequest): Promise<Result> {
  const server = await serve({ configFile: join(root, "demo/vite.config.ts") });
  const gpu = await launchBrowser();
  console.log(`WebGPU adapter: ${gpu.adapter}`);
  const bar = new ProgressBar();
  return await conformInPage(gpu.browser, server.url, request, (progress) => show(bar, progress)).finally(
    async () => {
      bar.clear();
      await gpu.close();
      await server.close();
    },
  );
}

async function conformInHost(host: Host, request: ConformanceRequest): Promise<Result> {
  const bar = new ProgressBar();
  const vectors = request.vectors ?? builtInVectors();
  let result: Result | undefined;
  await runInHost(host, { job: "conformance", ...request, vectors }, (event) => {
    if (event.kind === "adapter") console.log(`WebGPU adapter: ${event.adapter}`);
    else if (event.kind === "progress") show(bar, event);
    else if (event.kind === "done") result = event;
  }).finally(() => bar.clear());
  return result!;
}

/** The recorded runs that pages load, too. */
const builtInVectors = (): VectorFile[] =>
  readFolder(join(root, "test/vectors")).filter(({ file }) => /[\\/](optimizers|schedules)[\\/]/.test(file));

function printReport(report: ConformanceReport): void {
  const lines = summarize(report.cases).map(({ rule, cases, failed, worstUlp, worstError }) => [
    rule,
    String(cases),
    figure(worstUlp),
    figure(worstError),
    failed === 0 ? "pass" : `${failed} FAILED`,
  ]);
  console.log(formatTable(["rule", "cases", "worst ULP", "worst error", "result"], lines));
  for (const { id, error } of report.cases) if (error !== undefined) console.log(`FAILED ${id}\n  ${error}`);
  console.log(`${report.cases.length} cases in ${seconds(report.seconds)}.`);
  console.log(`${report.passed} passed, ${report.failed} failed`);
}

function printSubject({ library, version, backend, cases }: SubjectReport): void {
  console.log(`${library} ${version}, backend ${backend}, against the float64 reference:`);
  const lines = cases.map(({ optimizer, config, against, agrees, worstError, partsAt }) => [
    `${optimizer}(${Object.entries(config)
      .map(([key, value]) => `${key} ${value}`)
      .join(", ")})`,
    against,
    figure(worstError),
    agrees ? "agrees" : `parts after step ${partsAt}`,
  ]);
  console.log(formatTable(["optimizer", "against", "worst error", "result"], lines));
  for (const { optimizer, against, agrees, rule, formula, at } of cases)
    if (!agrees) console.log(`${optimizer} parts from its ${against} (${rule}: ${formula})\n  ${at}`);
  const parted = cases.filter(({ agrees }) => !agrees).length;
  console.log(`${cases.length - parted} agree, ${parted} part`);
}

function readCommandLine(parameters: string[]): {
  request: ConformanceRequest;
  host: Host | undefined;
  json: string | undefined;
  junit: string | undefined;
} {
  const text = { type: "string" } as const;
  const { values } = parseOptions({
    args: parameters,
    options: {
      vectors: { type: "string", multiple: true },
      json: text,
      junit: text,
      rule: { type: "string", multiple: true },
      library: text,
      host: text,
    },
  });
  const { vectors, rule, json, junit, library } = values;
  const host = readHost(values.host ?? "chrome");
  for (const [name, value] of Object.entries({ json, junit, library }))
    if (value === "") throw new UsageError(`Option '--${name}' is empty.`);
  requireNames("rule", rule ?? [], Object.keys(reference));
  requireNames("library", library === undefined ? [] : [library], Object.keys(libraries));
  if (json && junit && resolve(json) === resolve(junit))
    throw new UsageError("Options '--json' and '--junit' name the same file.");
  if (library !== undefined && (vectors || rule || junit))
    throw new UsageError("Option '--library' goes with '--json' only.");
  if (library !== undefined && host) throw new UsageError("Option '--library' is for Chrome only.");
  return {
    host,
    request: {
      ...(rule && { rules: rule }),
      ...(vectors && { vectors: vectors.flatMap(readFolder) }),
      ...(library !== undefined && { library }),
    },
    json,
    junit,
  };
}

/** Whether a path leads to a folder; a link that leads nowhere does not. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/**
 * Every JSON file under a folder, in the order of their names.
 * @throws UsageError where there is none
 */
function readFolder(folder: string): VectorFile[] {
  if (!isFolder(folder)) throw new UsageError(`Option '--vectors': ${folder} is no folder.`);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(({ name }) => name.endsWith(".json"))
    .map((entry) => join(entry.parentPath, entry.name))
    // Links to files count, too.
    .filter((path) => !isFolder(path))
    .sort();
  if (files.length === 0) throw new UsageError(`Option '--vectors': no *.json lies under ${folder}.`);
  return files.map((file) => {
    try {
      return { file: relative(folder, file), text: readFileSync(file, "utf8") };
    } catch (error) {
      throw new UsageError(`Option '--vectors': ${file} cannot be read: ${(error as Error).message}.`);
    }
  });
}
