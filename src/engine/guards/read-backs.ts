import type { MemoryContext } from "../memory/state.js";
import { readStruct, sizeOf } from "../memory/struct.js";
import { takeMapped } from "../memory/take-mapped.js";
import { READ, USAGE } from "../memory/usage.js";
import { CONTROL, FOUND, RECORD, VALUES } from "./control.js";
import type { GpuClock } from "./gpu-clock.js";
import { elapsed } from "./gpu-clock.js";
import type { Guard } from "./guard.js";
import type { TelemetryOptions, TensorReport } from "./reports.js";

/** Read-backs that may be under way at once, with telemetry, while no record would be lost. */
const AT_ONCE = 3;
/** Places in a read-back: the control block, the clock's timestamps, the records, then sums by tensor. */
const CLOCK = 64;
const RECORDS = 256;

/** What was read back, as it lay on the GPU. */
export interface ReadBackView {
  readonly control: Readonly<Record<string, number>>;
  /** The record in the place of an attempt, which may be an older one's. */
  record(attempt: number): Readonly<Record<string, number>>;
  /** Milliseconds of the newest step, where there is a clock and it makes sense. */
  readonly gpuTime: number | undefined;
  /** Norms by tensor of the newest step that kept sums; none without the option. */
  tensors(): ReadonlyMap<string, TensorReport> | undefined;
}

/** The buffers that records are read back through. */
export class ReadBacks {
  readonly #device: GPUDevice;
  readonly #make: () => GPUBuffer;
  readonly #label: string;
  readonly #free: GPUBuffer[];
  /** Records that the GPU keeps; older ones are overwritten. */
  readonly records: number;
  #count: number;
  #made = 0;
  readonly #perTensor: boolean;
  readonly #clock: GpuClock | undefined;

  constructor(
    { device, label, own }: MemoryContext,
    guard: Guard,
    telemetry: TelemetryOptions | undefined,
    clock: GpuClock | undefined,
  ) {
    this.#device = device;
    this.#label = label;
    this.#clock = clock;
    this.#perTensor = telemetry?.perTensor ?? false;
    this.#count = telemetry ? AT_ONCE : 1;
    this.records = guard.kept.records;
    const sums = this.#perTensor ? guard.values.size : 0;
    this.#make = () =>
      own(
        device.createBuffer({
          label: `${label} report ${this.#made++}`,
          size: RECORDS + this.records * sizeOf(RECORD) + sums,
          usage: USAGE.MAP_READ | USAGE.COPY_DST,
        }),
      );
    this.#free = Array.from({ length: this.#count }, this.#make);
  }

  /** Whether none is under way. */
  get idle(): boolean {
    return this.#free.length === this.#count;
  }

  /**
   * Copies what is there now, if a buffer is free; undefined in the end where that was destroyed meanwhile.
   * @param now whether records would be lost later: one buffer more is made where none is free
   */
  read(guard: Guard, now: boolean): Promise<ReadBackView | undefined> | undefined {
    let staging = this.#free.pop();
    if (!staging && now) {
      staging = this.#make();
      this.#count += 1;
    }
    if (!staging) return undefined;
    return this.#copy(guard, staging);
  }

  #copy(guard: Guard, staging: GPUBuffer): Promise<ReadBackView | undefined> {
    const encoder = this.#device.createCommandEncoder({ label: `${this.#label} report` });
    const history = this.records * sizeOf(RECORD);
    encoder.copyBufferToBuffer(guard.kept.control, 0, staging, 0, sizeOf(CONTROL));
    encoder.copyBufferToBuffer(guard.kept.history, 0, staging, RECORDS, history);
    const { buffer, size } = guard.values;
    if (this.#perTensor && size > 0) encoder.copyBufferToBuffer(buffer, 0, staging, RECORDS + history, size);
    this.#clock?.copyTo(encoder, staging, CLOCK);
    this.#device.queue.submit([encoder.finish()]);
    return staging.mapAsync(READ).then(() => {
      const bytes = takeMapped(staging);
      if (!bytes) return undefined;
      this.#free.push(staging);
      return this.#view(new DataView(bytes), guard);
    });
  }

  #view(view: DataView, guard: Guard): ReadBackView {
    const control = readStruct(view, 0, CONTROL);
    return {
      control,
      record: (attempt) => readStruct(view, RECORDS + (attempt % this.records) * sizeOf(RECORD), RECORD),
      gpuTime: this.#clock && elapsed(view, CLOCK),
      tensors: () =>
        this.#perTensor
          ? tensorsOf(view, guard, RECORDS + this.records * sizeOf(RECORD), control.attempt!)
          : undefined,
    };
  }
}

/** @param attempt that they are of; what it left out is none of them */
function tensorsOf(
  view: DataView,
  guard: Guard,
  start: number,
  attempt: number,
): ReadonlyMap<string, TensorReport> {
  const reports = new Map<string, TensorReport>();
  guard.tensors.forEach((tensor, index) => {
    if (!guard.hasStepped(tensor, attempt)) return;
    const found = readStruct(view, start + index * VALUES, FOUND);
    reports.set(tensor.name, {
      parameterNorm: found.parameter_norm!,
      updateNorm: found.update_norm!,
      gradientNorm: found.gradient_norm!,
      nonFinite: found.non_finite!,
      lostUpdates: found.lost_updates!,
    });
  });
  return reports;
}
