import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UsageError } from "./usage-error.ts";

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EPERM: "this user may not write there",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is a file",
  ENOENT: "its folder cannot be made",
};

/** @throws UsageError */
function refusing(option: string, path: string, attempt: () => void): void {
  try {
    attempt();
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    const reason = REASONS[code] ?? message;
    throw new UsageError(`Option '--${option}': ${path} cannot be written: ${reason}.`);
  }
}

/** Node's own recursive mkdir never returns where a path can neither be made nor is blocked, as under /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) {
    if (!statSync(folder).isDirectory()) throw Object.assign(new Error(), { code: "ENOTDIR" });
    return;
  }
  const parent = dirname(folder);
  if (parent !== folder) makeFolder(parent);
  mkdirSync(folder);
}

/**
 * Makes the folder of a file, and tries to write the file, so that what cannot be written is found out before the run.
 * @throws UsageError
 */
export function requireWritable(option: string, file: string): void {
  refusing(option, file, () => {
    makeFolder(dirname(resolve(file)));
    const there = existsSync(file);
    closeSync(openSync(file, "a"));
    if (!there) rmSync(file);
  });
}

/**
 * Makes a folder that files can be written into.
 * @throws UsageError
 */
export function requireWritableFolder(option: string, folder: string): void {
  refusing(option, folder, () => {
    makeFolder(resolve(folder));
    rmdirSync(mkdtempSync(join(folder, ".tried-")));
  });
}

/** @throws UsageError for a name that is not known */
export function requireNames(option: string, names: readonly string[], known: readonly string[]): void {
  const other = names.find((name) => !known.includes(name));
  if (other !== undefined)
    throw new UsageError(`Option '--${option}': there is no '${other}'. Known: ${known.join(", ")}.`);
}
