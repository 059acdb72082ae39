import type { OptimError } from "../../errors.js";

/** What checks have to say, which is loaded where there is something to say. */
type Refusals = typeof import("./refusals.js");

/** A refusal that is not yet put into words. */
class Refusal {
  constructor(readonly words: (refusals: Refusals) => OptimError) {}
}

/** Refuses within {@link explained}. */
export function refuse(words: (refusals: Refusals) => OptimError): never {
  throw new Refusal(words);
}

/** Runs checks. @throws OptimError that they refuse with, and what else they throw */
export async function explained<T>(check: () => T): Promise<T> {
  try {
    return check();
  } catch (error) {
    throw error instanceof Refusal ? error.words(await import("./refusals.js")) : error;
  }
}
