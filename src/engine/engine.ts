import { briefly, OptimError } from "../errors.js";
import { requireDevice } from "./device.js";
import type { ParameterGroup } from "./group.js";
import type { Reports } from "./guards/reports.js";
import type { Machine } from "./machine.js";
import { byName, type GroupTensor } from "./memory/group-memory.js";
import type { Tensor } from "./memory/parameters.js";
import type { CheckedOptions } from "./options/optimizer-options.js";

/**
 * Encodes a verb and gives a function that undoes it, where that takes more than what the engine itself remembers; or
 * false, where there was nothing to encode.
 */
type Encode = (encoder: GPUCommandEncoder) => unknown;

/** A verb that is encoded and not submitted. */
interface Encoded {
  readonly undo: () => void;
  /** Takes its steps back, later ones apart. */
  readonly takeBack: () => void;
}

/** What an optimizer is made of, where it stands within a step, and what may be done there. */
export class Engine {
  readonly device: GPUDevice;
  readonly label: string;
  readonly groups: ParameterGroup[];
  readonly reports: Reports | undefined;
  checked: CheckedOptions;
  /** Tensors that have state and are not stepped. */
  frozen: ReadonlySet<Tensor> = new Set();
  /** Tensors whose slow weights, average and other copies have begun. */
  readonly begun = new WeakSet<Tensor>();
  /** Whether the parameters are the average now. */
  averaged = false;
  /** Whether the parameters are where the next gradient is taken. */
  lookedAhead = false;
  /** Sizes of the micro-batches accumulated since the last step. */
  samples: { readonly first: number; readonly total: number } | undefined;
  /** Gradients of outputs handed over since the last step. */
  outputs = 0;
  /** Why the gradients that were moved last cannot be read, once that is known. */
  refusedGradients: OptimError | undefined;
  #machine: Machine;
  #tensors: ReadonlyMap<string, GroupTensor>;
  /** What undoes each verb that is encoded and not submitted, the oldest first. */
  readonly #encoded: Encoded[] = [];
  /** Why something encoded will not run, not yet told. */
  #lost: OptimError | undefined;
  #changing = false;
  #destroyed = false;

