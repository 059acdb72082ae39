import { checkKeys } from "../../errors.js";

/** @throws OptimError `invalid-argument` for what is no object, or has other names. */
export const checkNames = (what: string, given: object, names: readonly string[]): void =>
  checkKeys("invalid-argument", `'${what}'`, given, names);
