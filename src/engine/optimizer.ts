import type { SaveOptions } from "../checkpoint/describe.js";
import { type CheckpointSource, checkLoadOptions, type LoadOptions, readSource } from "../checkpoint/load.js";
import { collectFile, type SavedFile, streamFile } from "../checkpoint/save.js";
import { upload } from "../checkpoint/staging.js";
import { OptimError } from "../errors.js";
import { requireDevice } from "./device.js";
import { type BlendWeights, ParameterGroup, type PendingStep } from "./group.js";
import type { GpuClock } from "./guards/gpu-clock.js";
import type { Monitor } from "./guards/monitor.js";
import { Reports, type StepReport } from "./guards/reports.js";
import { byName, type GroupPasses, type GroupTensor } from "./kernels/passes.js";
import { buildMachine, type Machine } from "./machine.js";
import { moveStates } from "./memory/move-states.js";
import {
  type BufferRange,
  checkGradient,
  type Parameter,
  refuseOverlap,
  type Tensor,
} from "./memory/parameters.js";
import { BLOCK, type Slots } from "./memory/slots.js";
import { checkGuards, type GuardOptions } from "./options/guard-options.js";
import {
  type CheckedGroup,
  type CheckedOptions,
  checkGroup,
  type GroupOptions,
  refuseLookahead,
} from "./options/optimizer-options.js";
import { prepareLoad, saveOptimizer } from "./saving.js";

const makeGroup = (
  { label, blends }: CheckedOptions,
  { rule, schedule, optionSchedules, tensors }: CheckedGroup,
) =>
  new ParameterGroup(
    label,
    rule,
    schedule,
    optionSchedules,
    tensors.map(({ name }) => name),
    blends,
  );

/** Runs a rule over the caller's parameters. Made by `createOptimizer`. */
export class Optimizer {
  readonly label: string;
  readonly device: GPUDevice;
  /** The parameter groups, in the order given. */
  readonly groups: readonly ParameterGroup[];
  #checked: CheckedOptions;
  #passes: readonly GroupPasses[];
  #tensors: ReadonlyMap<string, GroupTensor>;
  #slots: Slots;
  #made: { destroy(): void }[];
  readonly #blends: BlendWeights;
  #monitor: Monitor | undefined;
  #clock: GpuClock | undefined;
  readonly #reports: Reports | undefined;
  readonly #accumulation: boolean;
  #lookahead: boolean;
  /** Tensors whose slow weights and average have begun. */
  readonly #begun = new WeakSet<Tensor>();
  #mayBeFresh = true;
  #averaged = false;
  #frozen: ReadonlySet<Tensor> = new Set();
  #rebuilding = false;
  #lookedAhead = false;
  /** Sizes of the micro-batches accumulated since the last step. */
  #samples: { first: number; total: number } | undefined;
  #destroyed = false;

  /** @internal */
  constructor(device: GPUDevice, checked: CheckedOptions, machine: Machine) {
    const { label, groups, accumulation, blends, telemetry } = checked;
    this.device = device;
    this.label = label;
    this.groups = groups.map((group) => makeGroup(checked, group));
    this.#checked = checked;
    this.#blends = blends;
    this.#accumulation = accumulation;
    const { passes, slots, monitor, stages, made } = machine;
    this.#passes = passes;
    this.#tensors = byName(passes);
    this.#slots = slots;
    this.#monitor = monitor;
    this.#clock = machine.clock;
    this.#made = made;
    this.#lookahead = groups.some(({ rule }) => rule.row.shader.lookahead);
    this.#reports =
      monitor &&
      new Reports(
        device,
        label,
        monitor,
        slots,
        telemetry,
        (news) => {
          for (const group of this.groups) group.takeBack(news);
        },
        stages,
        machine.clock,
      );
  }

