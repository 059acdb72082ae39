// Node and Deno: a whole life of optimizers, and the examples as they stand.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ConformanceReport } from "../../src/conformance/index.js";
import { commandOf, environmentOf, readHost, softwareDriverOf } from "../../tooling/hosts/run.js";
import { wgsl } from "../../tooling/wgsl-plugin.js";
import { runJob } from "../support/job.js";
import { long } from "../support/long.js";
import type { HostLife } from "./life/host.js";

const root = join(import.meta.dirname, "../..");
const cache = join(root, "node_modules/.cache");
mkdirSync(cache, { recursive: true });
// Beside the packages, so that `webgpu` is found.
const folder = mkdtempSync(join(cache, "webgpu-optim-hosts-"));
afterAll(() => rmSync(folder, { recursive: true }));
const programs = {
  life: "test/package/life/host.ts",
  node: "examples/node/main.mjs",
  deno: "examples/deno/main.ts",
};

beforeAll(() =>
  build({
    configFile: false,
    root,
    logLevel: "error",
    plugins: [wgsl()],
    resolve: { alias: [{ find: /^webgpu-optim$/, replacement: join(root, "src/index.ts") }] },
    build: {
      ssr: true,
      outDir: folder,
      target: "es2022",
      rolldownOptions: {
        input: Object.fromEntries(Object.entries(programs).map(([name, file]) => [name, join(root, file)])),
        external: ["webgpu"],
        output: { entryFileNames: "[name].mjs" },
      },
    },
  }),
);

/** What a program prints in a host. */
async function run(host: "node" | "deno", program: keyof typeof programs): Promise<string> {
  const [command, ...parameters] = commandOf(host, join(folder, `${program}.mjs`));
  const env = environmentOf(softwareDriverOf({ name: host }));
  const { stdout } = await promisify(execFile)(command, parameters, { env });
  return stdout;
}

describe.each(["node", "deno"] as const)("%s", (host) => {
  test("a whole life: guards, telemetry, checkpoints, groups", async () => {
    const life = JSON.parse((await run(host, "life")).trim().split("\n").at(-1)!) as HostLife;
    expect(life.errors).toEqual([]);
    expect(life.adapter.trim()).not.toBe("");
    // Without Dawn's globals, the library needs none. Deno has them.
    if (host === "node") expect(life.globals).toEqual([]);
    const refused = "no-adapter: 'null-backend'";
    expect(life.refused).toEqual(host === "node" ? [refused, refused] : []);
  });

  test("the example trains, saves and goes on", async () => {
    const printed = await run(host, host);
    expect(printed).toMatch(/^adapter: .*\S$/m);
    expect(printed).toMatch(/x\[1\] = 0\.8[34]\d, near to sin 1/);
  });
});

describe.runIf(long).each(["node", "deno"])("jobs in %s", (host) => {
  const report = join(folder, `${host}.json`);

  test("conformance: one rule", async () => {
    const { code, output } = await runJob("conformance", "--host", host, "--rule", "sgd", "--json", report);
    expect(code, output).toBe(0);
    const { adapter, browser, failed, passed } = JSON.parse(
      readFileSync(report, "utf8"),
    ) as ConformanceReport;
    expect({ failed, adapter: adapter.length > 10 }).toEqual({ failed: 0, adapter: true });
    expect(browser.toLowerCase()).toContain(host);
    // The recorded runs are among them.
    expect(output).toContain(`${passed} passed, 0 failed`);
    expect(passed).toBeGreaterThan(300);
  });

  test("bench: one workload", async () => {
    const parameters = ["--host", host, "--rounds", "1", "--workload", "1000x64", "--json", report];
    const { code, output } = await runJob("bench", ...parameters);
    expect(code, output).toBe(0);
    const { adapter, rows } = JSON.parse(readFileSync(report, "utf8")) as {
      adapter: string;
      rows: unknown[];
    };
    expect(output).toContain(`WebGPU adapter: ${adapter}\n`);
    expect(rows).toHaveLength(8);
  });
});

test("--host is read", () => {
  expect(readHost("chrome")).toBeUndefined();
  expect(readHost("node")).toEqual({ name: "node" });
  expect(readHost("deno:llvmpipe")).toEqual({ name: "deno", driver: "llvmpipe" });
  for (const wrong of ["", "bun", "node:", "node:cuda", "chrome:llvmpipe", "deno:llvmpipe:1"])
    expect(() => readHost(wrong), wrong).toThrow("Known: chrome, node, deno");
});
