// The runner's job bench, as a user runs it. No time is asserted.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BenchRow } from "../../bench/events.js";
import { environmentOf, softwareDriverOf } from "../../tooling/hosts/run.js";
import { benchJob } from "../../tooling/jobs/bench.js";
import { expectUsageError, runJob } from "../support/job.js";
import { long } from "../support/long.js";

const scratch = mkdtempSync(join(tmpdir(), "webgpu-optim-bench-"));
afterAll(() => rmSync(scratch, { recursive: true }));

describe("two workloads", () => {
  const workloads = ["1000x64", "10000x64"];
  let output: string;
  let adapter: string;
  let rows: readonly BenchRow[];
  beforeAll(async () => {
    const json = join(scratch, "out/bench.json");
    const chosen = workloads.flatMap((name) => ["--workload", name]);
    const result = await runJob("bench", "--rounds", "1", ...chosen, "--json", json);
    expect(result.code, result.output).toBe(0);
    ({ output } = result);
    ({ adapter, rows } = JSON.parse(readFileSync(json, "utf8")));
  });
  const row = (workload: string, engine: string) =>
    rows.find((one) => one.workload === workload && one.engine === engine)!;

  test.each(workloads)("%s: every engine is a row of the JSON and of the table", (workload) => {
    expect(output).toContain(`WebGPU adapter: ${adapter}\n`);
    expect(output).toMatch(/^engine +optimizer +ms +ratio +dispatches +objects +MB moved +GB\/s$/m);
    const own = rows.filter((one) => one.workload === workload);
    expect(own.map(({ engine, optimizer }) => `${engine} ${optimizer}`)).toEqual([
      "webgpu-optim-arena adam",
      "webgpu-optim-arena adamw",
      "webgpu-optim-guards adam",
      "webgpu-optim-telemetry adam",
      "webgpu-optim adam",
      "webgpu-optim-loose-guards adam",
      "copy adam",
      "seven-streams adam",
    ]);
    const tensors = Number.parseInt(workload, 10);
    for (const one of own) {
      expect(one).toMatchObject({ tensors, parameters: 64 * tensors });
      const { medianMs, ratio, dispatches, objectsMade, bytesMoved, bytesPerSecond } = one;
      for (const value of [medianMs, ratio, dispatches, objectsMade, bytesMoved, bytesPerSecond])
        expect(value, one.engine).toBeGreaterThan(0);
      expect(bytesPerSecond).toBeCloseTo((bytesMoved / medianMs) * 1000, 0);
      expect(output).toMatch(new RegExp(`^${one.engine} +${one.optimizer} `, "m"));
    }
    expect(row(workload, "webgpu-optim-arena").ratio).toBe(1);
  });

  test.each(workloads)(
    "%s: a plain step over the arena is one dispatch that moves seven streams",
    (workload) => {
      const { parameters, dispatches, objectsMade, bytesMoved } = row(workload, "webgpu-optim-arena");
      // Encoder, pass and command buffer.
      expect({ dispatches, objectsMade }).toEqual({ dispatches: 1, objectsMade: 3 });
      expect(bytesMoved).toBe(7 * 4 * parameters);
      for (const engine of ["copy", "seven-streams"])
        expect(row(workload, engine)).toMatchObject({ bytesMoved });
    },
  );

  describe("guards over the arena cost by bytes, not by tensors", () => {
    test("guards and telemetry take as many dispatches for 10 times the tensors", () => {
      for (const engine of ["webgpu-optim-guards", "webgpu-optim-telemetry"]) {
        const [few, many] = workloads.map((workload) => row(workload, engine).dispatches);
        expect(many, engine).toBe(few);
      }
    });

    test.each(workloads)("%s: guards move at most 1.2 times the bytes of the plain step", (workload) => {
      const [plain, guarded] = ["webgpu-optim-arena", "webgpu-optim-guards"].map(
        (engine) => row(workload, engine).bytesMoved,
      );
      expect(guarded! / plain!).toBeLessThanOrEqual(1.2);
    });
  });
});

test.runIf(long)("with --peers tfjs's optimizers and ours over its variables are rows", async () => {
  const json = join(scratch, "peers.json");
  const result = await runJob("bench", "--peers", "--rounds", "1", "--workload", "1000x64", "--json", json);
  expect(result.code, result.output).toBe(0);
  const { rows } = JSON.parse(readFileSync(json, "utf8")) as { rows: BenchRow[] };
  for (const optimizer of ["adam", "sgd", "momentum", "rmsprop"]) {
    const row = (engine: string) => rows.find((one) => one.engine === engine && one.optimizer === optimizer)!;
    // In place, a kernel a variable; tfjs has one for each operation.
    expect(row("webgpu-optim-tfjs").dispatches).toBe(1000);
    expect(row("tfjs").dispatches).toBeGreaterThanOrEqual(2000);
    expect(row("tfjs").objectsMade).toBeGreaterThan(100 * row("webgpu-optim-tfjs").objectsMade);
  }
});

test.runIf(long)(
  "--pack makes a folder that measures by itself",
  async () => {
    const folder = join(scratch, "pack");
    const result = await runJob("bench", "--pack", folder, "--rounds", "1", "--workload", "1000x64");
    expect(result.code, result.output).toBe(0);
    const output = execFileSync(join(folder, "bench.sh"), {
      encoding: "utf8",
      env: environmentOf(softwareDriverOf({ name: "node" })),
    });
    expect(output).toMatch(/^webgpu-optim-arena +adam /m);
    const { adapter, rows } = JSON.parse(readFileSync(join(folder, "bench.json"), "utf8")) as {
      adapter: string;
      rows: BenchRow[];
    };
    expect(output).toContain(`WebGPU adapter: ${adapter}\n`);
    expect(rows).toHaveLength(8);
  },
  300_000,
);

test("wrong usage: exit 2", async () => {
  const { code, output } = await runJob("bench", "--workload", "10x10");
  expect(code, output).toBe(2);
  expect(output).toContain("148, 1000x64, 10000x64, product");
  expect(output).toContain("Usage: ");
});

test.each([
  ["no number of rounds", ["--rounds", "0"], "'--rounds'"],
  ["an unknown option", ["--optimizer", "adam"], "--optimizer"],
  ["an unknown host", ["--host", "node:cuda"], "there is no 'node:cuda'"],
  ["other libraries in a host", ["--host", "node", "--peers"], "'--peers' needs a page"],
  ["other libraries in a pack", ["--pack", scratch, "--peers"], "'--pack' takes workloads and rounds only"],
  ["an empty name of a file", ["--json", ""], "'--json' is empty"],
  ["a folder for a file", ["--json", tmpdir()], "cannot be written: it is a folder"],
])("%s is wrong usage", (_, parameters, message) => expectUsageError(() => benchJob(parameters), message));