  /**
   * Appends one step to the caller's encoder. Its rate and hyperparameters are those of now. Encoded steps must be
   * submitted in the order of their encoding; then call {@link submitted}.
   *
   * Buffers must live until the submit: WebGPU drops one whole that uses a destroyed buffer, and tells only by the
   * device's `uncapturederror`. With guards or telemetry the missing step is found on the GPU: it is taken out of the step
   * counts, `settled()` and `failure` reject with `gpu-error`, and its report says `ran: false`. Without them the host's
   * count is one ahead from then on.
   * @throws OptimError `slots-exhausted`, `lookahead-order`, `invalid-schedule`, `invalid-option`, `invalid-argument`,
   * `device-lost` or `destroyed`; then nothing has changed.
   */
  encode(encoder: GPUCommandEncoder): void {
    this.#requireEncoder(encoder);
    this.#requireOwnParameters();
    const sam = this.#checked.sam !== undefined;
    if ((this.#lookahead || sam) && !this.#lookedAhead)
      throw new OptimError("lookahead-order", `'${this.label}' takes its gradient at another point`, {
        expected: `${sam ? "ascend()" : "lookahead()"} before the gradient is computed, then the step`,
        got: "a step without it",
        fix: sam
          ? "call ascend() or encodeAscent(encoder) after a first gradient, then compute it again"
          : "call lookahead() or encodeLookahead(encoder) before each gradient",
      });
    this.#slots.requireFree();
    const samples = this.#samples;
    const scale = samples ? samples.first / samples.total : 1;
    const pending = this.#monitor
      ? this.#encodeMonitored(encoder, this.#monitor, scale, samples !== undefined)
      : this.#encodePlain(encoder, scale, samples !== undefined);
    this.groups.forEach((group, index) => {
      group.commit(pending[index]!);
    });
    this.#lookedAhead = false;
    this.#samples = undefined;
  }

  #encodeMonitored(
    encoder: GPUCommandEncoder,
    monitor: Monitor,
    scale: number,
    accumulated: boolean,
  ): readonly PendingStep[] {
    const prepared = monitor.prepare(this.groups, scale);
    const slot = this.#slots.reserve(monitor.attempt + 1);
    const pass = encoder.beginComputePass({
      label: `${this.label} step`,
      ...(this.#clock && { timestampWrites: this.#clock.timestampWrites }),
    });
    this.#beginCopies(pass);
    monitor.encode(pass, slot, this.groups, prepared, accumulated);
    this.#passes.forEach((passes, index) => {
      passes.blend(pass, monitor.live, index * 2 * BLOCK, prepared.pending[index]!);
    });
    pass.end();
    return prepared.pending;
  }

