import { expect } from "vitest";
import { OptimError, type OptimErrorCode } from "../../src/index.js";

/**
 * Runs what must fail and checks that it throws an OptimError of this code whose message holds its expected, got and
 * fix, which must all be there.
 */
export async function expectError(
  run: () => unknown,
  code: OptimErrorCode,
  part: string | RegExp = "",
): Promise<OptimError> {
  let thrown: unknown;
  try {
    await run();
  } catch (error) {
    thrown = error;
  }
  expect(thrown, `nothing was thrown; wanted ${code}`).toBeInstanceOf(OptimError);
  const error = thrown as OptimError;
  expect(error.code, error.message).toBe(code);
  if (typeof part === "string") expect(error.message).toContain(part);
  else expect(error.message).toMatch(part);
  const { got, fix } = error.details;
  expect(got, `'got' of: ${error.message}`).toBeTypeOf("string");
  expect(error.message).toContain(`got ${got || "an empty value"}`);
  expect(fix, `'fix' of: ${error.message}`).toBeTruthy();
  expect(error.message).toContain(`Fix: ${fix}`);
  if (error.details.expected) expect(error.message).toContain(`expected ${error.details.expected}`);
  return error;
}

/** The error that something throws at once. */
export function caught(act: () => unknown): OptimError {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(OptimError);
    return error as OptimError;
  }
  throw new Error("nothing was thrown");
}

/** The message of a refusal of that code, which says what to do. */
export function refused(code: OptimErrorCode, make: () => unknown): string {
  const error = caught(make);
  expect(error.code).toBe(code);
  expect(error.details.fix).toBeTruthy();
  return error.message;
}
