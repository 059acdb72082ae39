import { readFileSync } from "node:fs";
import { join } from "node:path";
import { benchJob } from "./jobs/bench.ts";
import { conformanceJob } from "./jobs/conformance.ts";
import { handoverJob } from "./jobs/handover.ts";
import { testJob } from "./jobs/test.ts";
import { trainJob } from "./jobs/train.ts";
import { root } from "./root.ts";
import { UsageError } from "./usage-error.ts";

const jobs: Readonly<Record<string, (parameters: string[]) => Promise<void>>> = {
  bench: benchJob,
  conformance: conformanceJob,
  handover: handoverJob,
  test: testJob,
  train: trainJob,
};

/** Runs a job of the headless runner and ends the process: 0 for success, 1 for failure, 2 for wrong usage. */
export async function run([name = "", ...parameters]: string[]): Promise<never> {
  try {
    const job = Object.hasOwn(jobs, name) ? jobs[name] : undefined;
    if (!job) throw new UsageError(`Unknown job '${name}'.`);
    await job(parameters);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${readFileSync(join(root, "tooling/usage.txt"), "utf8")}`);
      process.exit(2);
    }
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
  process.exit();
}
