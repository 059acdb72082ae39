import { inject } from "vitest";

declare module "vitest" {
  export interface ProvidedContext {
    /** Set by vite.config.ts. */
    long: boolean;
  }
}

/** Whether `test --long` runs, where a test does more of the same. Whole files that take minutes lie in test/long. */
export const long = inject("long");
