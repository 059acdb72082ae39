// Runs tooling/cli.ts: Node 20 cannot run TypeScript, and Vite can.
import { join } from "node:path";
import { runnerImport } from "vite";

const root = join(import.meta.dirname, "..");
const config = { root, configFile: false, logLevel: "error" };
const { module: plugins } = await runnerImport(join(root, "tooling/wgsl-plugin.ts"), config);
const { module } = await runnerImport(join(root, "tooling/cli.ts"), { ...config, plugins: [plugins.wgsl()] });
await module.run(process.argv.slice(2));
