import { OptimError } from "../../errors.js";
import * as controlShader from "../../shaders/engine/control.wgsl?engine";
import type { ParameterGroup } from "../group.js";
import { bindStep } from "../kernels/pipelines.js";
import { BLOCK, bindBlocks, GROUP_BYTES } from "../memory/slots.js";
import type { MemoryContext } from "../memory/state.js";
import { writeStruct } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import { type Guards, UNLIMITED } from "../options/guard-options.js";
import type { PendingStep } from "../scalars.js";
import type { SteppedCohort } from "../verbs.js";

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
  /** How many of the steps in flight may be skipped, and one. */
  readonly rows: number;
  /** How many rows are staged, of all cohorts. */
  readonly staged: number;
  readonly scale: number;
  /** Of each cohort, what any of its rows needs. */
  readonly pending: readonly PendingStep[];
}

/** Attempts before one whose outcome the GPU keeps by itself. */
const REMEMBERED = 128;
const NO_BITS: readonly number[] = Array.from({ length: REMEMBERED / 32 }, () => 0);
/** Words of a row, and where its choice lies. */
const ROW = GROUP_BYTES / 4;
const CHOICE = controlShader.constants.CHOICE! / 4;

/** Buffers that hold rows, for as many cohorts. */
interface Room {
  readonly rows: GPUBuffer;
  readonly live: GPUBuffer;
  readonly bound: GPUBindGroup;
  readonly staging: Float32Array<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
}

/** Brings to the GPU what is set for each attempt at a step: guards in force, and the rows of scalars it may read. */
export class Attempts {
  readonly #context: MemoryContext;
  readonly #bindGroup: GPUBindGroup;
  readonly #buffer: GPUBuffer;
  readonly #words = new DataView(new ArrayBuffer(BLOCK));
  readonly #rowsOfCohort: number;
  readonly #slots: number;
  #room!: Room;
  /** Steps encoded. */
  #number: number;
  /** Of these, steps whose outcome is known, and how many of them were skipped. */
  #known: number;
  #skipped: number;

  /** @param before whose counts go on */
  constructor(context: MemoryContext, groups: number, guards: Guards, slots: number, before?: Attempts) {
    const { device, label, own } = context;
    this.#context = context;
    this.#slots = slots;
    this.#rowsOfCohort = rowsOf(guards);
    this.#number = before?.number ?? 0;
    this.#known = this.#number;
    this.#skipped = before?.skipped ?? 0;
    this.#makeRoom(rowsOf(guards) * groups, groups);
    this.#buffer = own(
      device.createBuffer({
        label: `${label} attempts`,
        size: slots * BLOCK,
        usage: USAGE.UNIFORM | USAGE.COPY_DST,
      }),
    );
    const attempt = { buffer: this.#buffer, size: BLOCK };
    this.#bindGroup = bindStep(device, `${label} attempts`, attempt, attempt);
  }

  /** @param rows of a slot @throws OptimError `limit-exceeded` */
  #makeRoom(rows: number, cohorts: number): void {
    const { device, label, own } = this.#context;
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    const bytes = rows * GROUP_BYTES;
    if (this.#slots * bytes > maxBufferSize || bytes > maxStorageBufferBindingSize)
      throw new OptimError("limit-exceeded", `'${label}' needs too many bytes of scalars`, {
        expected: `at most ${maxBufferSize} (maxBufferSize), ${maxStorageBufferBindingSize} bound`,
        got: `${this.#slots * bytes}, ${bytes} bound`,
        fix: "lower stepsInFlight or guards.skipsInFlight",
      });
    const create = (name: string, size: number, usage: number) =>
      own(
        device.createBuffer({
          label: `${label} ${name}`,
          size,
          usage: usage | USAGE.STORAGE | USAGE.COPY_DST,
        }),
      );
    const staging = new Float32Array(rows * ROW);
    const live = create("live scalars", cohorts * GROUP_BYTES, USAGE.UNIFORM);
    this.#room = {
      rows: create("rows", this.#slots * bytes, 0),
      live,
      bound: bindBlocks(device, `${label} live scalars`, live),
      staging,
      words: new Uint32Array(staging.buffer),
    };
  }

  /** Steps encoded. */
  get number(): number {
    return this.#number;
  }

  /** Steps whose outcome is known. */
  get known(): number {
    return this.#known;
  }

  /** Steps that the GPU is known to have skipped. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Bind group 0 with the scalars that the GPU chose, a cohort behind the other. */
  get live(): GPUBindGroup {
    return this.#room.bound;
  }

