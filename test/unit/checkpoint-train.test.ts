// Going on with a run of `train`: what the command line may ask of a checkpoint.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readTrainOptions, type TrainOptionTexts } from "../../demo/train/options.js";
import { positionMetadata, readPosition, resumeOptions } from "../../demo/train/resume.js";
import { writeSafetensors } from "../../src/checkpoint/write.js";
import { expectError } from "../support/errors.js";

const options = readTrainOptions({ schedule: "constant", lr: "0.01", epochs: "4", batch: "full", seed: "9" });
const position = { options, epoch: 2 };
const metadata = (text: string) => new Map([["train", text]]);

test("a checkpoint gives back options and epoch", () => {
  expect(readPosition(new Map(Object.entries(positionMetadata(position))))).toEqual(position);
});

test.each(["", "{", "null", "{}", '{"epoch":1,"batch":-1}', '{"epoch":0}', '{"epoch":6}', '{"epoch":1.5}'])(
  "metadata %s is refused",
  async (text) => {
    await expectError(() => readPosition(metadata(text)), "invalid-checkpoint", "not one of this job");
  },
);

test("metadata that is missing is refused", async () => {
  await expectError(() => readPosition(new Map()), "invalid-checkpoint", "got none");
});

describe("options to go on with", () => {
  test("are the checkpoint's, and the same ones may be given again", () => {
    expect(resumeOptions({}, position)).toEqual(options);
    expect(resumeOptions({ lr: "1e-2", batch: "full", optimizer: "adamw" }, position)).toEqual(options);
    expect(resumeOptions({ epochs: "7" }, position)).toEqual({ ...options, epochs: 7 });
  });

  test.each([
    [
      "optimizer",
      { optimizer: "sgd" },
      "expected --optimizer adamw, as in the checkpoint, got --optimizer sgd",
    ],
    ["lr", { lr: "0.1" }, "expected --lr 0.01, as in the checkpoint, got --lr 0.1"],
    ["batch", { batch: "128" }, "expected --batch full, as in the checkpoint, got --batch 128"],
    ["seed", { seed: "0" }, "expected --seed 9, as in the checkpoint, got --seed 0"],
    ["schedule", { schedule: "cosine" }, "expected --schedule constant, as in the checkpoint"],
    ["epochs", { epochs: "2" }, "expected --epochs above the 2 that are done, got --epochs 2"],
    ["a wrong one", { epochs: "x" }, "got 'x'"],
  ] satisfies [string, TrainOptionTexts, string][])("%s must not contradict it", async (_, texts, part) => {
    await expectError(() => resumeOptions(texts, position), "invalid-option", part);
  });

  test("more epochs need a schedule that does not depend on their number", async () => {
    for (const schedule of ["constant", "on-plateau"] as const)
      expect(resumeOptions({ epochs: "6" }, { ...position, options: { ...options, schedule } }).epochs).toBe(
        6,
      );
    for (const schedule of ["cosine", "random", "step"] as const)
      await expectError(
        () => resumeOptions({ epochs: "600" }, { ...position, options: { ...options, schedule } }),
        "invalid-option",
        `schedule ${schedule} depends on their number`,
      );
  });
});

describe("the job refuses a bad file before anything starts", () => {
  const root = join(import.meta.dirname, "../..");
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "webgpu-optim-resume-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each([
    ["that is missing", undefined, "cannot be read"],
    ["that is no safetensors file", new TextEncoder().encode("not a checkpoint"), "too long"],
    ["of weights alone", writeSafetensors([]), "got none"],
  ])("%s", { timeout: 60_000 }, (_, bytes, part) => {
    const file = join(folder, "checkpoint.safetensors");
    rmSync(file, { force: true });
    if (bytes) writeFileSync(file, bytes);
    const run = () =>
      execFileSync(process.execPath, [join(root, "tooling/main.mjs"), "train", "--resume", file], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      });
    let failure: { status?: number; stderr?: string; stdout?: string } = {};
    try {
      run();
    } catch (error) {
      failure = error as typeof failure;
    }
    expect(failure.status).toBe(1);
    expect(failure.stderr).toContain(part);
    expect(failure.stderr).toContain("Fix: ");
    expect(failure.stdout).toBe("");
  });
});
