import { type ConformanceReport, judgeSubject, runConformance } from "../../src/conformance/index.js";
import { OptimError, requestDevice, rules } from "../../src/index.js";
import type { ConformanceEvent, ConformanceRequest } from "./events.js";
import { libraries } from "./libraries/index.js";
import { loadVectors } from "./vectors.js";
import { View } from "./view.js";

declare global {
  interface Window {
    /** Set by the headless runner: what to run. */
    readConformanceRequest?: () => Promise<ConformanceRequest>;
    /** Set by the runner, which follows the run. */
    reportConformance?: (event: ConformanceEvent) => void;
  }
}

let abort = new AbortController();
const report = (event: ConformanceEvent) => window.reportConformance?.(event);

async function run(request: ConformanceRequest): Promise<void> {
  abort = new AbortController();
  const { signal } = abort;
  view.begin();
  try {
    const result = await conform(request, signal);
    view.show(result);
    report({ kind: "done", report: result });
  } catch (error) {
    if (signal.aborted) view.stopped();
    else fail(error);
  }
}

async function conform(request: ConformanceRequest, signal: AbortSignal): Promise<ConformanceReport> {
  const wanted = request.rules ?? rules.map(({ row }) => row.name);
  for (const name of wanted)
    if (!rules.some(({ row }) => row.name === name))
      throw new OptimError("unknown-name", `There is no rule '${name}'`, {
        expected: `one of ${rules.map(({ row }) => row.name).join(", ")}`,
        got: `'${name}'`,
        fix: "correct the spelling",
      });
  const vectors = request.vectors ?? (await loadVectors());
  const device = await requestDevice({ label: "conformance" });
  try {
    return await runConformance(device, {
      rules: rules.filter(({ row }) => wanted.includes(row.name)),
      vectors,
      signal,
      onProgress: ({ done, total, failed, cases }) => {
        const id = cases.at(-1)?.id ?? "";
        view.advance(done, total, failed, id);
        report({ kind: "progress", done, total, failed, id });
      },
    });
  } finally {
    device.destroy();
  }
}

/** Judges another library: in the headless runner only. */
async function judge(name: string): Promise<void> {
  const load = libraries[name];
  if (!load)
    throw new OptimError("unknown-name", `There is no library '${name}' to judge`, {
      expected: Object.keys(libraries).join(", "),
      got: `'${name}'`,
      fix: "pass one of these",
    });
  const result = await judgeSubject(await load(), (done, total, id) =>
    report({ kind: "progress", done, total, failed: 0, id }),
  );
  report({ kind: "judged", report: result });
}

function fail(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  view.fail(message);
  report({ kind: "error", message });
}

const view = new View(
  rules.map(({ row }) => row.name),
  (chosen) => void run(chosen ? { rules: chosen } : {}),
  () => abort.abort(),
);
window.addEventListener("error", (event) => fail(event.error ?? event.message));
window.addEventListener("unhandledrejection", (event) => fail(event.reason));

const request = await window.readConformanceRequest?.();
if (request?.library !== undefined) await judge(request.library).catch(fail);
else if (request) await run(request);
// Said before anyone presses Run.
else if (!(await navigator.gpu?.requestAdapter()))
  view.fail(
    "This browser gives no GPU to pages. Use a browser with WebGPU (Chrome or Edge 121, Safari 26, Firefox 141 or newer) " +
      "and open the page over https or from localhost.",
  );
