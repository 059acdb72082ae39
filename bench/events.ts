// What passes between the page and the headless runner, as plain data.

/** What the headless runner asks for. */
export interface BenchRequest {
  /** Names of workloads. */
  readonly workloads: readonly string[];
  /** Samples of each row; as many as the time allows, if left out. */
  readonly rounds?: number;
  /** Whether other libraries are measured, too. */
  readonly peers?: boolean;
}

/** How far the run is. */
export interface BenchProgress {
  /** From 0 to 1. */
  readonly done: number;
  readonly text: string;
}

/** One engine on one workload. */
export interface BenchRow {
  readonly engine: string;
  /** The rule, or the one of whose plain step a kernel moves the bytes. */
  readonly optimizer: string;
  readonly workload: string;
  readonly tensors: number;
  readonly parameters: number;
  /** Of a step. */
  readonly medianMs: number;
  /** To the first row of the same run: Adam's plain step over the arena, or the engine's own product. */
  readonly ratio: number;
  /** Of a step with its read-back, as are objects and bytes. */
  readonly dispatches: number;
  /** Buffers, bind groups, pipelines, encoders, passes and command buffers. */
  readonly objectsMade: number;
  /** What may be moved at most: a binding counts whole, however little of it a dispatch touches. */
  readonly bytesMoved: number;
  readonly bytesPerSecond: number;
}

declare global {
  interface Window {
    runBench(request: BenchRequest): Promise<BenchRow[]>;
    reportBench(progress: BenchProgress): Promise<void>;
  }
}
