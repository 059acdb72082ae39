// The runner's job conformance, as a user runs it.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { ConformanceReport, SubjectReport } from "../../src/conformance/index.js";
import { conformanceJob } from "../../tooling/jobs/conformance.js";
import { expectUsageError, runJob } from "../support/job.js";

const vectors = join(import.meta.dirname, "../vectors");
const scratch = mkdtempSync(join(tmpdir(), "webgpu-optim-conformance-"));
afterAll(() => rmSync(scratch, { recursive: true }));

const read = <T>(file: string) => JSON.parse(readFileSync(file, "utf8")) as T;
const lastLine = (output: string) => output.trimEnd().split("\n").at(-1);

test("one rule over a folder of vectors: table, last line, JSON and JUnit", async () => {
  const json = join(scratch, "out/report.json");
  const junit = join(scratch, "out/report.xml");
  const { code, output } = await runJob(
    ...["conformance", "--rule", "sgd", "--vectors", join(vectors, "pytorch/optimizers")],
    ...["--json", json, "--junit", junit],
  );
  expect(code, output).toBe(0);
  const report = read<ConformanceReport>(json);
  expect(lastLine(output)).toBe(`${report.passed} passed, 0 failed`);
  expect(output).toMatch(/^rule +cases +worst ULP +worst error +result$/m);
  expect(output).toMatch(/^sgd +\d+ +\d\.\d\d +\d\.\de-7 +pass$/m);
  expect(output).toContain("WebGPU adapter: ");
  expect(report.failed).toBe(0);
  expect(report.cases).toHaveLength(report.passed);
  expect(report.cases.map(({ id }) => id)).toContain("vector/pytorch/sgd/plain");
  for (const one of report.cases)
    expect(one).toMatchObject({
      id: expect.any(String),
      rule: expect.any(String),
      passed: true,
      worstUlp: expect.any(Number),
      worstError: expect.any(Number),
    });
  expect(output).toContain(`WebGPU adapter: ${report.adapter}\n`);
  const xml = readFileSync(junit, "utf8");
  expect(xml.match(/<testcase /g)).toHaveLength(report.cases.length);
  expect(xml).toContain('failures="0"');
});

