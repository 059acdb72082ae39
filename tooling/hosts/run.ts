import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { build } from "vite";
import { mayHaveGpu } from "../browser.ts";
import { root } from "../root.ts";
import { onShutdown } from "../shutdown.ts";
import { UsageError } from "../usage-error.ts";
import { wgsl } from "../wgsl-plugin.ts";
import { findDriver, type SoftwareDriver, softwareDrivers } from "./drivers.ts";
import { type HostEvent, type HostRequest, MARK, type Started } from "./events.ts";

/** Where a job runs but in Chrome. */
export interface Host {
  readonly name: "node" | "deno";
  /** Instead of the GPU, or where there is none. */
  readonly driver?: SoftwareDriver;
}

const names = ["node", "deno"] as const;
const require = createRequire(import.meta.url);

/**
 * Reads `--host`: `chrome`, or `node` or `deno`, each also with a software driver, as in `deno:llvmpipe`.
 * @returns nothing for Chrome
 * @throws UsageError
 */
export function readHost(text: string): Host | undefined {
  if (text === "chrome") return undefined;
  const [first, second, ...rest] = text.split(":");
  const name = names.find((known) => known === first);
  const driver = softwareDrivers.find((known) => known === second);
  if (!name || rest.length > 0 || (second !== undefined && !driver))
    throw new UsageError(
      `Option '--host': there is no '${text}'. Known: chrome, node, deno, and the last two with a driver: ${softwareDrivers.map((known) => `node:${known}`).join(", ")}.`,
    );
  return { name, ...(driver && { driver }) };
}

/** The software driver to compute with; none where it is left to the host, which has a GPU. */
export function softwareDriverOf({ driver }: Host): SoftwareDriver | undefined {
  const kind = process.env.WEBGPU_OPTIM_ADAPTER;
  if (driver || process.platform !== "linux" || kind === "hardware") return driver;
  return kind === "software" || !mayHaveGpu() ? "swiftshader" : undefined;
}

/** The environment of a host's process. */
export function environmentOf(driver: SoftwareDriver | undefined): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // Drivers complain where it is missing.
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir(),
    ...(driver && { VK_ICD_FILENAMES: findDriver(driver) }),
    // OpenGL without a display.
    ...(driver === "llvmpipe" && { EGL_PLATFORM: "surfaceless", LIBGL_ALWAYS_SOFTWARE: "1" }),
  };
}

/** The command that runs a program in a host. @throws Error where Deno is missing */
export function commandOf(host: Host["name"], program: string): readonly [string, ...string[]] {
  if (host === "node") return [process.execPath, program];
  const folder = `@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`;
  try {
    const deno = join(dirname(require.resolve(`${folder}/package.json`)), "deno");
    return [process.platform === "win32" ? `${deno}.exe` : deno, "run", "-A", "--unstable-webgpu", program];
  } catch {
    throw new Error(`The package ${folder} is not installed: there may be no Deno for this platform.`);
  }
}

/** Bundles a program of hosts, and gives its file. */
export async function bundle(folder: string, program = "program"): Promise<string> {
  await build({
    configFile: false,
    root,
    logLevel: "error",
    plugins: [wgsl()],
    ssr: { noExternal: true },
    build: {
      ssr: join(root, `tooling/hosts/${program}.ts`),
      outDir: folder,
      emptyOutDir: false,
      target: "es2022",
      rolldownOptions: { output: { entryFileNames: `${program}.mjs` } },
    },
  });
  return join(folder, `${program}.mjs`);
}

/** The npm package `webgpu`. */
export function findDawn(): NonNullable<Started["dawn"]> {
  const manifest = require.resolve("webgpu/package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  return { url: pathToFileURL(join(dirname(manifest), "index.js")).href, version };
}

/**
 * Runs a job in a host, and passes on what it says until its result.
 * @throws Error with the message of whatever went wrong there
 */
export async function runInHost(
  host: Host,
  request: HostRequest,
  follow: (event: HostEvent) => void,
): Promise<void> {
  const driver = softwareDriverOf(host);
  const environment = environmentOf(driver);
  const folder = mkdtempSync(join(tmpdir(), "webgpu-optim-host-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const forget = onShutdown(remove);
  try {
    const [command, ...parameters] = commandOf(host.name, await bundle(folder));
    const started: Started = {
      request,
      ...(host.name === "node" && { dawn: findDawn() }),
      ...(driver && { driver }),
    };
    const file = join(folder, "request.json");
    writeFileSync(file, JSON.stringify(started));
    await listen(command, [...parameters, file], environment, follow);
  } finally {
    remove();
    forget();
  }
}

async function listen(
  command: string,
  parameters: readonly string[],
  env: NodeJS.ProcessEnv,
  follow: (event: HostEvent) => void,
): Promise<void> {
  const child = spawn(command, parameters, { env, stdio: ["ignore", "pipe", "pipe"] });
  const forget = onShutdown(() => child.kill("SIGKILL"));
  let said = "";
  child.stderr.on("data", (text) => {
    said = `${said}${text}`.slice(-4000);
  });
  let message: string | undefined;
  let finished = false;
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith(MARK)) return;
    const event = JSON.parse(line.slice(MARK.length)) as HostEvent;
    if (event.kind === "error") message = event.message;
    else follow(event);
    finished ||= event.kind === "done" || event.kind === "rows";
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (...end) => resolve(end));
  }).finally(forget);
  if (message === undefined && finished) return;
  const end = message ?? `${command} ended with ${signal ?? `exit code ${code}`}.`;
  throw new Error(said.trim() ? `${end}\n${said.trim()}` : end);
}
