import { OptimError } from "../../errors.js";
import { bindStep } from "../kernels/pipelines.js";
import { USAGE } from "./usage.js";

/** Bytes of one uniform block: the coarsest alignment of dynamic offsets. */
export const BLOCK = 256;

/** Bytes of a group's uniforms: a block of the rule's scalars, a block of the engine's. */
export const GROUP_BYTES = 2 * BLOCK;

/** Bind group 0 of blocks that lie in one buffer, a group behind the other. */
export const bindBlocks = (device: GPUDevice, label: string, buffer: GPUBuffer): GPUBindGroup =>
  bindStep(device, label, { buffer, size: BLOCK }, { buffer, offset: BLOCK, size: BLOCK });

/**
 * The uniform ring. A slot holds, for each group, a block of the rule's scalars and a block of the engine's; it is
 * written when a step is encoded and held until that step is submitted, which nobody but the caller can see.
 */
export class Slots {
  readonly bindGroup: GPUBindGroup;
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #buffer: GPUBuffer;
  readonly #groups: number;
  readonly #count: number;
  readonly #staging: Float32Array<ArrayBuffer>;
  /** For each group the f32 values of its two blocks, to be filled before {@link take}. */
  readonly staged: readonly Float32Array[];
  /** Of each slot: the step that holds it, where steps are numbered; 0 for other work. */
  readonly #steps: number[];
  #next = 0;
  #held = 0;
  #submitted = 0;

  constructor(device: GPUDevice, label: string, groups: number, count: number) {
    this.#device = device;
    this.#label = label;
    this.#groups = groups;
    this.#count = count;
    this.#steps = new Array<number>(count).fill(0);
    const values = GROUP_BYTES / 4;
    this.#staging = new Float32Array(groups * values);
    this.staged = Array.from({ length: groups }, (_, group) =>
      this.#staging.subarray(group * values, (group + 1) * values),
    );
    this.#buffer = device.createBuffer({
      label: `${label} uniforms`,
      size: count * groups * GROUP_BYTES,
      usage: USAGE.UNIFORM | USAGE.COPY_DST,
    });
    this.bindGroup = bindBlocks(device, `${label} uniforms`, this.#buffer);
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
    const offset = this.reserve() * this.#groups * GROUP_BYTES;
    this.#device.queue.writeBuffer(this.#buffer, offset, this.#staging);
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

  destroy(): void {
    this.#buffer.destroy();
  }
}
