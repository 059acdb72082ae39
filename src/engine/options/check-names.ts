import { briefly, OptimError } from "../../errors.js";

/** @throws OptimError `invalid-argument` for what is no object, or has other names. */
export function checkNames(what: string, given: object, names: readonly string[]): void {
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw new OptimError("invalid-argument", `The option '${what}' is no object`, {
      expected: `an object with any of ${names.join(", ")}`,
      got: briefly(given),
      fix: "pass an object, or leave it out",
    });
  for (const name of Object.keys(given))
    if (!names.includes(name))
      throw new OptimError("invalid-argument", `'${what}' has no option '${name}'`, {
        expected: `one of ${names.join(", ")}`,
        got: `'${name}'`,
        fix: "correct the spelling or leave it out",
      });
}
