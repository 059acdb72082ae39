import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { UsageError } from "./usage-error.ts";

/**
 * Makes the folder and the file, so that what cannot be written is found out now and not after the run.
 * @throws UsageError
 */
export function requireWritable(option: string, file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    closeSync(openSync(file, "a"));
  } catch (error) {
    throw new UsageError(`Option '--${option}': ${file} cannot be written: ${(error as Error).message}.`);
  }
}

/** @throws UsageError for a name that is not known */
export function requireNames(option: string, names: readonly string[], known: readonly string[]): void {
  const other = names.find((name) => !known.includes(name));
  if (other !== undefined)
    throw new UsageError(`Option '--${option}': there is no '${other}'. Known: ${known.join(", ")}.`);
}
