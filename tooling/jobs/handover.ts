import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSafetensors } from "../../src/checkpoint/read.ts";
import { launchBrowser } from "../browser.ts";
import { parseOptions } from "../parse-options.ts";
import { root } from "../root.ts";
import { serve } from "../serve.ts";
import { wgsl } from "../wgsl-plugin.ts";

/** Steps on each side before the other takes over. */
const LEG = 20;
/**
 * Of |difference| ÷ max(1, |value|): sixty steps of f32 arithmetic in another order round differently by about 1e-6 here,
 * and a state that is lost or misread shows from 1e-3 on.
 */
const BOUND = 1e-5;

/** `handover`: training goes to PyTorch and back, for every rule that both have. */
export async function handoverJob(parameters: string[]): Promise<void> {
  parseOptions({ args: parameters, options: {} });
  const { python, version } = findTorch();
  const folder = mkdtempSync(join(tmpdir(), "webgpu-optim-handover-"));
  const file = (name: string, stage: string) => join(folder, `${name}.${stage}`);
  const server = await serve({
    configFile: false,
    root: join(root, "tooling/handover"),
    plugins: [wgsl()],
    server: { fs: { allow: [root] } },
  });
  const gpu = await launchBrowser();
  try {
    console.log(`WebGPU adapter: ${gpu.adapter}`);
    console.log(`PyTorch ${version}`);
    const page = await gpu.browser.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.goto(server.url, { waitUntil: "load" });
    const gradients = await page.evaluate(() => window.recordedGradients);
    const leftOut = await page.evaluate(() => window.leftOut);
    const runs = await page.evaluate(() => window.runHere());
    const excepted = version.startsWith("1.") ? ["nadam"] : [];
    const names = Object.keys(runs).filter((name) => !excepted.includes(name));
    for (const name of names)
      for (const [stage, text] of Object.entries(runs[name]!))
        writeFileSync(file(name, stage), Buffer.from(text, "base64"));
    writeFileSync(join(folder, "cases.json"), JSON.stringify({ names, gradients, leftOut, leg: LEG }));
    execFileSync(python, [join(root, "tooling/handover/there.py"), folder], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    const rows = [];
    for (const name of names) {
      const returned = readFileSync(file(name, "returned")).toString("base64");
      const final = await page.evaluate((rule, text) => window.finishHere(rule, text), name, returned);
      const values = floats(Buffer.from(final, "base64"));
      const here = worst(values, floats(readFileSync(file(name, "whole"))));
      const there = worst(values, floats(readFileSync(file(name, "there"))));
      rows.push({ rule: name, here, there, passed: here <= BOUND && there <= BOUND });
    }
    report(rows, excepted);
  } finally {
    await gpu.close();
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

function report(
  rows: readonly { rule: string; here: number; there: number; passed: boolean }[],
  excepted: readonly string[],
): void {
  console.log(
    `${LEG} steps here, ${LEG} in PyTorch, ${LEG} here, against ${3 * LEG} on one side (worst error)`,
  );
  console.log(`${"rule".padEnd(26)} ${"all here".padEnd(9)} all in PyTorch`);
  for (const { rule, here, there, passed } of rows)
    console.log(
      `${rule.padEnd(26)} ${here.toExponential(1).padEnd(9)} ${there.toExponential(1).padEnd(9)}${passed ? "" : " FAILED"}`,
    );
  for (const rule of excepted)
    console.log(`${rule.padEnd(26)} excepted: PyTorch 1 counts μ_t twice in its NAdam`);
  const passed = rows.filter((row) => row.passed).length;
  if (passed < rows.length) process.exitCode = 1;
  console.log(`${passed} passed, ${rows.length - passed} failed`);
}

/** Tensors of a file, by name. */
function floats(bytes: Uint8Array): ReadonlyMap<string, Float32Array> {
  const { tensors } = readSafetensors(bytes);
  return new Map(
    [...tensors].map(([name, { data }]) => [name, new Float32Array(Uint8Array.from(data).buffer)]),
  );
}

/** The largest |difference| ÷ max(1, |value|); infinite where the tensors are others. */
function worst(got: ReadonlyMap<string, Float32Array>, expected: ReadonlyMap<string, Float32Array>): number {
  if (got.size !== expected.size) return Infinity;
  let largest = 0;
  for (const [name, values] of expected) {
    const other = got.get(name);
    if (other?.length !== values.length) return Infinity;
    values.forEach((value, i) => {
      const error = Math.abs(other[i]! - value) / Math.max(1, Math.abs(value));
      largest = Number.isFinite(error) ? Math.max(largest, error) : Infinity;
    });
  }
  return largest;
}

/** A Python that has PyTorch. @throws Error that says what to install */
function findTorch(): { python: string; version: string } {
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      const version = execFileSync(python, ["-c", "import torch; print(torch.__version__)"], {
        stdio: ["ignore", "pipe", "ignore"],
        encoding: "utf8",
      });
      return { python, version: version.trim() };
    } catch {
      // This one has none.
    }
  }
  throw new Error(
    "No python3 here has PyTorch. Install it: 'apt-get install python3-torch' on Debian, or 'pip install torch'.",
  );
}
