import { OptimError } from "../../errors.js";
import { bindStep } from "../kernels/pipelines.js";
import { USAGE } from "./usage.js";

/** Bytes of one uniform block: the coarsest alignment of dynamic offsets. */
export const BLOCK = 256;

/** Bytes of a cohort's uniforms: a block of the rule's scalars, a block of the engine's. */
export const GROUP_BYTES = 2 * BLOCK;

/** Bind group 0 of blocks that lie in one buffer, a cohort behind the other. */
export const bindBlocks = (device: GPUDevice, label: string, buffer: GPUBuffer): GPUBindGroup =>
  bindStep(device, label, { buffer, size: BLOCK }, { buffer, offset: BLOCK, size: BLOCK });

/** The buffer of a ring, and what is staged for a slot of it. */
interface Ring {
  readonly buffer: GPUBuffer;
  readonly bindGroup: GPUBindGroup;
  readonly staging: Float32Array<ArrayBuffer>;
  readonly staged: readonly Float32Array[];
}

/**
 * The uniform ring. A slot holds, for each cohort, a block of the rule's scalars and a block of the engine's; it is
 * written when a step is encoded and held until that step is submitted, which nobody but the caller can see.
 */
export class Slots {
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #count: number;
  #ring!: Ring;
  /** Those that were too small: what is encoded may read them yet. */
  readonly #outgrown: GPUBuffer[] = [];
  /** Of each slot: the step that holds it, where steps are numbered; 0 for other work. */
  readonly #steps: number[];
  #next = 0;
  #held = 0;
  #submitted = 0;

  /** @param cohorts that there is room for */
  constructor(device: GPUDevice, label: string, cohorts: number, count: number) {
    this.#device = device;
    this.#label = label;
    this.#count = count;
    this.#steps = new Array<number>(count).fill(0);
    this.#grow(cohorts);
  }

  #grow(cohorts: number): void {
    const values = GROUP_BYTES / 4;
    const staging = new Float32Array(cohorts * values);
    const size = this.#count * cohorts * GROUP_BYTES;
    const { maxBufferSize } = this.#device.limits;
    if (size > maxBufferSize)
      throw new OptimError("limit-exceeded", `'${this.#label}' needs too many uniform bytes`, {
        expected: `at most ${maxBufferSize} (maxBufferSize)`,
        got: `${size}`,
        fix: "lower stepsInFlight",
      });
    const buffer = this.#device.createBuffer({
      label: `${this.#label} uniforms`,
      size,
      usage: USAGE.UNIFORM | USAGE.COPY_DST,
    });
    if (this.#ring) this.#outgrown.push(this.#ring.buffer);
    this.#ring = {
      buffer,
      bindGroup: bindBlocks(this.#device, `${this.#label} uniforms`, buffer),
      staging,
      staged: Array.from({ length: cohorts }, (_, cohort) =>
        staging.subarray(cohort * values, (cohort + 1) * values),
      ),
    };
  }

  /** Bind group 0 over the ring as it is now. */
  get bindGroup(): GPUBindGroup {
    return this.#ring.bindGroup;
  }

  /** For each cohort the f32 values of its two blocks, to be filled before {@link take}. @throws OptimError `limit-exceeded` */
  stage(cohorts: number): readonly Float32Array[] {
    if (cohorts > this.#ring.staged.length) this.#grow(Math.max(cohorts, 2 * this.#ring.staged.length));
    return this.#ring.staged;
  }

  /** @throws OptimError `slots-exhausted` where every slot holds a step that is not known to be submitted. */
  requireFree(): void {
    if (this.#held === this.#count)
      throw new OptimError("slots-exhausted", `'${this.#label}' has no free slot for another encoded step`, {
        expected: `at most ${this.#count} steps that are encoded and not submitted`,
        got: `${this.#held}`,
        fix: "call submitted() after queue.submit(), or raise the option stepsInFlight",
      });
  }

  /**
   * Holds the next slot and gives its number.
   * @param step the number of the step it is for, from 1; 0 for other work
   */
  reserve(step = 0): number {
    this.requireFree();
    const slot = this.#next;
    this.#steps[slot] = step;
    this.#next = (slot + 1) % this.#count;
    this.#held += 1;
    return slot;
  }

  /** Writes what is staged into the next slot and gives its dynamic offset for group 0. */
  take(): number {
    const { buffer, staging } = this.#ring;
    const offset = this.reserve() * staging.byteLength;
    this.#device.queue.writeBuffer(buffer, offset, staging);
    return offset;
  }

  /** How many slots hold steps that are not known to be submitted. */
  get held(): number {
    return this.#held;
  }

  /** The newest numbered step that is known to be submitted. */
  get submitted(): number {
    return this.#submitted;
  }

  /** Frees the oldest `count` slots. */
  release(count: number): void {
    for (let freed = 0; freed < count; freed += 1) {
      const oldest = (this.#next - this.#held + this.#count) % this.#count;
      this.#submitted = Math.max(this.#submitted, this.#steps[oldest]!);
      this.#held -= 1;
    }
  }

  /** Frees the newest slot, of work that will not be submitted. */
  withdraw(): void {
    this.#held -= 1;
    this.#next = (this.#next - 1 + this.#count) % this.#count;
  }

  destroy(): void {
    for (const buffer of [this.#ring.buffer, ...this.#outgrown]) buffer.destroy();
  }
}
