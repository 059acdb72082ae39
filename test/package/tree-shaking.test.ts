// What a page carries of the published package, by each of the bundlers that pages are built with.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { rollup } from "rollup";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { webpack } from "webpack";
import { rules } from "../../src/index.js";
import { buildAndPack, type Packed } from "./packed.js";

let packed: Packed;
beforeAll(() => {
  packed = buildAndPack();
});
afterAll(() => packed?.remove());

function entry(code: string): string {
  const file = join(packed.consumer, "entry.js");
  writeFileSync(file, code);
  return file;
}

const bundlers: Readonly<Record<string, (code: string) => Promise<string>>> = {
  async esbuild(code) {
    const { outputFiles } = await build({
      entryPoints: [entry(code)],
      bundle: true,
      minify: true,
      format: "esm",
      charset: "utf8",
      write: false,
      logLevel: "error",
    });
    return outputFiles[0]!.text;
  },
  async rollup(code) {
    // What @rollup/plugin-node-resolve does: a bare name, and the manifest's `sideEffects`.
    const resolve = {
      name: "resolve",
      resolveId: (id: string) => (id === "webgpu-optim" ? join(packed.folder, "dist/index.js") : null),
    };
    const bundle = await rollup({
      input: entry(code),
      plugins: [resolve],
      treeshake: { moduleSideEffects: (id) => !id.startsWith(packed.folder) },
      logLevel: "silent",
    });
    const { output } = await bundle.generate({ format: "es" });
    return output[0].code;
  },
  async webpack(code) {
    const path = join(packed.consumer, "webpack");
    const compiler = webpack({
      mode: "production",
      entry: entry(code),
      output: { path, filename: "bundle.js" },
      performance: false,
    });
    const stats = await promisify(compiler.run.bind(compiler))();
    await promisify(compiler.close.bind(compiler))();
    expect(stats?.toJson({ all: false, errors: true }).errors).toEqual([]);
    return readFileSync(join(path, "bundle.js"), "utf8");
  },
};

const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
const using = (...names: string[]) =>
  `import { ${names.map(camel).join(", ")} } from "webgpu-optim"; console.log(${names.map(camel).join(", ")});`;

/** Of each rule's file its name, which lies beside its text, and of each row its formula. */
const marks = [
  ...readdirSync(join(import.meta.dirname, "../../src/shaders"))
    .filter((file) => file.endsWith(".wgsl"))
    .map((file) => [file, file] as const),
  ...rules.map(({ row }) => [row.name, row.formula] as const),
];
const carried = (code: string) =>
  marks
    .filter(([, text]) => [`"${text}"`, `'${text}'`].some((mark) => code.includes(mark)))
    .map(([name]) => name);

/** The rules that a bundle is made for alone: the simplest, one of a family with much in common, one with sums. */
const alone = ["sgd", "adam", "rmsprop-centered", "schedule-free-sgd", "prodigy"];

describe.each(Object.entries(bundlers))("%s", (_, bundle) => {
  test("makes nothing of an import of nothing", async () => {
    // webpack leaves its empty frame.
    expect(["", '(()=>{"use strict"})();', "(()=>{})();"]).toContain(
      (await bundle('import "webgpu-optim";')).trim(),
    );
  });

  test.each(alone)("carries of %s alone its file and its row", async (name) => {
    const { row } = rules.find((rule) => rule.row.name === name)!;
    expect(carried(await bundle(using(name)))).toEqual([row.shader.file, name]);
  });

  test("carries no option of a family's other rules", async () => {
    // Only fraction() has it.
    const fraction = /exclusiveMax: ?(true|!0)/;
    expect(await bundle(using("sign-sgd"))).not.toMatch(fraction);
    expect(await bundle(using("lion"))).toMatch(fraction);
  });

  test("carries all of everything, so that each can be found", async () => {
    expect(carried(await bundle(using(...rules.map(({ row }) => row.name))))).toEqual(
      marks.map(([name]) => name),
    );
  });
});

describe("compressed, by esbuild", () => {
  const size = async (...names: string[]) => gzipSync(await bundlers.esbuild!(using(...names))).length;
  const names = rules.map(({ row }) => row.name);

  /** What a rule may add, in bytes: 1 kB, and its own limit where it brings passes over whole tensors or a generator. */
  const LIMITS: Readonly<Record<string, number>> = {
    angd: 2100,
    muon: 3600,
    sm3: 1700,
    adafactor: 2600,
    "adafactor-momentum": 2600,
    "noisy-sgd": 1700,
    shampoo: 5700,
    soap: 5400,
    lbfgs: 3800,
  };
  const tooLarge = (added: readonly (readonly [string, number])[]) =>
    added.filter(([name, bytes]) => bytes > (LIMITS[name] ?? 1024));

  test("each further rule adds at most 1 kB to those before it, or its own limit", async () => {
    const sizes: number[] = [];
    for (const last of names.keys()) sizes.push(await size(...names.slice(0, last + 1)));
    const added = names.map((name, at) => [name, sizes[at]! - (sizes[at - 1] ?? 0)] as const);
    expect(tooLarge(added.slice(1))).toEqual([]);
  });

  test("beside adam alone each adds at most 1 kB, or its own limit", async () => {
    const base = await size("adam");
    const added: [string, number][] = [];
    for (const name of names) if (name !== "adam") added.push([name, (await size("adam", name)) - base]);
    expect(tooLarge(added)).toEqual([]);
  });
});
