// The main job, run as a user runs it: what the README promises of accuracy and of seeds.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { TrainResult } from "../../tooling/training-log.js";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "webgpu-optim-train-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Runs `train` and gives its result and its curve. */
async function train(name: string, options: readonly string[]) {
  const out = join(scratch, name);
  const json = join(scratch, `${name}.json`);
  const job = spawn(join(root, "playwright-free-headless.sh"), [
    "train",
    ...options,
    "--out",
    out,
    "--json",
    json,
  ]);
  let output = "";
  job.stdout.on("data", (text) => {
    output += text;
  });
  job.stderr.on("data", (text) => {
    output += text;
  });
  const code = await new Promise((resolve) => job.on("close", resolve));
  expect(code, output).toBe(0);
  const result = JSON.parse(readFileSync(json, "utf8")) as TrainResult & { accuracy: number };
  return { ...result, curve: readFileSync(join(out, "metrics.csv"), "utf8") };
}

test("the defaults reach 97 %", { timeout: 900_000 }, async () => {
  expect((await train("defaults", [])).accuracy).toBeGreaterThanOrEqual(0.97);
});

test("the convolutional network passes 98.5 %", { timeout: 1_800_000 }, async () => {
  expect((await train("cnn", ["--model", "cnn"])).accuracy).toBeGreaterThan(0.985);
});

test("the transformer halves the loss of a uniform guess within ten minutes", {
  timeout: 1_800_000,
}, async () => {
  const { validationLoss, seconds, sample, comparison } = await train("gpt", ["--model", "gpt"]);
  expect(validationLoss).toBeLessThan(Math.log(96) / 2);
  expect(seconds).toBeLessThan(600);
  expect(sample?.length).toBeGreaterThan(100);
  expect(comparison?.jax.step).toBeGreaterThan(0);
});

describe.each(["sgd", "momentum", "adagrad", "rmsprop", "adadelta", "adam", "adamax", "nadam"])(
  "%s",
  (optimizer) => {
    test("reaches 90 % in two epochs", { timeout: 600_000 }, async () => {
      const { accuracy } = await train(optimizer, ["--optimizer", optimizer, "--epochs", "2"]);
      expect(accuracy).toBeGreaterThanOrEqual(0.9);
    });
  },
);

test("the same seed gives the same curve twice, another seed another", { timeout: 600_000 }, async () => {
  const run = (name: string, seed: string) =>
    train(name, ["--epochs", "1", "--batch", "512", "--seed", seed]);
  const first = await run("first", "7");
  expect((await run("second", "7")).curve).toBe(first.curve);
  expect((await run("third", "8")).curve).not.toBe(first.curve);
});

test("the full batch is one step an epoch", { timeout: 600_000 }, async () => {
  expect((await train("full", ["--batch", "full", "--epochs", "3"])).steps).toBe(3);
});
