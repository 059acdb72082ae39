// How a checkpoint is refused, and what its JSON is checked with.
import { OptimError, type OptimErrorDetails } from "../errors.js";
import { quoted } from "./format.js";

/** An object of a file's JSON. */
export type JSONObject = Readonly<Record<string, unknown>>;

const HARM = "write the file again, or take an unharmed copy";
/** What to do where a file is of another optimizer. */
export const OTHER = "create the optimizer as the one that was saved";

/** @throws OptimError `invalid-checkpoint` */
export function refuse(what: string, expected: string, got: unknown, fix = HARM, cause?: unknown): never {
  const details: OptimErrorDetails = { expected, got: typeof got === "string" ? got : show(got), fix };
  throw new OptimError("invalid-checkpoint", what, details, cause === undefined ? undefined : { cause });
}

/** JSON for a message, shortened. */
export function show(value: unknown): string {
  return quoted(JSON.stringify(value) ?? "nothing").slice(1, -1);
}

/** Runs a check of options or schedules, whose error becomes the checkpoint's. */
export function within<T>(what: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof OptimError)) throw error;
    const { expected = "a valid value", got = "another", fix } = error.details;
    return refuse(`${what}: ${error.message.split(". ")[0]}`, expected, got, fix ?? OTHER, error);
  }
}

export const isObject = (value: unknown): value is JSONObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** Whether a value counts something. */
export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
