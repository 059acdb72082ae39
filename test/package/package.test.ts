// The package as it would be published: built, packed, unpacked and used.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { publint } from "publint";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchBrowser } from "../../tooling/browser.js";
import { long } from "../support/long.js";
import { buildAndPack, type Packed, runInstalled } from "./packed.js";

const root = join(import.meta.dirname, "../..");
let packed: Packed;
beforeAll(() => {
  packed = buildAndPack();
});
afterAll(() => packed?.remove());

const files = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"));
const text = (file: string) => readFileSync(join(packed.folder, file), "utf8");
const manifest = () =>
  JSON.parse(text("package.json")) as {
    name: string;
    exports: Record<string, string | { types: string; default: string }>;
    engines: { node: string };
    sideEffects: boolean;
    dependencies?: object;
  };

/** Every ts block of a Markdown file. */
const blocks = (markdown: string): string[] =>
  [...markdown.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);

describe("contents", () => {
  test("manifest, licence, readme, docs, examples and dist, nothing else", () => {
    const strays = files(packed.folder).filter(
      (file) =>
        !/^(package\.json|LICENSE|README\.md|CHANGELOG\.md|(docs|examples)\/.+|dist\/.+\.(js|d\.ts))$/.test(
          file,
        ),
    );
    expect(strays).toEqual([]);
    for (const page of files(packed.folder).filter((file) => file.endsWith(".md")))
      for (const [, link] of text(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g))
        expect(existsSync(join(packed.folder, page, "..", link!)), `${page}: ${link}`).toBe(true);
    for (const file of ["package.json", "LICENSE", "README.md"]) expect(files(packed.folder)).toContain(file);
  });

  test("every export is there, and every declaration has its module", () => {
    for (const target of Object.values(manifest().exports))
      for (const file of typeof target === "string" ? [target] : Object.values(target))
        expect(existsSync(join(packed.folder, file)), file).toBe(true);
    const all = new Set(files(join(packed.folder, "dist")));
    const declarations = [...all].filter((file) => file.endsWith(".d.ts"));
    expect(declarations.length).toBeGreaterThan(10);
    // Modules of types alone leave no JavaScript behind.
    const missing = declarations.filter((file) => !all.has(file.replace(/\.d\.ts$/, ".js")));
    for (const file of missing)
      expect(text(`dist/${file}`), file).not.toMatch(/^export (declare )?(const|function|class|let)/m);
  });

  test("one dependency, for define-rule alone; no side effects, the engines that Vite names", () => {
    expect(Object.keys(manifest().dependencies ?? {})).toEqual(["wgsl_reflect"]);
    const importers = files(join(packed.folder, "dist")).filter((file) =>
      /from "wgsl_reflect/.test(text(`dist/${file}`)),
    );
    expect(importers).toEqual(["reflect-structs.js", "reflect.js"]);
    for (const file of files(join(packed.folder, "dist")))
      if (file.endsWith(".js") && file !== "define-rule.js")
        expect(text(`dist/${file}`), file).not.toMatch(/reflect(-structs)?\.js/);
    expect(manifest().sideEffects).toBe(false);
    expect(manifest().engines.node).toBe(">=20.19");
  });

  test("every option of a rule has words, its default and its range", () => {
    expect(text("dist/rules/adam.d.ts")).toContain(
      "  /**\n   * Weight decay λ.\n   *\n   * Default `0.01`; at least 0.\n   */\n  readonly weightDecay: number;",
    );
    for (const file of files(join(packed.folder, "dist/rules")).filter((name) => name.endsWith(".d.ts"))) {
      const [, ...members] = text(`dist/rules/${file}`).split(/(?<=^ {2}readonly .*;)$/m);
      for (const member of members.filter((one) => one.includes("\n  readonly ")))
        expect(member, file).toMatch(/\w.*\n +\*\n +\* (Default `.+`|Must be given)/);
    }
  });

  test("published types refer to no file of the build", () => {
    for (const file of files(packed.folder).filter((name) => name.endsWith(".d.ts"))) {
      const code = text(file);
      expect(code, file).not.toMatch(/\/\/\/ <reference/);
      expect(code, file).not.toMatch(/\.wgsl["']|\?raw|declare module|wgsl_reflect|vite/);
      // Relative imports name files that exist.
      for (const [, path] of code.matchAll(/from "(\.[^"]+)"|import\("(\.[^"]+)"\)/g))
        if (path)
          expect(
            existsSync(join(packed.folder, file, "..", path.replace(/\.js$/, ".d.ts"))),
            `${file}: ${path}`,
          ).toBe(true);
    }
  });
});

describe("tools", () => {
  test("publint finds nothing", async () => {
    const tarball = readFileSync(packed.tarball);
    const { messages } = await publint({ pack: { tarball: new Uint8Array(tarball).buffer }, strict: true });
    expect(messages).toEqual([]);
  });

  test("the types are right for ESM", () => {
    const output = runInstalled(
      "@arethetypeswrong/cli/dist/index.js",
      ["--profile", "esm-only", "--no-definitely-typed", "--format", "json", packed.tarball],
      packed.consumer,
    );
    const { analysis } = JSON.parse(output) as {
      analysis: {
        types: { kind: string } | false;
        problems: { kind: string; resolutionKind?: string }[];
        entrypoints: Record<string, unknown>;
      };
    };
    expect(analysis.types).toEqual({ kind: "included" });
    expect(Object.keys(analysis.entrypoints)).toContain(".");
    // What only concerns require() or module resolution of Node 10 is outside this profile.
    const concerns = analysis.problems.filter(
      ({ kind, resolutionKind }) =>
        !(kind === "CJSResolvesToESM") && !["node10", "node16-cjs"].includes(resolutionKind ?? ""),
    );
    expect(concerns).toEqual([]);
  });
});

describe("a bundle", () => {
  const bundle = async (code: string) => {
    const entry = join(packed.consumer, "entry.js");
    writeFileSync(entry, code);
    const result = await build({
      root: packed.consumer,
      configFile: false,
      logLevel: "silent",
      build: { write: false, minify: false, lib: { entry, formats: ["es"], fileName: "bundle" } },
    });
    const [{ output }] = (Array.isArray(result) ? result : [result]) as [{ output: { code?: string }[] }];
    return output.map(({ code = "" }) => code).join("\n");
  };
  /** The files of all rules; each lies beside the text that was read from it. */
  const shaders = readdirSync(join(root, "src/shaders")).filter((file) => file.endsWith(".wgsl"));

  test("of adam alone carries adam's WGSL and no other rule's", async () => {
    const code = await bundle(
      'import { adam, createOptimizer } from "webgpu-optim"; console.log(adam, createOptimizer);',
    );
    expect(shaders.filter((file) => code.includes(`"${file}"`))).toEqual(["adam.wgsl"]);
    expect(code).not.toMatch(/wgsl_reflect|WgslReflect/);
    expect(code).toContain("engine_main");
  });

  test("of everything carries every rule's, so that each can be found", async () => {
    const code = await bundle('import * as all from "webgpu-optim"; console.log(all);');
    for (const file of shaders) expect(code).toContain(`"${file}"`);
    expect(code).not.toMatch(/wgsl_reflect|WgslReflect/);
  });

  test("of nothing is empty: importing the package does nothing", async () => {
    expect((await bundle('import "webgpu-optim";')).trim()).toBe("");
  });

  test("of a schedule carries no engine", async () => {
    const code = await bundle('import { cosine } from "webgpu-optim"; console.log(cosine({ steps: 3 })(1));');
    expect(code).not.toMatch(/engine_main|createComputePipeline/);
  });
});

test("Node resolves the package and its manifest, without WebGPU", async () => {
  const script = join(packed.consumer, "resolve.mjs");
  writeFileSync(
    script,
    `import * as all from "webgpu-optim";
    import manifest from "webgpu-optim/package.json" with { type: "json" };
    const rule = all.adamw({ lr: 0.1 });
    export default [manifest.name, rule.row.name, rule.row.shader.states, all.cosine({ steps: 2 })(1)];`,
  );
  const { default: found } = (await import(pathToFileURL(script).href)) as { default: unknown };
  expect(found).toEqual(["webgpu-optim", "adamw", ["exp_avg", "exp_avg_sq"], expect.closeTo(0.5, 12)]);
  const deep = join(packed.consumer, "deep.mjs");
  writeFileSync(deep, 'import "webgpu-optim/dist/rule.js";');
  await expect(import(pathToFileURL(deep).href)).rejects.toThrow();
});

test("a page takes the files as they are, with no bundler, and trains", async () => {
  const page = `<!doctype html><script type="module">
    import { createArena, createOptimizer, requestDevice, sgd } from "./node_modules/webgpu-optim/dist/index.js";
    const device = await requestDevice();
    const arena = createArena(device, [{ x: [4] }]);
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 0.5 }), parameters: arena.groups[0], guards: { clipGlobalNorm: 100 },
    });
    device.queue.writeBuffer(arena.gradients, 0, new Float32Array([1, 2, 3, 4]));
    optimizer.step();
    const read = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(arena.parameters, 0, read, 0, 16);
    device.queue.submit([encoder.finish()]);
    await read.mapAsync(GPUMapMode.READ);
    document.title = [...new Float32Array(read.getMappedRange())].join();
  </script>`;
  const server = createServer(({ url = "/" }, response) => {
    const file = join(packed.consumer, url);
    const served = url === "/" ? page : existsSync(file) ? readFileSync(file) : undefined;
    response.writeHead(served === undefined ? 404 : 200, {
      "Content-Type": url === "/" ? "text/html" : "text/javascript",
    });
    response.end(served);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const gpu = await launchBrowser();
  try {
    const opened = await gpu.browser.newPage();
    await opened.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await opened.waitForFunction(() => document.title !== "", { timeout: 30_000 });
    expect(await opened.title()).toBe("-0.5,-1,-1.5,-2");
  } finally {
    await gpu.close();
    server.close();
  }
});

/** What `lib.dom` of TypeScript 6 and later has no word of. */
const CONSTANTS = `declare const GPUBufferUsage: Readonly<Record<"STORAGE" | "COPY_SRC" | "COPY_DST" | "MAP_READ", number>>;
declare const GPUMapMode: { readonly READ: number };`;

describe.each([
  { compiler: "typescript", resolution: "NodeNext", module: "NodeNext", types: ["@webgpu/types"] },
  ...(long
    ? [{ compiler: "typescript", resolution: "Bundler", module: "ESNext", types: ["@webgpu/types"] }]
    : []),
  { compiler: "typescript-6", resolution: "Bundler", module: "ESNext", types: [] },
  { compiler: "typescript-7", resolution: "NodeNext", module: "NodeNext", types: [] },
])("$compiler, strict, resolution $resolution, types $types", ({ compiler, resolution, module, types }) => {
  const compile = (sources: Readonly<Record<string, string>>) => {
    const folder = join(packed.consumer, `typed-${compiler}-${resolution}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    const files = { ...sources, ...(types.length === 0 && { "constants.d.ts": CONSTANTS }) };
    for (const [name, code] of Object.entries(files)) writeFileSync(join(folder, name), code);
    const compilerOptions = {
      target: "ES2022",
      module,
      moduleResolution: resolution,
      // jax-js's types name Float16Array, tfjs's use those of long.
      lib: ["ES2022", "ESNext.Float16", "DOM"],
      types: types.length === 0 ? [] : [...types, "long"],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    const config = { compilerOptions, files: Object.keys(files) };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    runInstalled(`${compiler}/bin/tsc`, ["-p", folder], packed.consumer);
  };

  test("a consumer and every example of README and docs compile", () => {
    const pages = ["README.md", ...readdirSync(join(root, "docs")).map((file) => `docs/${file}`)];
    const examples = pages
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) => blocks(readFileSync(join(root, file), "utf8")))
      // Other libraries bring `@webgpu/types` along.
      .filter(
        (code) =>
          types.length > 0 || !/from "(webgpu-optim\/(jax|tfjs)|[^"]*(tfjs|jax|typegpu)[^"]*)"/.test(code),
      );
    expect(examples.length, "examples").toBeGreaterThan(9);
    const consumer = `import {
      adam, type Arena, createArena, createOptimizer, OptimError, type Optimizer, type ParameterGroup, requestDevice,
      type Rule, type Schedule, sgd,
    } from "webgpu-optim";
    const device: GPUDevice = await requestDevice();
    const arena: Arena = createArena(device, [{ w: [2, 3] }]);
    const rule: Rule = adam({ lr: 1e-3, beta1: 0.9, maximize: true, decay: "decoupled" });
    const halves: Schedule = (step) => 0.5 ** step;
    const optimizer: Optimizer = await createOptimizer(device, {
      rule, schedule: halves, groups: arena.groups.map((parameters) => ({ parameters, weightDecay: 0 })),
    });
    const groups: readonly ParameterGroup[] = optimizer.groups;
    groups[0]!.lr = sgd().options.lr;
    try { optimizer.step(); } catch (error) { if (error instanceof OptimError) error.code satisfies string; }
    // @ts-expect-error: no such option
    adam({ momentum: 0.9 });
    // @ts-expect-error: a wrong type
    adam({ lr: "0.1" });
    // @ts-expect-error: no such choice
    adam({ decay: "other" });
    // @ts-expect-error: read only
    optimizer.groups = [];
    // @ts-expect-error: no code of the library's
    const code: import("webgpu-optim").OptimErrorCode = "nonsense";
    export { code };`;
    compile({
      "consumer.ts": consumer,
      ...Object.fromEntries(
        examples.map((code, index) => [`example-${index + 1}.ts`, `${code}\nexport {};\n`]),
      ),
    });
  });
});
