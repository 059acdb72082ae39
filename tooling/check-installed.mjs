// Exit code 0 if node_modules holds what package-lock.json asks for; more may lie beside it, such as a library to be
// judged. npm records what it installed in node_modules/.package-lock.json, last of all, so an interrupted installation
// has no record.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** @param {string} file */
function packages(file) {
  const { "": _ourselves, ...others } = JSON.parse(readFileSync(join(root, file), "utf8")).packages;
  return others;
}

function isInstalled() {
  const wanted = packages("package-lock.json");
  let installed;
  try {
    installed = packages("node_modules/.package-lock.json");
  } catch {
    return false;
  }
  for (const [path, { version, optional, devOptional }] of Object.entries(wanted)) {
    // What is optional may be for another platform.
    if (installed[path] ? installed[path].version !== version : !optional && !devOptional) return false;
  }
  return true;
}

process.exitCode = isInstalled() ? 0 : 1;
