// The plugin in a real build of a small project.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "vite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { wgsl } from "../../tooling/wgsl-plugin.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "wgsl-plugin-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const RULE = `struct Scalars {
  rate: f32,
  decay: f32,
}
@group(0) @binding(0) var<uniform> scalars: Scalars;
struct State { sum: vec4f }
fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  return scalars.rate * gradient; // not "kept"
}
`;

async function bundle(rule: string, code = 'import rule from "./rule.wgsl"; export default rule;') {
  writeFileSync(join(folder, "rule.wgsl"), rule);
  writeFileSync(join(folder, "main.js"), code);
  await build({
    root: folder,
    configFile: false,
    logLevel: "silent",
    plugins: [wgsl()],
    build: { outDir: "out", minify: false, lib: { entry: "main.js", formats: ["es"], fileName: "main" } },
  });
  // A new address for each folder: Node keeps what it imported.
  return (await import(pathToFileURL(join(folder, "out/main.mjs")).href)) as { default: unknown };
}

test("a rule becomes its text and what was read from it", async () => {
  expect((await bundle(RULE)).default).toEqual({
    file: "rule.wgsl",
    // Line for line.
    code: RULE.replace(' // not "kept"', "")
      .replace(/^ +/gm, "")
      .replace(/ ?([{}:,*()]|->) ?/g, "$1")
      .replace("->vec4f", "-> vec4f"),
    scalars: { rate: 0, decay: 4 },
    states: ["sum"],
    overrides: [],
    linear: false,
    lookahead: false,
    curvature: false,
    direct: false,
    stateful: true,
    sums: [],
    settled: [],
  });
});

test("?raw is the text alone, also of what is no rule", async () => {
  const text = "fn anything() {}\n";
  const code = 'import text from "./rule.wgsl?raw"; export default text;';
  expect((await bundle(text, code)).default).toBe(text);
});

test.each([
  { what: "broken WGSL", rule: RULE.replace("-> vec4f {", "-> {"), message: /rule\.wgsl:7: / },
  {
    what: "a breach of the contract",
    rule: RULE.replace("sum: vec4f", "sum: f32"),
    message: /rule\.wgsl:6: state 'sum' is not vec4f.*expected vec4f, got f32/s,
  },
  { what: "an empty file", rule: "", message: /rule\.wgsl: no struct Scalars/ },
])("$what ends the build with file and line", async ({ rule, message }) => {
  await expect(bundle(rule)).rejects.toThrow(message);
  await expect(bundle(rule)).rejects.toThrow("webgpu-optim:wgsl");
});