describe("bad input", () => {
  test("bad files and cases are named, the others run, exit 1", async () => {
    const folder = join(scratch, "bad");
    mkdirSync(join(folder, "deep"), { recursive: true });
    cpSync(join(vectors, "pytorch/optimizers/sgd.json"), join(folder, "deep/sgd.json"));
    const text = readFileSync(join(folder, "deep/sgd.json"), "utf8");
    writeFileSync(join(folder, "truncated.json"), text.slice(0, text.length / 2));
    writeFileSync(join(folder, "other.json"), '{"format": "other/1", "cases": []}');
    const file = JSON.parse(text) as { framework: string; cases: Record<string, unknown>[] };
    const [first] = file.cases as [Record<string, unknown>];
    const cases = [
      { ...first, id: "bad-shape", tensors: { ...(first.tensors as object), a: [2] } },
      { ...first, id: "bad-key", config: { lr: 0.1, momentun: 0.9 } },
      { ...first, id: "bad-optimizer", optimizer: "SDG" },
      { ...first, id: "still-good" },
    ];
    writeFileSync(join(folder, "cases.json"), JSON.stringify({ ...file, cases }));
    writeFileSync(
      join(folder, "framework.json"),
      JSON.stringify({ ...file, framework: "caffe", cases: [first] }),
    );

    const json = join(scratch, "bad.json");
    const { code, output } = await runJob(
      "conformance",
      "--rule",
      "sgd",
      "--vectors",
      folder,
      "--json",
      json,
    );
    expect(code, output).toBe(1);
    const { cases: judged, passed, failed } = read<ConformanceReport>(json);
    expect(lastLine(output)).toBe(`${passed} passed, ${failed} failed`);
    const bad = judged.filter((one) => !one.passed);
    expect(bad.map(({ id }) => id).sort()).toEqual([
      "vector/bad-key",
      "vector/bad-optimizer",
      "vector/bad-shape",
      "vector/other.json",
      // The one of framework.json: files are read in the order of their names.
      "vector/pytorch/sgd/plain (2)",
      "vector/truncated.json",
    ]);
    for (const { id, error } of bad) {
      expect(error, id).toMatch(/(truncated|other|cases|framework)\.json/);
      expect(output).toContain(`FAILED ${id}`);
    }
    const good = judged.filter((one) => one.passed).map(({ id }) => id);
    expect(good).toContain("vector/still-good");
    expect(good).toContain("vector/pytorch/sgd/plain");
  });

  test("wrong usage: exit 2", async () => {
    const { code, output } = await runJob("conformance", "--vector", "x");
    expect(code, output).toBe(2);
    expect(output).toContain("--vector");
    expect(output).toContain("Usage: ");
  });

  test.each([
    ["an unknown rule", ["--rule", "adamm"], "there is no 'adamm'"],
    ["an unknown library", ["--library", "torch"], "Known: tfjs, jax-js"],
    ["no folder", ["--vectors", "/nowhere/at/all"], "/nowhere/at/all is no folder"],
    ["an empty folder", ["--vectors", "EMPTY"], "no *.json"],
    ["an empty name of a file", ["--json", ""], "'--json' is empty"],
    ["a folder for a file", ["--json", "EMPTY"], "cannot be written: it is a folder"],
    ["an unknown host", ["--host", "bun"], "there is no 'bun'"],
    ["another library in a host", ["--host", "node", "--library", "tfjs"], "for Chrome only"],
    ["a file for a folder", ["--junit", "FILE/report.xml"], "cannot be written: "],
    ["one file for both", ["--json", "FILE", "--junit", "FILE"], "name the same file"],
    ["vectors for another library", ["--library", "tfjs", "--rule", "adam"], "'--library'"],
  ])("%s is wrong usage", async (_, parameters, message) => {
    const empty = join(scratch, "empty");
    mkdirSync(empty, { recursive: true });
    const file = join(scratch, "file");
    writeFileSync(file, "");
    const given = parameters.map((one) => one.replace(/^EMPTY/, empty).replace(/^FILE/, file));
    await expectUsageError(() => conformanceJob(given), message);
  });

  test.each([
    // Needs what `npm ci` installs, and no more.
    ["a library that is not installed", ["--library", "jax-js"], "npm install --no-save @jax-js/optax"],
  ])("%s: what there is, exit 1", async (_, parameters, message) => {
    const { code, output } = await runJob("conformance", ...parameters);
    expect(code, output).toBe(1);
    expect(output).toContain(message);
    expect(output).not.toContain("passed");
  });
});

test("tfjs parts from the papers in Adadelta, centered RMSProp and Adam, and agrees in what the two share", async () => {
  const json = join(scratch, "tfjs.json");
  const { code, output } = await runJob("conformance", "--library", "tfjs", "--json", json);
  expect(code, output).toBe(0);
  const { library, version, backend, cases } = read<SubjectReport>(json);
  expect([library, version]).toEqual(["tfjs", "4.22.0"]);
  // The kernels of its WebGPU backend are judged, not those of the CPU.
  expect(backend).toBe("webgpu");
  const results = (optimizer: string, against: string, is: (config: object) => boolean = () => true) =>
    cases
      .filter((one) => one.optimizer === optimizer && one.against === against && is(one.config))
      .map(({ agrees }) => agrees);
  const centered = (config: object) => "centered" in config;
  for (const against of ["paper", "dialect"]) {
    // It divides by the accumulator of the step before.
    expect(results("adadelta", against)).toEqual([false]);
    // It takes ε off the variance.
    expect(results("rmsprop", against, centered)).toEqual([false, false]);
    expect(results("rmsprop", against, (config) => !centered(config))).toEqual([true, true]);
    expect(results("sgd", against)).toEqual([true]);
    expect(results("momentum", against)).toEqual([true, true]);
    // It forms 1 − β2ᵗ in f32.
    expect(results("adam", against)).toEqual([false]);
  }
  // An ε in the denominator, where the paper has none.
  expect(results("adamax", "paper")).toEqual([false]);
  expect(results("adamax", "dialect")).toEqual([true]);
  // ε inside the root, where the paper has it outside.
  expect(results("adagrad", "paper")).toEqual([false]);
  expect(results("adagrad", "dialect")).toEqual([true]);
  expect(output).toContain("adadelta parts from its paper");
});
