import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Whether the run includes the tests that take many minutes. */
    long: boolean;
  }
}

/** Whether `test --long` runs: `test.runIf(long)("…")` marks a test that takes many minutes. */
export const long = inject("long");
