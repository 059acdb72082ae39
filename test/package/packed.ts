import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const installed = join(root, "node_modules");

/** The package as npm would publish it, and a project that has it installed. */
export interface Packed {
  readonly tarball: string;
  /** A project with the unpacked package, `@webgpu/types`, tfjs and jax-js in its node_modules, for the caller to write into. */
  readonly consumer: string;
  /** The unpacked package. */
  readonly folder: string;
  remove(): void;
}

/** Runs a program of node_modules; its output, standard error included, is in the error if it fails. */
export function runInstalled(script: string, parameters: readonly string[], cwd: string): string {
  return run(process.execPath, [join(installed, script), ...parameters], cwd);
}

function run(program: string, parameters: readonly string[], cwd: string): string {
  try {
    return execFileSync(program, parameters, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${parameters.join(" ")} failed:\n${stdout}${stderr}`);
  }
}

/** Builds and packs a copy of the sources, so that what lies in dist/ neither helps nor is disturbed. */
export function buildAndPack(): Packed {
  const work = mkdtempSync(join(tmpdir(), "webgpu-optim-package-"));
  const copy = join(work, "repository");
  mkdirSync(copy);
  const sources = [
    "src",
    "docs",
    "examples",
    "tooling",
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "vite.config.ts",
  ];
  for (const name of [...sources, "README.md", "LICENSE", "CHANGELOG.md"])
    if (existsSync(join(root, name))) cpSync(join(root, name), join(copy, name), { recursive: true });
  symlinkSync(installed, join(copy, "node_modules"));
  run("npm", ["run", "build"], copy);
  const [{ filename }] = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", work], copy),
  ) as [{ filename: string }];
  const tarball = join(work, filename);

  const consumer = join(work, "consumer");
  mkdirSync(join(consumer, "node_modules/@webgpu"), { recursive: true });
  run("tar", ["-xzf", tarball, "-C", join(consumer, "node_modules")], work);
  const folder = join(consumer, "node_modules/webgpu-optim");
  cpSync(join(consumer, "node_modules/package"), folder, { recursive: true });
  rmSync(join(consumer, "node_modules/package"), { recursive: true });
  mkdirSync(join(consumer, "node_modules/@types"));
  for (const name of ["@webgpu/types", "@tensorflow", "@jax-js", "@types/long"])
    symlinkSync(join(installed, name), join(consumer, "node_modules", name));
  return { tarball, consumer, folder, remove: () => rmSync(work, { recursive: true, force: true }) };
}
