import { OptimError } from "../../errors.js";
import { lossError, onLoss } from "../device.js";
import type { Slots } from "../memory/slots.js";
import { elapsed, type GpuClock } from "./gpu-clock.js";
import { CONTROL_BYTES, HISTORY, type Monitor, RECORD_WORDS } from "./monitor.js";

/** Telemetry options. */
export interface TelemetryOptions {
  /** Called with each report, in order, some steps late. */
  readonly onReport?: (report: StepReport) => void;
  /**
   * Steps between two read-backs; default 1. Each brings the reports of all steps since. The GPU keeps 64: where more
   * were submitted at once, the newest 63 are reported, and their counts hold the others.
   */
  readonly every?: number;
  /** Whether reports hold norms by tensor, of the newest step of each read-back. Default false. */
  readonly perTensor?: boolean;
}

/** Norms of a tensor. */
export interface TensorReport {
  /** Of the gradient, unscaled and clipped by value. */
  readonly gradientNorm: number;
  readonly parameterNorm: number;
  readonly updateNorm: number;
  /** Gradients that were NaN or infinite. */
  readonly nonFinite: number;
}

/** What the GPU did in one encoded step. Norms are Euclidean, over all groups. */
export interface StepReport extends TensorReport {
  /** Encoded steps up to this one, from 1. */
  readonly attempt: number;
  /** Steps taken up to this one. */
  readonly applied: number;
  /** Steps skipped up to this one. */
  readonly skipped: number;
  /** Of these, steps skipped because more were skipped in flight than `skipsInFlight`. */
  readonly faults: number;
  /** Whether this one was taken. */
  readonly taken: boolean;
  /** False where the submit never ran: WebGPU drops one whole that uses a destroyed buffer. Norms are NaN then. */
  readonly ran: boolean;
  /** What clipping by global norm multiplied the gradient by. */
  readonly clipFactor: number;
  /** Of this step; the next may have another. */
  readonly lossScale: number;
  /** updateNorm / parameterNorm. */
  readonly updateRatio: number;
  /**
   * Milliseconds that the step took on the GPU, in the newest report of a read-back, where the device has the feature
   * `timestamp-query`. Chrome rounds to about 0.1 ms.
   */
  readonly gpuTime?: number;
  /** By tensor, with the option `perTensor`, in the newest report of a read-back. */
  readonly tensors?: ReadonlyMap<string, TensorReport>;
}

/** Read-backs that may be under way at once. */
const STAGES = 3;
const CONTROL_ROOM = 256;
/** Where the clock's timestamps stand, after the control block. */
const CLOCK_PLACE = 64;

/** The GPU time of a report, where the timestamps make sense. */
const timeOf = (view: DataView) => {
  const gpuTime = elapsed(view, CLOCK_PLACE);
  return gpuTime === undefined ? {} : { gpuTime };
};

/** The running counts of a record. */
const countsAt = (view: DataView, at: number) => ({
  applied: view.getUint32(at + 4, true),
  skipped: view.getUint32(at + 8, true),
  faults: view.getUint32(at + 12, true),
});

/** The buffers that reports are read back through. */
export const createStages = (
  device: GPUDevice,
  label: string,
  monitor: Monitor,
  telemetry: TelemetryOptions | undefined,
  own: <T extends { destroy(): void }>(resource: T) => T,
): readonly GPUBuffer[] =>
  Array.from({ length: STAGES }, (_, i) =>
    own(
      device.createBuffer({
        label: `${label} report ${i}`,
        size: CONTROL_ROOM + HISTORY * RECORD_WORDS * 4 + (telemetry ? monitor.tensors.length * 16 : 0),
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      }),
    ),
  );

/** Sums in f32, in the order of control.wgsl: a norm must not depend on when it is read back. */
function sumLikeGpu(count: number, value: (index: number) => number): number {
  const threads = new Float32Array(64);
  for (let i = 0; i < count; i += 1) threads[i % 64]! += value(i);
  for (let stride = 32; stride >= 1; stride /= 2)
    for (let thread = 0; thread < stride; thread += 1) threads[thread]! += threads[thread + stride]!;
  return threads[0]!;
}

