// The main job with a break: from a checkpoint it goes on with the same curve, digit by digit.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "webgpu-optim-resume-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** Runs `train` into a folder; `stop` is asked now and then whether to interrupt it. */
async function train(
  name: string,
  options: readonly string[],
  stop: (output: string) => boolean = () => false,
) {
  const out = join(scratch, name);
  const job = spawn(join(root, "playwright-free-headless.sh"), ["train", ...options, "--out", out]);
  let output = "";
  const hear = (text: Buffer) => {
    output += text;
    if (stop(output)) job.kill("SIGINT");
  };
  job.stdout.on("data", hear);
  job.stderr.on("data", hear);
  const code = await new Promise((resolve) => job.on("close", resolve));
  return { code, output, out };
}

const curve = (out: string) => readFileSync(join(out, "metrics.csv"), "utf8");
const base = ["--batch", "512", "--seed", "3"];
const checkpoint = (out: string) => join(out, "checkpoint.safetensors");

describe.each(["adamw", "rmsprop-nesterov"])("%s", (optimizer) => {
  test("two epochs and three more are five", { timeout: 900_000 }, async () => {
    // A schedule that does not depend on the number of steps.
    const options = [...base, "--optimizer", optimizer, "--schedule", "constant", "--lr", "0.0005"];
    const whole = await train(`${optimizer} whole`, [...options, "--epochs", "5"]);
    expect(whole.code, whole.output).toBe(0);
    const first = await train(`${optimizer} first`, [...options, "--epochs", "2"]);
    expect(first.code, first.output).toBe(0);
    const rest = await train(`${optimizer} rest`, ["--resume", checkpoint(first.out), "--epochs", "5"]);
    expect(rest.code, rest.output).toBe(0);
    expect(curve(rest.out)).toBe(curve(whole.out));
    for (const file of ["weights.safetensors", "checkpoint.safetensors", "curves.svg"])
      expect(readFileSync(join(rest.out, file)), file).toEqual(readFileSync(join(whole.out, file)));
  });
});

test("the transformer goes on with the same curve", { timeout: 1_800_000 }, async () => {
  const options = ["--model", "gpt", "--batch", "64", "--schedule", "constant"];
  const whole = await train("gpt whole", [...options, "--epochs", "2"]);
  expect(whole.code, whole.output).toBe(0);
  const first = await train("gpt first", [...options, "--epochs", "1"]);
  expect(first.code, first.output).toBe(0);
  const rest = await train("gpt rest", ["--resume", checkpoint(first.out), "--epochs", "2"]);
  expect(rest.code, rest.output).toBe(0);
  expect(curve(rest.out)).toBe(curve(whole.out));
  for (const file of ["weights.safetensors", "checkpoint.safetensors"])
    expect(readFileSync(join(rest.out, file)), file).toEqual(readFileSync(join(whole.out, file)));
});

test("a run that was interrupted goes on as if it had not been", { timeout: 900_000 }, async () => {
  const options = [...base, "--epochs", "3"];
  const whole = await train("whole", options);
  const broken = await train("broken", options, (output) => output.includes("epoch 2/3  training"));
  expect(broken.code).toBe(130);
  expect(existsSync(join(broken.out, "weights.safetensors"))).toBe(false);
  // Into the same folder.
  const rest = await train("broken", ["--resume", checkpoint(broken.out)]);
  expect(rest.code, rest.output).toBe(0);
  expect(curve(rest.out)).toBe(curve(whole.out));

  const done = await train("done", ["--resume", checkpoint(rest.out)]);
  expect([done.code, done.output]).toEqual([1, expect.stringContaining("leaves nothing to train")]);
  const longer = await train("longer", ["--resume", checkpoint(rest.out), "--epochs", "4"]);
  expect([longer.code, longer.output]).toEqual([
    1,
    expect.stringContaining("expected --epochs 3, as in the checkpoint, got --epochs 4"),
  ]);
});
