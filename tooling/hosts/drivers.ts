import { existsSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { findBrowser } from "../find-browser.mjs";

/** Drivers that compute on the CPU: SwiftShader comes with Chrome, llvmpipe with Mesa. */
export const softwareDrivers = ["swiftshader", "llvmpipe"] as const;
export type SoftwareDriver = (typeof softwareDrivers)[number];

/** Folders in which browsers lie whose command is a script. */
const browserFolders = ["/usr/lib/chromium", "/usr/lib64/chromium-browser", "/opt/google/chrome"];
const mesaFolder = "/usr/share/vulkan/icd.d";

/**
 * Vulkan's manifest of a software driver.
 * @throws Error that says what to install
 */
export function findDriver(driver: SoftwareDriver): string {
  if (driver === "swiftshader") {
    const folders = [dirname(realpathSync(findBrowser())), ...browserFolders];
    const found = folders.map((folder) => join(folder, "vk_swiftshader_icd.json")).find(existsSync);
    if (found) return found;
    throw new Error(
      "No vk_swiftshader_icd.json lies beside the browser: Chrome and Chromium for Linux have it.",
    );
  }
  const manifest = existsSync(mesaFolder)
    ? readdirSync(mesaFolder).find((name) => /^lvp_icd\..*json$/.test(name))
    : undefined;
  if (manifest) return join(mesaFolder, manifest);
  throw new Error("Mesa's llvmpipe is missing: 'apt-get install mesa-vulkan-drivers' on Debian.");
}