/** Brings what the monitor recorded to the host, late and without waiting, through a few mapped buffers. */
export class Reports {
  /** Rejects with the first report of a non-finite gradient or of a step that never ran, or with the loss of the device. */
  readonly failure: Promise<never>;
  readonly #device: GPUDevice;
  readonly #label: string;
  #monitor: Monitor;
  #slots: Slots;
  #clock: GpuClock | undefined;
  readonly #telemetry: TelemetryOptions | undefined;
  readonly #learn: (skipped: number) => void;
  #free: GPUBuffer[];
  readonly #waiting = new Set<() => void>();
  readonly #queue: StepReport[] = [];
  #fail!: (error: OptimError) => void;
  #asked = 0;
  #reported = 0;
  #underWay = 0;
  #counts = { applied: 0, skipped: 0, faults: 0 };
  #ended = false;
  #lost: OptimError | undefined;
  /** Submitted steps that never ran and of which {@link settle} has not told yet. */
  #missing = 0;
  readonly #forgetLoss: () => void;

  /** @param learn told how many steps are news that the GPU did not take */
  constructor(
    device: GPUDevice,
    label: string,
    monitor: Monitor,
    slots: Slots,
    telemetry: TelemetryOptions | undefined,
    learn: (skipped: number) => void,
    stages: readonly GPUBuffer[],
    clock: GpuClock | undefined,
  ) {
    this.#device = device;
    this.#clock = clock;
    this.#label = label;
    this.#monitor = monitor;
    this.#slots = slots;
    this.#telemetry = telemetry;
    this.#learn = learn;
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Those who do not look are not to be stopped by it.
    this.failure.catch(() => {});
    this.#free = [...stages];
    this.#forgetLoss = onLoss(device, () => this.end(lossError(device, label)));
  }

  /** Goes on with a monitor that took over. No read-back may be under way. */
  follow(monitor: Monitor, slots: Slots, stages: readonly GPUBuffer[], clock: GpuClock | undefined): void {
    this.#clock = clock;
    this.#free = [...stages];
    this.#monitor = monitor;
    this.#slots = slots;
    this.#asked = slots.submitted;
  }

