import { OptimError } from "../../errors.js";
import { lossError, onLoss } from "../device.js";
import type { ParameterGroup } from "../group.js";
import type { Slots } from "../memory/slots.js";
import { skippedBetween } from "./control.js";
import type { Guard } from "./guard.js";
import type { ReadBacks, ReadBackView } from "./read-backs.js";

/** Telemetry options. */
export interface TelemetryOptions {
  /** Called with each report, in order, some steps late. */
  readonly onReport?: (report: StepReport) => void;
  /**
   * Steps between two that keep the norms of parameters and updates, and between two read-backs; default 1. Each brings the
   * reports of all steps since; those between have NaN in place of these norms, and cost nothing for them.
   */
  readonly every?: number;
  /** Whether reports hold norms by tensor, where the newest step of a read-back keeps norms. Default false. */
  readonly perTensor?: boolean;
}

/**
 * Norms of a tensor, right for all that f32 holds: from 1.2e-38, below which they are 0, to 3.4e38, which stands for larger
 * ones, too.
 */
export interface TensorReport {
  /** Of the gradient, unscaled and clipped by value, without what is not finite. */
  readonly gradientNorm: number;
  /** Of the parameters after the step. */
  readonly parameterNorm: number;
  /** Of what the step changed in the parameters as they are stored: their values after it less those before. */
  readonly updateNorm: number;
  /** Gradients that were NaN or infinite, before or after the loss scale was divided out. */
  readonly nonFinite: number;
  /**
   * Elements with an update that is not 0 and that left the parameter as it was: too small beside it for f32, where it is
   * below half a unit in the last place.
   */
  readonly lostUpdates: number;
}

/**
 * Why a step was not taken: `nonFinite`, gradients are; `skipsInFlight`, more steps were skipped in flight than that guard
 * allows (a fault); `notRun`, the submit never ran.
 */
export type SkipReason = "nonFinite" | "skipsInFlight" | "notRun";

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
  /** Why not, where it was not. */
  readonly skipReason?: SkipReason;
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

/** The running counts of a record. */
const countsOf = ({ applied = 0, skipped = 0, faults = 0 }: Readonly<Record<string, number>>) => ({
  applied,
  skipped,
  faults,
});

/** Reports that wait for whoever may come to read them, and for one who does. */
const KEPT = 64;
const KEPT_FOR_READER = 1024;

/** A guard and what its records are read back through. */
export interface Guarding {
  readonly guard: Guard;
  readonly readBacks: ReadBacks;
}

const missingError = (label: string, count: number) =>
  new OptimError("gpu-error", `Submitted steps of '${label}' never ran`, {
    expected: "every encoded step to be submitted, with buffers that are alive",
    got: `${count} missing on the GPU`,
    fix: "keep gradient buffers alive until the submit, call submitted() after it, and look at the device's uncaptured errors",
  });

/** Brings what the guard recorded to the host, late and without waiting, through a few mapped buffers. */
export class Reports {
  /** Rejects with the first report of a non-finite gradient or of a step that never ran, or with the loss of the device. */
  readonly failure: Promise<never>;
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #telemetry: TelemetryOptions | undefined;
  readonly #learn: ParameterGroup["takeBack"];
  #readBack: ReadBacks;
  #guard: Guard;
  #slots: Slots;
  readonly #waiting = new Set<() => void>();
  readonly #queue: StepReport[] = [];
  #fail!: (error: OptimError) => void;
  #asked = 0;
  #reported = 0;
  #counts = { applied: 0, skipped: 0, faults: 0 };
  /** Whether anybody reads them. */
  #read = false;
  #ended = false;
  #lost: OptimError | undefined;
  /** Submitted steps that never ran and of which {@link settle} has not told yet. */
  #missing = 0;
  readonly #forgetLoss: () => void;

  /** @param learn told which steps are news that the GPU did not take */
  constructor(
    device: GPUDevice,
    label: string,
    { guard, readBacks }: Guarding,
    slots: Slots,
    telemetry: TelemetryOptions | undefined,
    learn: ParameterGroup["takeBack"],
  ) {
    this.#device = device;
    this.#label = label;
    this.#guard = guard;
    this.#readBack = readBacks;
    this.#slots = slots;
    this.#telemetry = telemetry;
    this.#learn = learn;
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Those who do not look are not to be stopped by it.
    this.failure.catch(() => {});
    this.#forgetLoss = onLoss(device, () => this.end(lossError(device, label)));
  }

  /** Goes on with a guard that took over. No read-back may be under way. */
  follow({ guard, readBacks }: Guarding, slots: Slots): void {
    this.#guard = guard;
    this.#readBack = readBacks;
    this.#slots = slots;
    this.#asked = slots.submitted;
  }

