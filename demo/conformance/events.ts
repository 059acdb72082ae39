import type { ConformanceReport, SubjectReport, VectorFile } from "../../src/conformance/index.js";

/** What the headless runner asks for. */
export interface ConformanceRequest {
  /** Names of rules; all, if left out. */
  readonly rules?: readonly string[];
  /** Instead of the built-in vectors. */
  readonly vectors?: readonly VectorFile[];
  /** Another library, to be judged instead of this one. */
  readonly library?: string;
}

/** What a run reports as it goes, as plain data that can leave the page. */
export type ConformanceEvent =
  | {
      readonly kind: "progress";
      readonly done: number;
      readonly total: number;
      readonly failed: number;
      /** What was done last. */
      readonly id: string;
    }
  | { readonly kind: "done"; readonly report: ConformanceReport }
  | { readonly kind: "judged"; readonly report: SubjectReport }
  | { readonly kind: "error"; readonly message: string };