  /** The rows of one slot, and where those that are read go. */
  get room(): { readonly rows: GPUBufferBinding; readonly live: GPUBuffer } {
    const { rows, live, staging } = this.#room;
    return { rows: { buffer: rows, size: staging.byteLength }, live };
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

  /** Forgets the newest step. */
  undo(): void {
    this.#number -= 1;
  }

  /**
   * Works out the rows of scalars that the next step may read. The first of each cohort is that if no step in flight is
   * skipped; each further one is for one more step skipped among those that the host has not heard of. A cohort that took
   * part in some of these has rows for each number of the group's steps and of its own. Nothing is written yet.
   * @param scale of the mean over micro-batches
   * @throws OptimError `busy`, `limit-exceeded`
   */
  prepare(groups: readonly ParameterGroup[], stepped: readonly SteppedCohort[], scale: number): PreparedRows {
    const newest = this.#number - this.#skipped;
    const unknown = this.#number - this.#known;
    const rows = Math.min(this.#rowsOfCohort, newest + 1, unknown + 1);
    const widths = stepped.map(({ cohort }) => this.#widthOf(cohort.missed, unknown, rows));
    const all = widths.reduce((sum, width) => sum + rows * width, 0);
    if (all * ROW > this.#room.staging.length || stepped.length * GROUP_BYTES > this.#room.live.size)
      this.#makeRoom(Math.max(2 * all, this.#rowsOfCohort * stepped.length), 2 * stepped.length);
    const { staging, words } = this.#room;
    let next = stepped.length;
    const pending = stepped.map(({ cohort, group, block }, index) => {
      const { [group]: own } = groups;
      const width = widths[index]!;
      const first = next;
      let needed: PendingStep | undefined;
      for (let skipped = 0; skipped < rows; skipped += 1)
        for (let missed = 0; missed < width; missed += 1) {
          // One that took part in none of them counts what it counted.
          const idle = unknown > 0 && cohort.missed.length === unknown;
          const back = width > 1 ? missed : idle ? 0 : skipped;
          const row = skipped + missed === 0 ? block : next++;
          const prepared = own!.prepareRow(
            CHOICE,
            scale,
            cohort,
            Math.max(0, own!.steps - skipped),
            Math.max(0, cohort.steps - back),
          );
          staging.set(prepared.words, row * ROW);
          // What any row may need is encoded; the row that is read decides.
          needed = needed ? either(needed, prepared.pending) : prepared.pending;
        }
      const choice = block * ROW + CHOICE;
      words.set(this.#tookPart(cohort.missed), choice);
      words[choice + REMEMBERED / 32] = first;
      words[choice + REMEMBERED / 32 + 1] = width;
      return needed!;
    });
    return { newest, rows, staged: next, scale, pending };
  }

  /** How many counts of a cohort's own skipped steps there may be for one of the group's. */
  #widthOf(missed: readonly number[], unknown: number, rows: number): number {
    const tookPart = unknown - missed.length;
    if (missed.length === 0 || tookPart === 0) return 1;
    if (unknown > REMEMBERED)
      throw new OptimError("busy", `'${this.#context.label}' has too many steps in flight`, {
        expected: `at most ${REMEMBERED} whose outcome is not known, where steps leave tensors out`,
        got: `${unknown}`,
        fix: "await settled() from time to time",
      });
    return Math.min(tookPart, rows - 1) + 1;
  }

  /** A bit for each attempt before the next whose outcome is not known and that was not missed, the newest first. */
  #tookPart(missed: readonly number[]): readonly number[] {
    if (missed.length === 0) return NO_BITS;
    const bits = [...NO_BITS];
    const left = new Set(missed);
    for (let back = 0; back < Math.min(REMEMBERED, this.#number - this.#known); back += 1)
      if (!left.has(this.#number - back)) bits[back >> 5]! |= 1 << (back & 31);
    return bits;
  }

  /** Writes a prepared step into a slot of the ring, and counts it. */
  write(slot: number, prepared: PreparedRows, guards: Guards): void {
    this.#number += 1;
    const { clipValue, clipNorm, clipGlobalNorm, lossScale } = guards;
    this.#writeRows(slot, prepared);
    this.#write(slot, {
      ...this.#chosenFrom(prepared),
      clip_value: clipValue,
      clip_norm: clipNorm,
      clip_global_norm: clipGlobalNorm,
      number: this.#number,
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

  /** Writes the rows of a step that is not attempted yet. */
  writeChoice(slot: number, prepared: PreparedRows): void {
    this.#writeRows(slot, prepared);
    const flags = flagsOf({ CHOOSE: true });
    this.#write(slot, { ...this.#chosenFrom(prepared), number: this.#number + 1, flags });
  }

  #writeRows(slot: number, { staged }: PreparedRows): void {
    const { rows, staging } = this.#room;
    this.#context.device.queue.writeBuffer(rows, slot * staging.byteLength, staging, 0, staged * ROW);
  }

  #chosenFrom({ newest, rows, scale, pending }: PreparedRows): Readonly<Record<string, number>> {
    return { gradient_scale: scale, newest_applied: newest, rows, cohorts: pending.length };
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
    this.#context.device.queue.writeBuffer(this.#buffer, slot * BLOCK, this.#words.buffer);
  }

  /** Sets bind group 0 to a slot. */
  set(pass: GPUComputePassEncoder, slot: number): void {
    pass.setBindGroup(0, this.#bindGroup, [slot * BLOCK, slot * BLOCK]);
  }

  /** Offset of a slot's rows. */
  rowsAt(slot: number): number {
    return slot * this.#room.staging.byteLength;
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
