// What passes between the runner and the program in a host, as JSON.
import type { BenchProgress, BenchRequest, BenchRow } from "../../bench/events.ts";
import type { ConformanceEvent, ConformanceRequest } from "../../demo/conformance/events.ts";
import type { SoftwareDriver } from "./drivers.ts";

/** What a host is asked to do. */
export type HostRequest =
  | ({ readonly job: "conformance" } & Omit<ConformanceRequest, "library">)
  | ({ readonly job: "bench" } & BenchRequest);

/** What the program in a host is started with. */
export interface Started {
  readonly request: HostRequest;
  /** Where Node's WebGPU comes from. */
  readonly dawn?: { readonly url: string; readonly version: string };
  /** The driver that was asked for. */
  readonly driver?: SoftwareDriver;
}

/** What it answers, an event a line. */
export type HostEvent =
  | Extract<ConformanceEvent, { kind: "progress" | "done" | "error" }>
  | { readonly kind: "adapter"; readonly adapter: string }
  | ({ readonly kind: "bench" } & BenchProgress)
  | { readonly kind: "rows"; readonly rows: readonly BenchRow[] };

/** What stands before each event: drivers print lines of their own. */
export const MARK = "webgpu-optim: ";