  #encodePlain(encoder: GPUCommandEncoder, scale: number, accumulated: boolean): readonly PendingStep[] {
    const pending = this.groups.map((group, index) => group.prepare(this.#slots.staged[index]!, scale));
    const offset = this.#slots.take();
    const uniforms = this.#slots.bindGroup;
    const pass = encoder.beginComputePass({ label: `${this.label} step` });
    this.#beginCopies(pass);
    this.#passes.forEach((passes, index) => {
      const at = offset + index * 2 * BLOCK;
      const { bare, slow, average } = pending[index]!;
      passes.step(pass, uniforms, at, { accumulated, bare });
      passes.blend(pass, uniforms, at, { slow, average });
    });
    pass.end();
    return pending;
  }

  /** Slow weights, average and some states of a tensor begin with its parameters before its first step. */
  #beginCopies(pass: GPUComputePassEncoder): void {
    if (!this.#mayBeFresh) return;
    this.#copyFresh(pass);
    for (const { tensors } of this.#passes) for (const tensor of tensors) this.#begun.add(tensor);
    this.#mayBeFresh = false;
  }

  /** Gives the copies of tensors before their first step what the parameters are now. */
  #copyFresh(pass: GPUComputePassEncoder): void {
    if (!this.#mayBeFresh) return;
    for (const passes of this.#passes)
      passes.begin(pass, this.#slots.bindGroup, (tensor) => !this.#begun.has(tensor));
  }

  /**
   * Exchanges the parameters with those to evaluate at: their running average, or without the option `average` what a
   * schedule-free rule averages itself. Again to go on. Bit for bit.
   * @throws OptimError `invalid-argument` where there is none, or a group has no step that counts yet
   */
  encodeSwapAverage(encoder: GPUCommandEncoder): void {
    this.#requireEncoder(encoder);
    if (!this.groups.every(({ hasAverage }) => hasAverage))
      throw new OptimError("invalid-argument", `'${this.label}' has no average`, {
        expected: "the option average or a schedule-free rule, and in each group a step that counts",
        got: this.#blends.average
          ? "a group without such a step"
          : "a group without either, or without a step",
        fix: this.#blends.average ? "train on" : "pass average: {} to createOptimizer, or take a step first",
      });
    const pass = encoder.beginComputePass({ label: `${this.label} swap` });
    this.#copyFresh(pass);
    for (const passes of this.#passes) passes.swapAverage(pass, this.#slots.bindGroup);
    pass.end();
    this.#averaged = !this.#averaged;
  }

  /** Encodes and submits a swap. */
  swapAverage(): void {
    this.#submit("swap", (encoder) => this.encodeSwapAverage(encoder));
  }

  /** Whether the parameters are the average now. */
  get averaged(): boolean {
    return this.#averaged;
  }

  /**
   * Encodes and submits one step. All steps encoded before must have been submitted. There is no error scope around it,
   * which would hide the error from the caller's own handler: see {@link encode} for a submit that WebGPU drops.
   */
  step(): void {
    this.#submit("step", (encoder) => this.encode(encoder));
  }

  /**
   * For rules that take the gradient at another point: keeps the parameters and moves them there. To be called before
   * the gradient is computed; the step then starts from the kept parameters. Does nothing for other rules.
   * @throws OptimError `lookahead-order` when called twice without a step between.
   */
  encodeLookahead(encoder: GPUCommandEncoder): void {
    this.#requireEncoder(encoder);
    if (!this.#lookahead) return;
    this.#requireOwnParameters();
    if (this.#lookedAhead)
      throw new OptimError("lookahead-order", `'${this.label}' is at the look-ahead point already`, {
        expected: "a step, or restore(), after each look-ahead",
        got: "a second look-ahead",
        fix: "call step(), or restore() to give the step up",
      });
    const offset = this.#takeScalars();
    this.#encodePass(encoder, "lookahead", offset, (passes, pass, at) =>
      passes.lookahead(pass, this.#slots.bindGroup, at),
    );
    this.#lookedAhead = true;
  }

  /** A slot with the scalars of the next step. */
  #takeScalars(): number {
    this.#slots.requireFree();
    this.groups.forEach((group, index) => {
      group.prepare(this.#slots.staged[index]!, 1);
    });
    return this.#slots.take();
  }

  /**
   * Hands in an estimate of the Hessian's diagonal, which lies where gradients are read, to rules that take one (Sophia).
   * It is taken as it is: no guard acts on it, but an element whose estimate is not finite is left out.
   * @throws OptimError `invalid-argument` where no group's rule takes one
   */
  encodeCurvature(encoder: GPUCommandEncoder): void {
    this.#requireEncoder(encoder);
    this.#requireOwnParameters();
    if (!this.#checked.groups.some(({ rule }) => rule.row.shader.curvature))
      throw new OptimError("invalid-argument", `No rule of '${this.label}' takes an estimate of curvature`, {
        expected: "a rule such as sophia()",
        got: this.groups.map(({ rule }) => rule).join(", "),
        fix: "leave the call out",
      });
    const offset = this.#takeScalars();
    this.#encodePass(encoder, "curvature", offset, (passes, pass, at) =>
      passes.curvature(pass, this.#slots.bindGroup, at),
    );
  }

  /** Encodes and submits a {@link encodeCurvature}. */
  curvature(): void {
    this.#submit("curvature", (encoder) => this.encodeCurvature(encoder));
  }

  /** Encodes and submits a look-ahead. */
  lookahead(): void {
    this.#submit("lookahead", (encoder) => this.encodeLookahead(encoder));
  }

  /**
   * SAM's ascent along the current gradients, those at the parameters: keeps the parameters and moves them by ρ·g/‖g‖,
   * over all groups. Then the gradients are to be computed again, at the new point; the step starts from what was kept.
   * A gradient that is zero or not finite moves nothing.
   * @throws OptimError `invalid-argument` without the option `sam`, `lookahead-order` when called twice without a step
   */
  encodeAscent(encoder: GPUCommandEncoder): void {
    this.#requireEncoder(encoder);
    this.#requireOwnParameters();
    const { sam } = this.#checked;
    const monitor = this.#monitor;
    if (sam === undefined || !monitor)
      throw new OptimError("invalid-argument", `'${this.label}' makes no ascent`, {
        expected: "the option sam",
        got: "none",
        fix: "pass sam: {} to createOptimizer",
      });
    if (this.#lookedAhead || this.#samples)
      throw new OptimError("lookahead-order", `An ascent comes in the middle of a step of '${this.label}'`, {
        expected: "one ascent before each step, and no accumulation before it",
        got: this.#lookedAhead ? "a second ascent" : "an accumulation",
        fix: "call step(), or restore() to give the step up",
      });
    const slot = this.#slots.reserve();
    const pass = encoder.beginComputePass({ label: `${this.label} ascent` });
    this.#beginCopies(pass);
    monitor.encodeAscent(pass, slot, sam);
    pass.end();
    this.#lookedAhead = true;
  }

  /** Encodes and submits an ascent. */
  ascend(): void {
    this.#submit("ascent", (encoder) => this.encodeAscent(encoder));
  }

  /** Gives up a step after its look-ahead, and what was accumulated for it: the parameters are as before, bit for bit. */
  encodeRestore(encoder: GPUCommandEncoder): void {
    this.#requireEncoder(encoder);
    this.#samples = undefined;
    if (!this.#lookedAhead) return;
    for (const passes of this.#passes) passes.restore(encoder);
    this.#lookedAhead = false;
  }

  /** Encodes and submits a restore. */
  restore(): void {
    this.#submit("restore", (encoder) => this.encodeRestore(encoder));
  }

  /**
   * Adds the current gradients, those of a micro-batch of `samples` samples, to the accumulator. The next step uses
   * the mean, weighted by these sizes: with gradients that are means over their micro-batch, that is the gradient of
   * the whole batch. Gradient buffers must live until the submit: a dropped accumulation is not found by guards.
   * @throws OptimError `invalid-argument` without the option `accumulation` or for a size that is no positive number.
   */
  encodeAccumulate(encoder: GPUCommandEncoder, { samples = 1 }: { readonly samples?: number } = {}): void {
    this.#requireEncoder(encoder);
    if (!this.#accumulation)
      throw new OptimError("invalid-argument", `'${this.label}' has no accumulator`, {
        expected: "the option accumulation: true",
        got: "false",
        fix: "pass it to createOptimizer",
      });
    if (!(typeof samples === "number" && samples > 0 && Number.isFinite(Math.fround(samples))))
      throw new OptimError("invalid-argument", "The size of a micro-batch is no positive number", {
        expected: "a number of samples above 0",
        got: String(samples),
        fix: "pass { samples }",
      });
    this.#slots.requireFree();
    const { first, total } = this.#samples ?? { first: samples, total: 0 };
    for (const staged of this.#slots.staged) {
      staged[0] = samples / first;
      staged[1] = total === 0 ? 1 : 0;
    }
    const offset = this.#slots.take();
    this.#encodePass(encoder, "accumulate", offset, (passes, pass, at) =>
      passes.accumulate(pass, this.#slots.bindGroup, at),
    );
    this.#samples = { first, total: total + samples };
  }

  /** Encodes and submits an accumulation. */
  accumulate(batch: { readonly samples?: number } = {}): void {
    this.#submit("accumulate", (encoder) => this.encodeAccumulate(encoder, batch));
  }

  /**
   * Says that encoded work was submitted: the uniform slots of the oldest `count` (all, if left out) are free again.
   * @throws OptimError `invalid-argument` for more than there are.
   */
  submitted(count: number = this.#slots.held): void {
    this.#requireUsable();
    if (!Number.isSafeInteger(count) || count < 0 || count > this.#slots.held)
      throw new OptimError("invalid-argument", "More was said to be submitted than was encoded", {
        expected: `a whole number from 0 to ${this.#slots.held}`,
        got: String(count),
        fix: "call submitted() without a count after queue.submit()",
      });
    this.#slots.release(count);
    this.#reports?.poll();
  }

  /**
   * Reads gradients from other buffers from the next encode on. A bind group is made the first time a buffer is seen.
   * @throws OptimError `unknown-name`, `invalid-buffer` or `aliased-buffers`; then nothing has changed.
   */
  setGradients(gradients: Readonly<Record<string, GPUBuffer | BufferRange>>): void {
    this.#requireUsable();
    const moved = new Map<Tensor, Tensor["gradient"]>();
    for (const [name, grad] of Object.entries(gradients)) {
      const { tensor } = this.#find(name);
      const { gradient } = tensor;
      const next = checkGradient(tensor, grad);
      if (
        next.buffer !== gradient.buffer ||
        next.offset !== gradient.offset ||
        next.padding !== gradient.padding
      )
        moved.set(tensor, next);
    }
    if (moved.size === 0) return;
    const tensors = [...this.#tensors.values()].map(({ tensor }) => tensor);
    refuseOverlap(tensors, "gradient", (tensor) => moved.get(tensor) ?? tensor.gradient);
    const plans = this.#monitor?.planWith((tensor) => moved.get(tensor) ?? tensor.gradient);
    for (const [tensor, gradient] of moved) tensor.gradient = gradient;
    if (plans) this.#monitor?.use(plans);
    for (const passes of this.#passes)
      if (passes.tensors.some((tensor) => moved.has(tensor))) passes.gradientsMoved();
  }

  /**
   * Where a state of a tensor lies, such as `state("w1", "exp_avg")`: f32, laid out like the parameter. Usage
   * `STORAGE | COPY_SRC | COPY_DST`.
   * @throws OptimError `unknown-name`
   */
  state(name: string, state: string): BufferRange {
    this.#requireUsable();
    const { tensor, passes } = this.#find(name);
    return passes.state(tensor, state);
  }

  /**
   * Guards in force. Changes act from the next encoded step on; the loss scale changes by itself, on the GPU.
   * @throws OptimError `invalid-argument` without the option `guards` or for a value out of range
   */
  setGuards(options: Omit<GuardOptions, "lossScale" | "skipsInFlight">): void {
    this.#requireUsable();
    const monitor = this.#requireMonitor("guards");
    for (const fixed of ["lossScale", "skipsInFlight"])
      if (Object.hasOwn(options ?? {}, fixed))
        throw new OptimError("invalid-argument", `'${fixed}' cannot change after creation`, {
          got: `'${fixed}'`,
          fix: "create a new optimizer",
        });
    monitor.guards = checkGuards(options, monitor.guards);
  }

  /**
   * The f32 loss scale on the GPU: multiply the loss by it. Usage `UNIFORM | STORAGE | COPY_SRC`.
   * @throws OptimError `invalid-argument` without the option `guards`
   */
  get lossScale(): BufferRange {
    this.#requireUsable();
    return this.#requireMonitor("guards").lossScale;
  }

  /**
   * Reports of the steps, in order and some steps late; ends when the optimizer is destroyed or the device is lost.
   * @throws OptimError `invalid-argument` without the option `telemetry`
   */
  get reports(): AsyncIterable<StepReport> {
    this.#requireUsable();
    this.#requireMonitor("telemetry");
    return this.#reports!;
  }

  /**
   * Rejects with OptimError `non-finite` once a step is reported to have met a NaN or an infinity, `gpu-error` once a
   * submitted step is found never to have run, or `device-lost`.
   * @throws OptimError `invalid-argument` without the options `guards` or `telemetry`
   */
  get failure(): Promise<never> {
    this.#requireUsable();
    this.#requireMonitor("guards");
    return this.#reports!.failure;
  }

  /**
   * Resolves when every submitted step is reported: the step counts of the groups are then those of the GPU.
   * @throws OptimError `gpu-error`, once, where submitted steps never ran; `device-lost`
   */
  async settled(): Promise<void> {
    this.#requireUsable();
    await this.#reports?.settle();
  }

  #requireMonitor(option: "guards" | "telemetry"): Monitor {
    if (this.#monitor && (option === "guards" || this.#reports?.delivered)) return this.#monitor;
    throw new OptimError("invalid-argument", `'${this.label}' has no ${option}`, {
      expected: `the option ${option}`,
      got: "none",
      fix: `pass ${option} to createOptimizer`,
    });
  }

  /**
   * Adds a group during training. Its step count begins at 0. Nothing may be encoded and not submitted, and the
   * optimizer cannot be used until this resolves; state is allocated anew for all, so for a moment there is twice as much.
   * @throws OptimError as `createOptimizer`, and `busy` in the middle of a step; then nothing has changed
   */
  async addGroup(options: GroupOptions): Promise<void> {
    this.#requireIdle("addGroup()");
    const { rule, schedule, optionSchedules } = this.#checked;
    const added = checkGroup({ rule, schedule, optionSchedules, ...options }, this.#allTensors());
    if (this.#checked.sam !== undefined) refuseLookahead([added]);
    if (added.rule.row.shader.sums.length > 0 && !this.#monitor)
      throw new OptimError(
        "invalid-argument",
        `'${this.label}' was created without what ${added.rule.row.name} needs`,
        {
          expected: "guards or telemetry, or such a rule at creation",
          got: "none",
          fix: 'pass guards: { nonFinite: "keep" } to createOptimizer',
        },
      );
    await this.#rebuild([...this.#checked.groups, added]);
    (this.groups as ParameterGroup[]).push(makeGroup(this.#checked, added));
  }

  /**
   * Adds tensors to a group during training: their state is fresh, their step count is the group's. As {@link addGroup}.
   * @throws OptimError as `createOptimizer`, `unknown-name` for a group of another optimizer, and `busy`
   */
  async addParameters(group: ParameterGroup, parameters: readonly Parameter[]): Promise<void> {
    this.#requireIdle("addParameters()");
    const index = this.groups.indexOf(group);
    const old = this.#checked.groups[index];
    if (!old)
      throw new OptimError("unknown-name", `This group is not one of '${this.label}'`, {
        expected: "one of optimizer.groups",
        got: "another",
        fix: "pass optimizer.groups[0]",
      });
    const { tensors } = checkGroup({ rule: old.rule, parameters }, this.#allTensors());
    const grown = { ...old, tensors: [...old.tensors, ...tensors] };
    await this.#rebuild(this.#checked.groups.map((other) => (other === old ? grown : other)));
    group.adopt(tensors.map(({ name }) => name));
  }

  /**
   * Stops updating tensors; their state stays. As {@link addGroup}.
   * @throws OptimError `unknown-name` or `busy`
   */
  async freeze(...names: string[]): Promise<void> {
    this.#requireIdle("freeze()");
    const frozen = new Set([...this.#frozen, ...names.map((name) => this.#find(name).tensor)]);
    await this.#rebuild(this.#checked.groups, frozen);
  }

  /** Updates frozen tensors again. As {@link freeze}. */
  async thaw(...names: string[]): Promise<void> {
    this.#requireIdle("thaw()");
    const thawed = new Set(names.map((name) => this.#find(name).tensor));
    await this.#rebuild(
      this.#checked.groups,
      new Set([...this.#frozen].filter((tensor) => !thawed.has(tensor))),
    );
  }

  /** Names of the frozen tensors. */
  get frozen(): readonly string[] {
    return [...this.#frozen].map(({ name }) => name);
  }

  #allTensors(): readonly Tensor[] {
    return [...this.#tensors.values()].map(({ tensor }) => tensor);
  }

  /** @throws OptimError `busy` */
  #requireIdle(what: string): void {
    this.#requireUsable();
    this.#requireOwnParameters();
    if (this.#slots.held === 0 && !this.#lookedAhead && !this.#samples) return;
    throw new OptimError("busy", `${what} comes in the middle of a step of '${this.label}'`, {
      expected: "nothing encoded and not submitted, no look-ahead and no accumulation under way",
      got: this.#lookedAhead
        ? "a look-ahead"
        : this.#samples
          ? "an accumulation"
          : `${this.#slots.held} encoded`,
      fix: "call step() first, or submitted() after queue.submit()",
    });
  }

  /** Makes everything anew for other groups and moves the state over. */
  async #rebuild(groups: readonly CheckedGroup[], frozen: ReadonlySet<Tensor> = this.#frozen): Promise<void> {
    // Hyperparameters may have changed; what is fresh begins with those in force.
    const current = groups.map((group) => {
      const at = this.#checked.groups.indexOf(group);
      const inForce = at < 0 ? undefined : this.groups[at];
      return inForce ? { ...group, rule: { ...group.rule, options: inForce.options } } : group;
    });
    const checked = { ...this.#checked, groups: current };
    this.#rebuilding = true;
    try {
      await this.#reports?.settle();
      const machine = await buildMachine(this.device, checked, frozen, this.#monitor);
      if (this.#destroyed) {
        for (const resource of machine.made) resource.destroy();
        return;
      }
      const encoder = this.device.createCommandEncoder({ label: `${this.label} move` });
      moveStates(encoder, this.#passes, machine.passes);
      if (this.#monitor) machine.monitor?.copyFrom(encoder, this.#monitor);
      this.device.queue.submit([encoder.finish()]);
      if (machine.monitor)
        this.#reports?.follow(machine.monitor, machine.slots, machine.stages, machine.clock);
      for (const resource of this.#made) resource.destroy();
      this.#passes = machine.passes;
      this.#slots = machine.slots;
      this.#monitor = machine.monitor;
      this.#clock = machine.clock;
      this.#made = machine.made;
      this.#tensors = byName(machine.passes);
      this.#frozen = frozen;
      this.#mayBeFresh = true;
      this.#checked = checked;
      this.#lookahead = current.some(({ rule }) => rule.row.shader.lookahead);
    } finally {
      this.#rebuilding = false;
    }
  }

  /**
   * A checkpoint as a safetensors file: parameters, states, step counts, hyperparameters, schedules, loss scale, as of
   * the last submitted step. Later steps do not change it. A schedule with a function of the caller's is not in it.
   * @throws OptimError `busy` or `lookahead-order` in the middle of a step, `averaged`, `invalid-buffer` for parameters
   * without `COPY_SRC`, `duplicate-name` where names of states meet names of parameters, `invalid-argument`,
   * `invalid-option` for a rule that PyTorch has not, `out-of-memory`, `device-lost`
   */
  async save(options: SaveOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    this.#requireIdle("save()");
    return await collectFile(this.#saved(options));
  }

  /**
   * As {@link save}, as a stream for files: of the host it takes the memory of one part at a time. The copies on the GPU
   * are made at once and freed as they are read, or by `cancel()`.
   * @throws OptimError as {@link save}; what comes later is an error of the stream
   */
  saveStream(options: SaveOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#requireIdle("saveStream()");
    return streamFile(this.#saved(options));
  }

  /** A file counts the steps of a group: copies of a tensor that has joined since are taken for begun. */
  #saved(options: SaveOptions): SavedFile {
    if (this.#mayBeFresh)
      this.#submit("copies", (encoder) => {
        const pass = encoder.beginComputePass({ label: `${this.label} copies` });
        this.#copyFresh(pass);
        pass.end();
      });
    return saveOptimizer(this.#checkpointed, options);
  }

  /**
   * Goes on from a checkpoint of either format: on the same adapter, with the same bits as without the break. The
   * optimizer must have been created as the saved one was, but for hyperparameters and built-in schedules; a schedule
   * that is a function of the caller's stays. The optimizer cannot be used until this resolves.
   * @returns the caller's metadata
   * @throws OptimError `invalid-checkpoint` for a file that is harmed or does not fit, `invalid-buffer` for parameters
   * without `COPY_DST`, `busy`, `averaged`, `invalid-argument`, `out-of-memory`, `gpu-error`, `device-lost`; then nothing
   * has changed
   */
  async load(source: CheckpointSource, options: LoadOptions = {}): Promise<ReadonlyMap<string, string>> {
    this.#requireIdle("load()");
    const parameters = checkLoadOptions(options);
    const bytes = await readSource(source);
    this.#requireIdle("load()");
    const { checked, uploads } = prepareLoad(this.#checkpointed, bytes, parameters);
    this.#rebuilding = true;
    try {
      await this.#reports?.settle();
      await upload(this.device, this.label, uploads);
      requireDevice(this.device, this.label);
      checked.groups.forEach((state, index) => {
        const group = this.groups[index]!;
        state.restoreSchedule();
        group.resume(state);
        // A file from before the first step holds copies that have not begun.
        for (const tensor of this.#passes[index]!.tensors)
          if (state.steps > 0) this.#begun.add(tensor);
          else this.#begun.delete(tensor);
      });
      this.#mayBeFresh = true;
    } finally {
      this.#rebuilding = false;
    }
    return checked.metadata;
  }

  get #checkpointed() {
    const { device, label, groups } = this;
    return { device, label, groups, passes: this.#passes, monitor: this.#monitor };
  }

  /** Frees what the engine made: state, uniforms, scratch. The caller's buffers and the device stay. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#reports?.end();
    for (const resource of this.#made) resource.destroy();
  }

  #find(name: string) {
    const found = this.#tensors.get(name);
    if (found) return found;
    throw new OptimError("unknown-name", `'${this.label}' has no parameter '${name}'`, {
      expected: `one of ${[...this.#tensors.keys()].slice(0, 20).join(", ")}`,
      got: `'${name}'`,
      fix: "correct the name",
    });
  }

  #requireOwnParameters(): void {
    if (this.#averaged)
      throw new OptimError("averaged", `The parameters of '${this.label}' are their average`, {
        expected: "swapAverage() again before the next step",
        got: "a step on the average",
        fix: "call swapAverage()",
      });
  }

  #requireUsable(): void {
    if (this.#destroyed)
      throw new OptimError("destroyed", `'${this.label}' was destroyed`, { fix: "create a new optimizer" });
    if (this.#rebuilding)
      throw new OptimError("busy", `'${this.label}' is taking up other parameters or a checkpoint`, {
        expected: "no call before load(), addGroup(), addParameters(), freeze() or thaw() has resolved",
        got: "a call",
        fix: "await it",
      });
    requireDevice(this.device, this.label);
  }

  /** Before a slot is taken, since nothing would free it. */
  #requireEncoder(encoder: GPUCommandEncoder): void {
    this.#requireUsable();
    if (typeof encoder?.beginComputePass !== "function")
      throw new OptimError("invalid-argument", `There is no encoder for '${this.label}' to append to`, {
        expected: "a GPUCommandEncoder",
        got: String(encoder),
        fix: "pass device.createCommandEncoder()",
      });
  }

  /** One compute pass over all groups; `at` is the dynamic offset of a group. */
  #encodePass(
    encoder: GPUCommandEncoder,
    name: string,
    offset: number,
    encode: (passes: GroupPasses, pass: GPUComputePassEncoder, at: number) => void,
  ): void {
    const pass = encoder.beginComputePass({ label: `${this.label} ${name}` });
    this.#beginCopies(pass);
    this.#passes.forEach((passes, index) => {
      encode(passes, pass, offset + index * 2 * BLOCK);
    });
    pass.end();
  }

  #submit(name: string, encode: (encoder: GPUCommandEncoder) => void): void {
    this.#requireUsable();
    const encoder = this.device.createCommandEncoder({ label: `${this.label} ${name}` });
    encode(encoder);
    this.device.queue.submit([encoder.finish()]);
    this.#slots.release(this.#slots.held);
    this.#reports?.poll();
  }
}
