import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, launch } from "puppeteer-core";
import { describeAdapter, type NamedAdapter } from "./describe-adapter.ts";
import { findBrowser } from "./find-browser.mjs";
import { onShutdown } from "./shutdown.ts";

type AdapterKind = "hardware" | "software";

/** A running headless browser whose WebGPU adapter was tried. */
export interface GpuBrowser {
  readonly browser: Browser;
  /** What the adapter calls itself, with "software" or "hardware". */
  readonly adapter: string;
  /** Ends the browser and removes its profile. */
  close(): Promise<void>;
}

const commonArguments = [
  "--enable-unsafe-webgpu",
  "--disable-background-networking",
  "--disable-quic",
  // Both are needed for WebGPU to come back in the same browser after the GPU process crashed.
  "--disable-gpu-process-crash-limit",
  "--disable-domain-blocking-for-3d-apis",
];

const adapterArguments: Record<AdapterKind, readonly string[]> = {
  // Headless Chrome on Linux looks for no GPU unless told to use Vulkan, without a window surface.
  hardware:
    process.platform === "linux"
      ? [
          "--ignore-gpu-blocklist",
          "--enable-features=Vulkan",
          "--use-angle=vulkan",
          "--disable-vulkan-surface",
        ]
      : ["--ignore-gpu-blocklist"],
  software: ["--use-webgpu-adapter=swiftshader"],
};

/**
 * Starts a headless browser with WebGPU: on the GPU where there is one, on the software adapter otherwise.
 * `WEBGPU_OPTIM_ADAPTER=hardware` or `software` allows only that kind.
 * @throws Error when no browser is found or it gives no adapter.
 */
export async function launchBrowser(): Promise<GpuBrowser> {
  const executable = findBrowser();
  for (const kind of adapterKinds()) {
    const launched = await start(executable, kind);
    try {
      const found = await findAdapter(launched.browser);
      if (found && found.software === (kind === "software")) return { ...launched, adapter: found.adapter };
    } catch (error) {
      await launched.close();
      throw error;
    }
    await launched.close();
  }
  const wanted = process.env.WEBGPU_OPTIM_ADAPTER ?? "hardware or software";
  throw new Error(
    `${executable} gives no ${wanted} WebGPU adapter. Use Chrome, Chromium or Edge 121 or newer.`,
  );
}

function adapterKinds(): readonly AdapterKind[] {
  const forced = process.env.WEBGPU_OPTIM_ADAPTER;
  if (forced === "hardware" || forced === "software") return [forced];
  if (forced) throw new Error(`WEBGPU_OPTIM_ADAPTER is ${forced}; it can be hardware or software.`);
  return mayHaveGpu() ? ["hardware", "software"] : ["software"];
}

/** Whether a GPU device file exists, which saves starting the browser twice where none does. */
export function mayHaveGpu(): boolean {
  if (process.platform !== "linux") return true;
  return existsSync("/dev/dri") || readdirSync("/dev").some((name) => /^(nvidia\d|dxg$)/.test(name));
}

async function start(
  executablePath: string,
  kind: AdapterKind,
): Promise<Pick<GpuBrowser, "browser" | "close">> {
  const profile = mkdtempSync(join(tmpdir(), "webgpu-optim-browser-"));
  const removeProfile = () =>
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  let browser: Browser | undefined;
  const forget = onShutdown(() => {
    const id = browser?.process()?.pid;
    if (id !== undefined) killGroup(id);
    removeProfile();
  });
  try {
    browser = await launch({
      executablePath,
      headless: true,
      userDataDir: profile,
      args: [
        ...commonArguments,
        ...adapterArguments[kind],
        // Chrome's sandbox refuses to start as root.
        ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      ],
      // Chrome ends when this pipe closes, so even a killed process leaves no browser behind.
      pipe: true,
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      // A step of a large model may keep the page busy for minutes.
      protocolTimeout: 0,
    });
  } catch (error) {
    forget();
    removeProfile();
    throw error;
  }
  const started = browser;
  return {
    browser,
    async close() {
      await started.close().catch(() => started.process()?.kill("SIGKILL"));
      removeProfile();
      forget();
    },
  };
}

function killGroup(id: number): void {
  try {
    // Chrome is started as the leader of a process group, so its helpers end with it.
    process.kill(process.platform === "win32" ? id : -id, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

/** Asks a page for its adapter; undefined where there is none. */
async function findAdapter(browser: Browser): Promise<NamedAdapter | undefined> {
  const page = await browser.newPage();
  await page.setRequestInterception(true);
  page.on(
    "request",
    (request) => void request.respond({ contentType: "text/html", body: "<!doctype html>" }),
  );
  // WebGPU exists only in a secure context, which about:blank is not and localhost is.
  await page.goto("http://localhost/");
  const adapter = await page.evaluate(`(${describeAdapter})(navigator.gpu)`);
  await page.close();
  return adapter as NamedAdapter | undefined;
}
