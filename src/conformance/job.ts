import type { Outcome } from "./outcome.js";
import type { CaseKind } from "./report.js";

/** What a case is, before it has run. */
export interface CaseHead {
  readonly id: string;
  readonly kind: CaseKind;
  readonly rule: string;
  readonly dialect?: string;
  readonly schedule?: string;
}

/** Where cases run. */
export interface Place {
  readonly device: GPUDevice;
  /** Whether the adapter is SwiftShader, whose division and square root are exact. */
  readonly software: boolean;
}

/** Cases that run together. */
export interface Job {
  readonly cases: readonly CaseHead[];
  /** One outcome a case. What it throws fails them all. */
  readonly run: (place: Place) => Promise<readonly Outcome[]>;
}

/** Option values as part of a case's id. */
export const describeOptions = (options: Readonly<Record<string, unknown>>): string =>
  Object.entries(options)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join("|") : String(value)}`)
    .join(",") || "defaults";
