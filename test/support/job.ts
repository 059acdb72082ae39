import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";
import { UsageError } from "../../tooling/usage-error.js";

const root = join(import.meta.dirname, "../..");

/** What a job of the runner printed, and how it ended. */
export interface JobResult {
  readonly code: number | null;
  /** Standard output and standard error. */
  readonly output: string;
}

/** That wrong usage ends a job with exit code 2 is seen once a job; here is what it says. */
export async function expectUsageError(run: () => Promise<void>, message: string): Promise<void> {
  const error = await run().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UsageError);
  expect((error as UsageError).message).toContain(message);
}

/** Runs a job as a user runs it. */
export async function runJob(...parameters: readonly string[]): Promise<JobResult> {
  const job = spawn(join(root, "playwright-free-headless.sh"), parameters);
  let output = "";
  for (const stream of [job.stdout, job.stderr])
    stream.on("data", (text) => {
      output += text;
    });
  const code = await new Promise<number | null>((resolve) => job.on("close", resolve));
  return { code, output };
}
