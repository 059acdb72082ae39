import { defineConfig } from "vitest/config";
import { puppeteer } from "./tooling/puppeteer-provider.ts";
import { wgsl } from "./tooling/wgsl-plugin.ts";

const plugins = [wgsl()];
const long = process.env.WEBGPU_OPTIM_LONG === "1";
const provide = { long };

export default defineConfig({
  plugins,
  build: {
    target: "es2022",
    minify: false,
    // One entry for each of the exports of package.json.
    lib: { entry: ["src/index.ts", "src/define-rule.ts", "src/conformance/index.ts"], formats: ["es"] },
    rolldownOptions: {
      external: [/^wgsl_reflect/],
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
      {
        plugins,
        test: {
          name: "gpu",
          include: ["test/gpu/**/*.test.ts"],
          provide,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
          browser: {
            enabled: true,
            headless: true,
            provider: puppeteer(),
            instances: [{ browser: "chromium" }],
            screenshotFailures: false,
          },
        },
      },
      {
        plugins,
        test: {
          name: "package",
          include: ["test/package/**/*.test.ts"],
          environment: "node",
          pool: "threads",
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          provide,
          sequence: { groupOrder: 2 },
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
                sequence: { groupOrder: 3 },
              },
            },
          ]
        : []),
    ],
  },
});
