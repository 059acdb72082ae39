/** What went wrong, as a stable string to branch on. */
export type OptimErrorCode =
  | "invalid-argument"
  | "invalid-option"
  | "invalid-schedule"
  | "invalid-buffer"
  | "aliased-buffers"
  | "duplicate-name"
  | "unknown-name"
  | "invalid-shader"
  | "limit-exceeded"
  | "out-of-memory"
  | "no-adapter"
  | "device-lost"
  | "destroyed"
  | "lookahead-order"
  | "slots-exhausted"
  | "gpu-error"
  | "invalid-checkpoint"
  | "non-finite"
  | "averaged"
  | "busy";

/** The parts of an {@link OptimError}: what happened, what was expected and got, and how to mend it. */
export interface OptimErrorDetails {
  readonly expected?: string;
  readonly got?: string;
  readonly fix?: string;
}

/** Every error this library throws. The message holds the details in one sentence each. */
export class OptimError extends Error {
  override readonly name = "OptimError";
  readonly code: OptimErrorCode;
  readonly details: OptimErrorDetails;

  constructor(code: OptimErrorCode, what: string, details: OptimErrorDetails = {}, options?: ErrorOptions) {
    const { expected, got, fix } = details;
    const comparison = [
      expected && `expected ${expected}`,
      // The empty string and the empty list have no text.
      got !== undefined && `got ${got || "an empty value"}`,
    ]
      .filter(Boolean)
      .join(", ");
    super([what, comparison, fix && `Fix: ${fix}`].filter(Boolean).join(". "), options);
    this.code = code;
    this.details = details;
  }
}

/** Longest text that a message quotes. */
const LONGEST = 80;

/** What a caller passed, in short: whole where it is short, else its kind. Texts are quoted. */
export function briefly(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value === "string")
    return value.length > LONGEST ? `a text of ${value.length} characters` : `'${value}'`;
  if (typeof value !== "object" || value === null) return value === undefined ? "nothing" : String(value);
  const length = (value as { length?: unknown }).length;
  // Not all of a long list, only to find that it is long.
  const text = typeof length === "number" && length > LONGEST ? undefined : asJSON(value);
  if (text !== undefined && text !== "{}" && text.length <= LONGEST && !ArrayBuffer.isView(value))
    return text;
  const kind = value.constructor?.name ?? "Object";
  return typeof length === "number" ? `${kind} of ${length}` : `an object of type ${kind}`;
}

/** @throws OptimError of the code, for options of `owner` that are no object, or have other names. */
export function checkKeys(
  code: OptimErrorCode,
  owner: string,
  given: unknown,
  names: readonly string[],
): asserts given is object {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new OptimError(code, `The options of ${owner} are not an object`, {
      expected: `an object with any of ${names.join(", ")}`,
      got: briefly(given),
      fix: "pass an object, or leave it out",
    });
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw new OptimError(code, `${owner} has no option '${name}'`, {
        expected: `one of ${names.join(", ")}`,
        got: `'${name}'`,
        fix: "correct the spelling or leave it out",
      });
}

function asJSON(value: object): string | undefined {
  try {
    // JSON has no NaN.
    return JSON.stringify(value, (_, item) =>
      typeof item === "number" && !Number.isFinite(item) ? String(item) : item,
    );
  } catch {
    return undefined;
  }
}
