// Plain JavaScript, because the set-up script runs it before anything is installed.
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const commands = [
  "google-chrome-stable",
  "google-chrome",
  "chrome",
  "chromium",
  "chromium-browser",
  "microsoft-edge-stable",
  "microsoft-edge",
];
const macApplications = [
  "Google Chrome.app/Contents/MacOS/Google Chrome",
  "Chromium.app/Contents/MacOS/Chromium",
  "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
];
const windowsPrograms = [
  "Google/Chrome/Application/chrome.exe",
  "Chromium/Application/chrome.exe",
  "Microsoft/Edge/Application/msedge.exe",
];

/** Places where Chrome, Chromium and Edge are usually installed, the preferred first. */
function* candidates() {
  const { PATH = "", HOME = "", PROGRAMFILES, LOCALAPPDATA } = process.env;
  const folders = [...PATH.split(delimiter), "/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/google/chrome"];
  if (process.platform === "darwin")
    for (const application of macApplications)
      for (const root of ["/Applications", join(HOME, "Applications")]) yield join(root, application);
  if (process.platform === "win32")
    for (const program of windowsPrograms)
      for (const root of [PROGRAMFILES, process.env["PROGRAMFILES(X86)"], LOCALAPPDATA])
        if (root) yield join(root, program);
  for (const command of commands) for (const folder of folders) if (folder) yield join(folder, command);
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Path of the browser: `CHROME_PATH` if set, otherwise the first of Chrome, Chromium and Edge that is installed.
 * Throws an error that says what to install.
 */
export function findBrowser() {
  const chosen = process.env.CHROME_PATH;
  if (chosen) {
    if (isExecutable(chosen)) return chosen;
    throw new Error(`CHROME_PATH is ${chosen}, which is not an executable file.`);
  }
  for (const path of candidates()) if (isExecutable(path)) return path;
  throw new Error(
    `No Chrome, Chromium or Edge found. Install one:
  Debian           sudo apt-get install chromium
  Ubuntu, Fedora   the .deb or .rpm package from https://www.google.com/chrome/
  macOS            brew install --cask google-chrome
or set CHROME_PATH to its executable.`,
  );
}

// Run as a program, it prints the path, or the error with exit code 1.
if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    console.log(findBrowser());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
