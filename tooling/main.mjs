// Runs tooling/cli.ts: Node 20 cannot run TypeScript, and Vite can.
import { join } from "node:path";
import { runnerImport } from "vite";

const root = join(import.meta.dirname, "..");
const { module } = await runnerImport(join(root, "tooling/cli.ts"), {
  root,
  configFile: false,
  logLevel: "error",
});
await module.run(process.argv.slice(2));
