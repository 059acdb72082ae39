import { spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** What a job of the runner printed, and how it ended. */
export interface JobResult {
  readonly code: number | null;
  /** Standard output and standard error. */
  readonly output: string;
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