  /** Starts a read-back of what was submitted, if there is news and a free buffer. */
  poll(every = this.#telemetry?.every ?? 1): void {
    const monitor = this.#monitor;
    const { submitted } = this.#slots;
    const staging = submitted - this.#asked >= every ? this.#free.pop() : undefined;
    if (!staging) return;
    this.#asked = submitted;
    this.#underWay += 1;
    const encoder = this.#device.createCommandEncoder({ label: `${this.#label} report` });
    if (this.#telemetry) {
      const pass = encoder.beginComputePass({ label: `${this.#label} report` });
      monitor.encodeTotals(pass);
      pass.end();
    }
    encoder.copyBufferToBuffer(monitor.control, 0, staging, 0, CONTROL_BYTES);
    const history = HISTORY * RECORD_WORDS * 4;
    encoder.copyBufferToBuffer(monitor.history, 0, staging, CONTROL_ROOM, history);
    if (this.#telemetry && monitor.tensors.length > 0)
      encoder.copyBufferToBuffer(
        monitor.sums,
        monitor.totals,
        staging,
        CONTROL_ROOM + history,
        monitor.tensors.length * 16,
      );
    this.#clock?.copyTo(encoder, staging, CLOCK_PLACE);
    this.#device.queue.submit([encoder.finish()]);
    staging
      .mapAsync(GPUMapMode.READ)
      .then(
        () => {
          // Destroyed since, with the device or by destroy().
          if (staging.mapState !== "mapped") return this.end(lossError(this.#device, this.#label));
          const copy = staging.getMappedRange().slice(0);
          staging.unmap();
          this.#free.push(staging);
          this.#receive(new DataView(copy), submitted);
        },
        // Often before the loss itself is known. After destroy() it means nothing.
        (cause) => this.end(lossError(this.#device, this.#label, { cause })),
      )
      .finally(() => {
        this.#underWay -= 1;
        this.#wake();
      });
  }

  /**
   * Resolves when everything submitted is reported.
   * @throws OptimError `device-lost`, or `gpu-error` where submitted steps never ran, once
   */
  async settle(): Promise<void> {
    for (;;) {
      if (this.#lost) throw this.#lost;
      if (this.#ended || (this.#underWay === 0 && this.#asked === this.#slots.submitted)) {
        const missing = this.#missing;
        this.#missing = 0;
        if (missing > 0) throw this.#missingError(missing);
        return;
      }
      this.poll(1);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** @param submitted the newest step that was submitted before the copy */
  #receive(view: DataView, submitted: number): void {
    if (this.#ended) return;
    const u32 = (at: number) => view.getUint32(at, true);
    const f32 = (at: number) => view.getFloat32(at, true);
    const attempt = Math.max(submitted, u32(8));
    // Skipped, or never run.
    this.#learn(this.#monitor.learn(attempt - u32(12)));
    const kept = attempt - HISTORY;
    // After a gap, the oldest record only says what came before the next.
    const first = this.#reported >= kept ? this.#reported + 1 : kept + 2;
    const placeOf = (number: number) => CONTROL_ROOM + (number % HISTORY) * RECORD_WORDS * 4;
    let missing = 0;
    for (let number = first; number <= attempt && !this.#ended; number += 1) {
      // First of all, so that a report is given once even where onReport throws.
      this.#reported = number;
      const at = placeOf(number);
      const before = placeOf(number - 1);
      // A record of another number is older: this step left none.
      const ran = u32(at) === number;
      if (u32(before) === number - 1) this.#counts = countsAt(view, before);
      const last = this.#counts;
      if (ran) this.#counts = countsAt(view, at);
      else missing += 1;
      const norm = (offset: number) => (ran ? f32(at + offset) : Number.NaN);
      // The record of the newest step is completed by the next one, so its norms are those of the totals.
      const newest = number === u32(8);
      const rooted = (offset: number, lane: number) =>
        Math.fround(Math.sqrt(newest ? this.#total(view, lane) : norm(offset)));
      const parameterNorm = rooted(32, 0);
      const updateNorm = rooted(36, 1);
      this.#deliver({
        attempt: number,
        ...this.#counts,
        taken: this.#counts.applied > last.applied,
        ran,
        gradientNorm: norm(16),
        clipFactor: norm(20),
        lossScale: norm(24),
        nonFinite: norm(28),
        parameterNorm,
        updateNorm,
        updateRatio: updateNorm / parameterNorm,
        ...(newest && this.#clock && timeOf(view)),
        ...(number === attempt && ran && this.#telemetry?.perTensor && { tensors: this.#tensors(view) }),
      });
    }
    this.#missing += missing;
    if (missing > 0) this.#fail(this.#missingError(missing));
  }

  /** A lane of the totals of all tensors. */
  #total(view: DataView, lane: number): number {
    const start = CONTROL_ROOM + HISTORY * RECORD_WORDS * 4 + lane * 4;
    const { length } = this.#telemetry ? this.#monitor.tensors : [];
    return sumLikeGpu(length, (index) => view.getFloat32(start + index * 16, true));
  }

  #missingError(count: number): OptimError {
    return new OptimError("gpu-error", `Submitted steps of '${this.#label}' never ran`, {
      expected: "every encoded step to be submitted, with buffers that are alive",
      got: `${count} missing on the GPU`,
      fix: "keep gradient buffers alive until the submit, and look at the device's uncaptured errors",
    });
  }

  #tensors(view: DataView): ReadonlyMap<string, TensorReport> {
    const start = CONTROL_ROOM + HISTORY * RECORD_WORDS * 4;
    return new Map(
      this.#monitor.tensors.map(({ name }, index) => {
        const sum = (lane: number) => view.getFloat32(start + index * 16 + lane * 4, true);
        return [
          name,
          {
            parameterNorm: Math.sqrt(sum(0)),
            updateNorm: Math.sqrt(sum(1)),
            gradientNorm: Math.sqrt(sum(2)),
            nonFinite: sum(3),
          },
        ];
      }),
    );
  }

  #deliver(report: StepReport): void {
    if (report.nonFinite > 0)
      this.#fail(
        new OptimError("non-finite", `Gradients of '${this.#label}' are not finite`, {
          got: `${report.nonFinite} NaN or infinite values in step ${report.attempt}`,
          fix: "lower the rate, clip, or look at the loss",
        }),
      );
    if (!this.#telemetry) return;
    this.#queue.push(report);
    if (this.#queue.length > 16 * HISTORY) this.#queue.shift();
    this.#telemetry.onReport?.(report);
    this.#wake();
  }

  /** Whether reports are delivered, and not only read for the counts. */
  get delivered(): boolean {
    return this.#telemetry !== undefined;
  }

  /** Reports as they arrive, until the optimizer is destroyed or the device lost. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StepReport, void> {
    for (;;) {
      const next = this.#queue.shift();
      if (next) yield next;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Ends the reports, once. */
  end(error?: OptimError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#lost = error;
    this.#forgetLoss();
    if (error) this.#fail(error);
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
