import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BenchRequest } from "../../bench/events.ts";
import { requireWritableFolder } from "../check-options.ts";
import { root } from "../root.ts";
import { UsageError } from "../usage-error.ts";
import { bundle, findDawn } from "./run.ts";

const START = `#!/bin/sh
# Measures on this machine's GPU, and PyTorch's fused AdamW on the same where there is CUDA. Writes bench.json.
set -e
cd "$(dirname "$0")"
./node packed.mjs
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  python3 fused_adamw.py shapes.json
fi
`;

/**
 * Makes a folder that measures on another machine of this kind, with Node, Dawn and the library, where there is nothing but
 * a GPU's driver.
 * @throws UsageError where that cannot be
 */
export async function packBench(folder: string, request: BenchRequest): Promise<void> {
  if (process.platform !== "linux") throw new UsageError("Option '--pack' packs for Linux, and so on Linux.");
  requireWritableFolder("pack", folder);
  const { url, version } = findDawn();
  const dawn = dirname(fileURLToPath(url));
  const binary = `dist/linux-${process.arch}/dawn.node`;
  mkdirSync(dirname(join(folder, "webgpu", binary)), { recursive: true });
  for (const file of ["index.js", "package.json", "LICENSE.md", binary])
    copyFileSync(join(dawn, file), join(folder, "webgpu", file));
  await bundle(folder, "packed");
  copyFileSync(process.execPath, join(folder, "node"));
  copyFileSync(join(root, "tooling/hosts/fused_adamw.py"), join(folder, "fused_adamw.py"));
  writeFileSync(join(folder, "request.json"), JSON.stringify({ ...request, dawn: version }));
  writeFileSync(join(folder, "bench.sh"), START);
  for (const file of ["node", "bench.sh"]) chmodSync(join(folder, file), 0o755);
  console.log(`Run ${join(folder, "bench.sh")} on a machine with a GPU.`);
}
