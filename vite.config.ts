import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { puppeteer } from "./tooling/puppeteer-provider.ts";
import { wgsl } from "./tooling/wgsl-plugin.ts";

const plugins = [wgsl()];

/** What examples import by the name of the package. */
const source = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url));
const alias = [
  { find: /^webgpu-optim$/, replacement: source("index.ts") },
  { find: /^webgpu-optim\/(jax|tfjs)$/, replacement: source("clients/$1.ts") },
];
const long = process.env.WEBGPU_OPTIM_LONG === "1";
const provide = { long };

/** Files whose clocks or memory another browser would disturb. */
const clocked = ["test/gpu/scale.test.ts", "test/gpu/soak.test.ts"];

/** Test files that run in pages of headless Chrome, some browsers at a time. */
const gpu = (
  name: string,
  files: { include: string[]; exclude: string[]; order: number; browsers: number },
) => ({
  plugins,
  resolve: { alias },
  // Named here, so that they are not found while a test runs, which would load its page again.
  optimizeDeps: {
    include: [
      "@jax-js/jax",
      "@tensorflow/tfjs-backend-webgpu",
      "@tensorflow/tfjs-core",
      "@tensorflow/tfjs-layers",
      "typegpu",
      "typegpu/data",
    ],
    exclude: ["onnxruntime-web"],
  },
  test: {
    name,
    include: files.include,
    exclude: files.exclude,
    provide,
    fileParallelism: files.browsers > 1,
    maxWorkers: files.browsers,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { groupOrder: files.order },
    browser: {
      enabled: true,
      headless: true,
      provider: puppeteer(),
      instances: [{ browser: "chromium" as const }],
      screenshotFailures: false,
    },
  },
});

export default defineConfig({
  plugins,
  build: {
    target: "es2022",
    minify: false,
    // One entry for each of the exports of package.json.
    lib: {
      entry: [
        "src/index.ts",
        "src/define-rule.ts",
        "src/conformance/index.ts",
        "src/clients/jax.ts",
        "src/clients/tfjs.ts",
      ],
      formats: ["es"],
    },
    rolldownOptions: {
      external: [/^wgsl_reflect/, "@jax-js/jax", /^@tensorflow/],
      output: {
        preserveModules: true,
        preserveModulesRoot: "src",
        entryFileNames: "[name].js",
        // Doc comments stand in the declarations.
        comments: { annotation: true, jsdoc: false, legal: true },
      },
    },
  },
  test: {
    projects: [
      {
        plugins,
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          environment: "node",
          testTimeout: 30_000,
          // Threads end with the process, however it ends.
          pool: "threads",
          provide,
          sequence: { groupOrder: 0 },
        },
      },
      // Two browsers: while one compiles kernels, which takes one processor, the other's tests run.
      gpu("gpu", { include: ["test/gpu/**/*.test.ts"], exclude: clocked, order: 1, browsers: 2 }),
      gpu("gpu-alone", { include: clocked, exclude: [], order: 2, browsers: 1 }),
      {
        plugins,
        test: {
          name: "package",
          include: ["test/package/**/*.test.ts"],
          environment: "node",
          pool: "threads",
          // None asserts a time.
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          provide,
          sequence: { groupOrder: 3 },
        },
      },
      // Whole jobs, minutes each: `test --long` only.
      ...(long
        ? [
            {
              plugins,
              test: {
                name: "long",
                include: ["test/long/**/*.test.ts"],
                environment: "node" as const,
                pool: "threads" as const,
                fileParallelism: false,
                provide,
                sequence: { groupOrder: 4 },
              },
            },
          ]
        : []),
    ],
  },
});
