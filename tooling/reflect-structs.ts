export { reflectStructs } from "../src/reflect-structs.ts";

/** The constants of a shader that are whole numbers, so that the host need not say them again. */
export function reflectConstants(code: string): Readonly<Record<string, number>> {
  const found = code.matchAll(/^const (\w+) = (\d+)u;/gm);
  return Object.fromEntries([...found].map(([, name, value]) => [name, Number(value)]));
}