  /**
   * Starts a read-back of what was submitted, if there is news and a free buffer. Without telemetry nobody waits for it, so
   * the next one begins when the last has come.
   */
  poll(every = this.#telemetry?.every ?? 1): void {
    const { submitted } = this.#slots;
    const readBacks = this.#readBack;
    if (this.#ended || submitted - this.#asked < every) return;
    // The record before the first tells what that one changed.
    const late = submitted - this.#asked >= readBacks.records - 1;
    const copied = readBacks.read(this.#guard, late && this.#telemetry !== undefined);
    if (!copied) return;
    this.#asked = submitted;
    void copied
      .then(
        (view) => {
          // Destroyed since, with the device or by destroy().
          if (!view) return this.end(lossError(this.#device, this.#label));
          this.#receive(view, submitted);
          this.poll();
        },
        // Often before the loss itself is known. After destroy() it means nothing.
        (cause) => this.end(lossError(this.#device, this.#label, { cause })),
      )
      .finally(() => this.#wake());
  }

  /**
   * Resolves when everything submitted is reported.
   * @throws OptimError `device-lost`, or `gpu-error` where submitted steps never ran, once
   */
  async settle(): Promise<void> {
    for (;;) {
      if (this.#lost) throw this.#lost;
      if (this.#ended || (this.#readBack.idle && this.#asked === this.#slots.submitted)) {
        const missing = this.#missing;
        this.#missing = 0;
        if (missing > 0) throw missingError(this.#label, missing);
        return;
      }
      this.poll(1);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** @param submitted the newest step that was submitted before the copy */
  #receive(view: ReadBackView, submitted: number): void {
    if (this.#ended) return;
    const { control } = view;
    const attempt = Math.max(submitted, control.attempt!);
    // Skipped, or never run.
    const { attempts } = this.#guard;
    const { known } = attempts;
    this.#learn(attempts.learn(attempt, attempt - control.applied!), attempt, (missed) =>
      skippedBetween(control, known, attempt, missed),
    );
    const kept = attempt - this.#readBack.records;
    // After a gap, where nobody asked for reports, the oldest record only says what came before the next.
    const first = this.#reported >= kept ? this.#reported + 1 : kept + 2;
    let missing = 0;
    for (let number = first; number <= attempt && !this.#ended; number += 1) {
      this.#reported = number;
      const before = view.record(number - 1);
      const record = view.record(number);
      // A record of another number is older: this step left none.
      const ran = record.attempt === number;
      if (before.attempt === number - 1) this.#counts = countsOf(before);
      const last = this.#counts;
      if (ran) this.#counts = countsOf(record);
      else missing += 1;
      const value = (name: string) => (ran ? record[name]! : Number.NaN);
      const parameterNorm = value("parameter_norm");
      const updateNorm = value("update_norm");
      const lostUpdates = value("lost_updates");
      const nonFinite = value("non_finite");
      const { applied, faults } = this.#counts;
      const taken = applied > last.applied;
      const fault = faults > last.faults;
      const newest = number === control.attempt;
      // What was summed up last is of the newest step, where that keeps sums.
      const tensors = newest && !Number.isNaN(lostUpdates) ? view.tensors() : undefined;
      this.#deliver({
        attempt: number,
        ...this.#counts,
        taken,
        ...(!taken && { skipReason: !ran ? "notRun" : fault ? "skipsInFlight" : "nonFinite" }),
        ran,
        gradientNorm: value("gradient_norm"),
        clipFactor: value("clip_unit") * value("clip_factor"),
        lossScale: value("loss_scale"),
        nonFinite,
        parameterNorm,
        updateNorm,
        lostUpdates,
        updateRatio: updateNorm / parameterNorm,
        ...(newest && view.gpuTime !== undefined && { gpuTime: view.gpuTime }),
        ...(tensors && { tensors }),
      });
    }
    this.#missing += missing;
    if (missing > 0) this.#fail(missingError(this.#label, missing));
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
    if (this.#queue.length > (this.#read ? KEPT_FOR_READER : KEPT)) this.#queue.shift();
    this.#wake();
    try {
      this.#telemetry.onReport?.(report);
    } catch (error) {
      // What the caller's function throws is the caller's, and stops no other report.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** Whether reports are delivered, and not only read for the counts. */
  get delivered(): boolean {
    return this.#telemetry !== undefined;
  }

  /** Reports as they arrive, until the optimizer is destroyed or the device lost. */
  async *[Symbol.asyncIterator](): AsyncGenerator<StepReport, void> {
    this.#read = true;
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
