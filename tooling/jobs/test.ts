import { startVitest } from "vitest/node";
import { parseOptions } from "../parse-options.ts";
import { SummaryReporter } from "../reporter.ts";
import { root } from "../root.ts";

/** `test [--long] [FILTER…]`: all tests. The exit code is 1 if anything failed. */
export async function testJob(parameters: string[]): Promise<void> {
  const { values, positionals } = parseOptions({
    args: parameters,
    options: { long: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  process.chdir(root);
  process.env.WEBGPU_OPTIM_LONG = values.long ? "1" : "0";
  const summary = new SummaryReporter(values.long ? 900 : 120);
  const vitest = await startVitest("test", positionals, {
    root,
    watch: false,
    reporters: ["default", summary],
  });
  await vitest.close();
}