  /** @param makeReports given what to call with the steps that the GPU is learnt not to have taken */
  constructor(
    device: GPUDevice,
    checked: CheckedOptions,
    groups: ParameterGroup[],
    machine: Machine,
    makeReports: ((learn: ParameterGroup["takeBack"]) => Reports) | undefined,
  ) {
    this.device = device;
    this.label = checked.label;
    this.checked = checked;
    this.groups = groups;
    this.#machine = machine;
    this.#tensors = byName(machine.memories);
    this.reports = makeReports?.((...skipped) => {
      for (const group of groups) group.takeBack(...skipped);
    });
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** Goes on with a machine whose memory holds what the last one's did. */
  replaceMachine(machine: Machine): void {
    const kept = new Set(machine.made);
    for (const resource of this.#machine.made) if (!kept.has(resource)) resource.destroy();
    this.#machine = machine;
    this.#tensors = byName(machine.memories);
  }

  /** Begins what starts as a copy of the parameters, where that has not happened. */
  beginCopies(encoder: GPUCommandEncoder): void {
    this.#machine.beginning?.encode(encoder, this, true);
  }

  /** Every tensor by its name. */
  get tensors(): ReadonlyMap<string, GroupTensor> {
    return this.#tensors;
  }

  /** @throws OptimError `unknown-name` */
  find(name: string): GroupTensor {
    const found = this.#tensors.get(name);
    if (found) return found;
    throw new OptimError("unknown-name", `'${this.label}' has no parameter '${name}'`, {
      expected: `one of ${[...this.#tensors.keys()].slice(0, 20).join(", ")}`,
      got: `'${name}'`,
      fix: "correct the name",
    });
  }

  get destroyed(): boolean {
    return this.#destroyed;
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.reports?.end();
    for (const resource of this.#machine.made) resource.destroy();
  }

  /** The error of a call that this optimizer cannot do. */
  refusal(what: string, expected: string, got = "none", fix = `pass ${expected}`): OptimError {
    return new OptimError("invalid-argument", `'${this.label}' ${what}`, { expected, got, fix });
  }

  /** A part of the engine that this optimizer may not have. @throws OptimError `invalid-argument` */
  part<T>(part: T | undefined, what: string, expected: string, fix: string): T {
    if (part !== undefined) return part;
    throw this.refusal(what, expected, "none", `pass ${fix} to createOptimizer`);
  }

  /** @throws OptimError `invalid-argument` */
  requireGuarding(option: "guards" | "telemetry") {
    const { guarding } = this.#machine;
    const has = option === "guards" || this.reports?.delivered;
    return this.part(has ? guarding : undefined, `has no ${option}`, `the option ${option}`, option);
  }

  /** @throws OptimError `lookahead-order` */
  requireLookahead(): void {
    const sam = this.checked.sam !== undefined;
    if (this.lookedAhead || !(sam || this.#machine.lookaheads.some((pass) => pass))) return;
    throw new OptimError("lookahead-order", `'${this.label}' takes its gradient at another point`, {
      expected: `${sam ? "ascend()" : "lookahead()"} before the gradient is computed, then the step`,
      got: "a step without it",
      fix: sam
        ? "call ascend() after a first gradient, then compute it again"
        : "call lookahead() before each gradient",
    });
  }

  /** @throws OptimError `averaged`, or `invalid-buffer` for gradients that cannot be read */
  requireOwnParameters(): void {
    if (this.refusedGradients) throw this.refusedGradients;
    if (this.averaged)
      throw new OptimError("averaged", `The parameters of '${this.label}' are their average`, {
        expected: "swapAverage() again before the next step",
        got: "a step on the average",
        fix: "call swapAverage()",
      });
  }

  /** @throws OptimError `destroyed`, `busy` or `device-lost`, and once what an encoder was lost for */
  requireUsable(): void {
    if (this.#destroyed)
      throw new OptimError("destroyed", `'${this.label}' was destroyed`, { fix: "create a new optimizer" });
    if (this.#changing)
      throw new OptimError("busy", `'${this.label}' is taking up other parameters or a checkpoint`, {
        expected: "no call before load(), addGroup(), addParameters(), freeze() or thaw() has resolved",
        got: "a call",
        fix: "await it",
      });
    requireDevice(this.device, this.label);
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost) throw lost;
  }

  /** @throws OptimError as {@link requireUsable}, and `busy` in the middle of a step */
  requireIdle(what: string): void {
    this.requireUsable();
    this.requireOwnParameters();
    this.machine.parts.whole?.requireOutputs(this);
    const { held } = this.#machine.slots;
    if (held === 0 && !this.lookedAhead && !this.samples) return;
    throw new OptimError("busy", `${what} comes in the middle of a step of '${this.label}'`, {
      expected: "nothing encoded and not submitted, no look-ahead and no accumulation under way",
      got: this.lookedAhead ? "a look-ahead" : this.samples ? "an accumulation" : `${held} encoded`,
      fix: "call step() first, or submitted() after queue.submit(), or abandon()",
    });
  }

  /** @throws OptimError `invalid-argument` */
  #requireEncoder(encoder: GPUCommandEncoder): void {
    if (typeof encoder?.beginComputePass !== "function")
      throw new OptimError("invalid-argument", `There is no encoder for '${this.label}' to append to`, {
        expected: "a GPUCommandEncoder",
        got: briefly(encoder),
        fix: "pass device.createCommandEncoder()",
      });
  }

  /** Runs a verb on the caller's encoder, or on one of its own that is submitted. */
  run(name: string, encoder: GPUCommandEncoder | undefined, encode: Encode): void {
    if (encoder === undefined) this.submit(name, encode);
    else this.#append(encoder, encode);
  }

  #append(encoder: GPUCommandEncoder, encode: Encode): void {
    this.requireUsable();
    this.#requireEncoder(encoder);
    const { slots, guarding } = this.#machine;
    slots.requireFree();
    const { held } = slots;
    const { lookedAhead, averaged, samples, outputs, device } = this;
    let undo: unknown;
    let scope: Promise<GPUError | null>;
    // An encoder that is finished tells at once, and only so.
    device.pushErrorScope("validation");
    try {
      undo = encode(encoder);
    } finally {
      // A lost device tells by itself.
      scope = device.popErrorScope().catch(() => null);
    }
    if (undo === false) return;
    // Each takes a slot, so that they are submitted or abandoned one by one.
    if (slots.held === held) slots.reserve();
    const takeBack = typeof undo === "function" ? () => undo() : () => {};
    const encoded: Encoded = {
      undo: () => {
        Object.assign(this, { lookedAhead, averaged, samples, outputs });
        takeBack();
      },
      // With guards that is found on the GPU.
      takeBack: guarding ? () => {} : takeBack,
    };
    this.#encoded.push(encoded);
    void scope.then((error) => error && this.#lose(encoded, error));
  }

  /** What was encoded will not run: its encoder was finished already. */
  #lose(encoded: Encoded, { message }: GPUError): void {
    // Where it still is to be submitted or abandoned, abandon() undoes it.
    if (!this.#encoded.includes(encoded)) encoded.takeBack();
    this.#lost = this.refusal(
      "cannot append to this encoder",
      "one that is not finished, and in no pass",
      message,
      "take a new one, and call abandon() for what was encoded",
    );
  }

  /** Submits work of the optimizer's own. @throws OptimError `busy` */
  submit(name: string, encode: Encode): void {
    this.requireUsable();
    const { slots } = this.#machine;
    if (slots.held > 0) {
      slots.requireFree();
      throw new OptimError("busy", `'${this.label}' has work that is encoded and not submitted`, {
        expected: "submitted() after queue.submit(), before work of the optimizer's own encoder",
        got: `${slots.held} encoded`,
        fix: "submit the encoder and call submitted(), or abandon() what will not be submitted",
      });
    }
    const encoder = this.device.createCommandEncoder({ label: `${this.label} ${name}` });
    if (encode(encoder) === false) return;
    this.device.queue.submit([encoder.finish()]);
    this.#released(slots.held);
  }

  /** Frees the slots of what is said to be submitted. @throws OptimError `invalid-argument` */
  submitted(count?: number): void {
    this.requireUsable();
    const freed = this.#checkCount(count, "submitted");
    this.#encoded.splice(0, freed);
    this.#released(freed);
  }

  #released(count: number): void {
    this.#machine.slots.release(count);
    this.#machine.beginning?.poll(this);
    this.reports?.poll();
  }

  /** Forgets the newest of what is encoded. @throws OptimError `invalid-argument` */
  abandon(count?: number): void {
    // Also what was encoded before the error that it mends was told.
    this.#lost = undefined;
    this.requireUsable();
    for (let left = this.#checkCount(count, "abandoned"); left > 0; left -= 1) {
      this.#encoded.pop()!.undo();
      this.#machine.slots.withdraw();
    }
  }

  #checkCount(count: number | undefined, what: string): number {
    const { held } = this.#machine.slots;
    const checked = count ?? held;
    if (Number.isSafeInteger(checked) && checked >= 0 && checked <= held) return checked;
    throw new OptimError("invalid-argument", `More was said to be ${what} than was encoded`, {
      expected: `a whole number from 0 to ${held}`,
      got: briefly(count),
      fix: `leave the count out for all that is encoded`,
    });
  }

  /** Lets nobody use the optimizer meanwhile. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.#changing = true;
    try {
      return await work();
    } finally {
      this.#changing = false;
    }
  }
}
