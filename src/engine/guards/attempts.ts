import * as controlShader from "../../shaders/engine/control.wgsl?engine";
import type { ParameterGroup, PendingStep } from "../group.js";
import { bindStep } from "../kernels/pipelines.js";
import { BLOCK, GROUP_BYTES } from "../memory/slots.js";
import type { MemoryContext } from "../memory/state.js";
import { writeStruct } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import { type Guards, UNLIMITED } from "../options/guard-options.js";

const ATTEMPT = controlShader.structs.Attempt!;
/** The flags among these constants that are set. */
const flagsOf = (set: Readonly<Record<string, boolean>>): number =>
  Object.keys(set).reduce((flags, name) => flags | (set[name] ? controlShader.constants[name]! : 0), 0);

/** Rows of scalars for a step: one if none in flight is skipped, and one for each that may be. */
export const rowsOf = ({ skipsInFlight }: Guards): number => skipsInFlight + 1;

/** Rows of scalars for an attempt, staged. */
export interface PreparedRows {
  /** Steps applied if none in flight is skipped. */
  readonly newest: number;
  readonly rows: number;
  readonly scale: number;
  /** Of each group, what any of its rows needs. */
  readonly pending: readonly PendingStep[];
}

/** Brings to the GPU what is set for each attempt at a step: guards in force, and the rows of scalars it may read. */
export class Attempts {
  /** The rows of one slot. */
  readonly rows: GPUBufferBinding;
  readonly #device: GPUDevice;
  readonly #bindGroup: GPUBindGroup;
  readonly #buffer: GPUBuffer;
  readonly #staging: Float32Array<ArrayBuffer>;
  readonly #words = new DataView(new ArrayBuffer(BLOCK));
  readonly #groups: number;
  readonly #rowsOfSlot: number;
  readonly #rowBytes: number;
  /** Steps encoded. */
  #number: number;
  /** Of these, steps whose outcome is known, and how many of them were skipped. */
  #known: number;
  #skipped: number;

  /** @param before whose counts go on */
  constructor(context: MemoryContext, groups: number, guards: Guards, slots: number, before?: Attempts) {
    const { device, label, own } = context;
    const create = (name: string, size: number, usage: number) =>
      own(device.createBuffer({ label: `${label} ${name}`, size, usage: usage | USAGE.COPY_DST }));
    this.#device = device;
    this.#groups = groups;
    this.#rowsOfSlot = rowsOf(guards);
    this.#number = before?.number ?? 0;
    this.#known = this.#number;
    this.#skipped = before?.skipped ?? 0;
    this.#rowBytes = rowsOf(guards) * groups * GROUP_BYTES;
    this.rows = {
      buffer: create("rows", slots * this.#rowBytes, USAGE.STORAGE),
      size: this.#rowBytes,
    };
    this.#staging = new Float32Array(this.#rowBytes / 4);
    this.#buffer = create("attempts", slots * BLOCK, USAGE.UNIFORM);
    const attempt = { buffer: this.#buffer, size: BLOCK };
    this.#bindGroup = bindStep(device, `${label} attempts`, attempt, attempt);
  }

  /** Steps encoded. */
  get number(): number {
    return this.#number;
  }

  /** Steps that the GPU is known to have skipped. */
  get skipped(): number {
    return this.#skipped;
  }

  /**
   * Takes the count of steps that the GPU did not take, skipped or never run, of the first so many, and gives how many of
   * them are news.
   */
  learn(attempts: number, skipped: number): number {
    const news = skipped - this.#skipped;
    this.#skipped = skipped;
    this.#known = Math.max(this.#known, attempts);
    return news;
  }

  /**
   * Works out the rows of scalars that the next step may read: the newest first; each further one is for one more step
   * skipped among those that the host has not heard of. Nothing is written yet.
   * @param scale of the mean over micro-batches
   */
  prepare(groups: readonly ParameterGroup[], scale: number): PreparedRows {
    const newest = this.#number - this.#skipped;
    const rows = Math.min(this.#rowsOfSlot, newest + 1, this.#number - this.#known + 1);
    const words = GROUP_BYTES / 4;
    const pending: PendingStep[] = [];
    for (let row = 0; row < rows; row += 1)
      groups.forEach((group, index) => {
        const start = (row * groups.length + index) * words;
        const staged = this.#staging.subarray(start, start + words);
        const prepared = group.prepareRow(staged, scale, Math.max(0, group.steps - row));
        const newer = pending[index];
        // What any row may need is encoded; the row that is read decides.
        pending[index] = newer ? either(newer, prepared) : prepared;
      });
    return { newest, rows, scale, pending };
  }

  /** Writes a prepared step into a slot of the ring, and counts it. */
  write(slot: number, { newest, rows, scale }: PreparedRows, guards: Guards): void {
    this.#number += 1;
    const words = (rows * this.#groups * GROUP_BYTES) / 4;
    this.#device.queue.writeBuffer(this.rows.buffer, slot * this.#rowBytes, this.#staging, 0, words);
    const { clipValue, clipNorm, clipGlobalNorm, lossScale } = guards;
    this.#write(slot, {
      gradient_scale: scale,
      clip_value: clipValue,
      clip_norm: clipNorm,
      clip_global_norm: clipGlobalNorm,
      number: this.#number,
      newest_applied: newest,
      rows,
      flags: flagsOf({
        SKIP_NON_FINITE: guards.nonFinite === "skip",
        OPTAX_NORM: guards.clipFormula === "optax",
        DYNAMIC_SCALE: guards.dynamicScale,
      }),
      growth: lossScale.growth,
      backoff: lossScale.backoff,
      growth_interval: lossScale.interval,
      smallest_scale: lossScale.min,
      largest_scale: lossScale.max,
    });
  }

  /** Writes an ascent, which follows the gradient as it is. */
  writeAscent(slot: number, radius: number): void {
    this.#write(slot, {
      gradient_scale: 1,
      clip_value: UNLIMITED,
      clip_norm: UNLIMITED,
      flags: flagsOf({ ASCENT: true }),
      radius,
    });
  }

  #write(slot: number, values: Readonly<Record<string, number>>): void {
    writeStruct(this.#words, ATTEMPT, values);
    this.#device.queue.writeBuffer(this.#buffer, slot * BLOCK, this.#words.buffer);
  }

  /** Sets bind group 0 to a slot and gives the offset of its rows. */
  set(pass: GPUComputePassEncoder, slot: number): number {
    pass.setBindGroup(0, this.#bindGroup, [slot * BLOCK, slot * BLOCK]);
    return slot * this.#rowBytes;
  }
}

const either = (newer: PendingStep, older: PendingStep): PendingStep => ({
  ...newer,
  slow: newer.slow || older.slow,
  average: newer.average || older.average,
  stages: {
    ...newer.stages,
    decay: newer.stages.decay === "none" ? older.stages.decay : newer.stages.decay,
    quick: newer.stages.quick || older.stages.quick,
  },
});
