import type { SaveOptions } from "../checkpoint/describe.js";
import type { CheckpointSource, LoadOptions, LoadResult } from "../checkpoint/load.js";
import { capture, streamFile } from "./capture.js";
import type { Engine } from "./engine.js";
import type { ParameterGroup } from "./group.js";
import type { StepReport } from "./guards/reports.js";
import { moveGradients } from "./machine.js";
import type { BufferRange, Parameter } from "./memory/parameters.js";
import { checkNames } from "./options/check-names.js";
import type { ChangingGuards } from "./options/guard-options.js";
import type { NoOptions } from "./options/hyperparameters.js";
import type { GroupOptions } from "./options/optimizer-options.js";
import type { JoiningOptions } from "./rebuild.js";
import type { Closure, Minimized, MinimizeOptions } from "./search/minimize.js";
import { encodeRestore, encodeStep, type StepOptions } from "./verbs.js";

/** Runs a rule over the caller's parameters. Made by `createOptimizer`. */
export class Optimizer {
  readonly label: string;
  readonly device: GPUDevice;
  /** The parameter groups, in the order given. */
  readonly groups: readonly ParameterGroup[];
  readonly #engine: Engine;

  /** @internal */
  constructor(engine: Engine) {
    this.device = engine.device;
    this.label = engine.label;
    this.groups = engine.groups;
    this.#engine = engine;
  }

  /**
   * Appends one step to the caller's encoder. Its rate and hyperparameters are those of now. Encoded steps must be
   * submitted in the order of their encoding; then call {@link submitted}, or {@link abandon} for an encoder that will not
   * be submitted.
   *
   * Buffers must live until the submit: WebGPU drops one whole that uses a destroyed buffer, and tells only by the
   * device's `uncapturederror`. With guards or telemetry the missing step is found on the GPU: it is taken out of the step
   * counts, `settled()` and `failure` reject with `gpu-error`, and its report says `ran: false`. Without them the host's
   * count is one ahead from then on.
   * @throws OptimError `slots-exhausted`, `lookahead-order`, `invalid-schedule`, `invalid-option`, `invalid-argument`,
   * `device-lost` or `destroyed`; then nothing has changed.
   */
  encode(encoder: GPUCommandEncoder, options: StepOptions = {}): void {
    const engine = this.#engine;
    engine.run("step", encoder ?? null, (encoder) => encodeStep(engine, encoder, options));
  }

  /**
   * Encodes and submits one step. There is no error scope around it, which would hide the error from the caller's own
   * handler: see {@link encode} for a submit that WebGPU drops.
   * @throws OptimError as {@link encode}, and `busy` where something is encoded and not said to be submitted
   */
  step(options: StepOptions = {}): void {
    this.#engine.submit("step", (encoder) => encodeStep(this.#engine, encoder, options));
  }

  /**
   * Steps until nothing is gained any more, each by a line search along what the rule's step changes: for `lbfgs()`, as
   * PyTorch's `LBFGS` with a closure. The parameters must be readable and writable by copies, the gradients readable.
   * @param closure computes loss and gradients at the parameters as they are, and gives the loss
   * @throws OptimError `invalid-argument` for a loss that is not finite: the parameters are as before the step that led there
   */
  async minimize(closure: Closure, options?: MinimizeOptions): Promise<Minimized> {
    return (await import("./search/minimize.js")).minimize(this.#engine, closure, options);
  }

  /**
   * For rules that take the gradient at another point: keeps the parameters and moves them there. To be called before
   * the gradient is computed; the step then starts from the kept parameters. Does nothing for other rules.
   * @param encoder to append to; left out, an own one is submitted, here and below
   * @throws OptimError `lookahead-order` when called twice without a step between.
   */
  lookahead(encoder?: GPUCommandEncoder): void {
    const engine = this.#engine;
    engine.run(
      "lookahead",
      encoder,
      (encoder) => engine.machine.parts.lookahead?.encodeLookahead(engine, encoder) ?? false,
    );
  }

  /**
   * Hands in an estimate of the Hessian's diagonal, which lies where gradients are read, to rules that take one (Sophia).
   * It is taken as it is: no guard acts on it, but an element whose estimate is not finite is left out.
   * @throws OptimError `invalid-argument` where no group's rule takes one
   */
  curvature(encoder?: GPUCommandEncoder): void {
    const engine = this.#engine;
    engine.run("curvature", encoder, (encoder) => {
      const { curvature } = engine.machine.parts;
      const what = "takes no estimate of curvature";
      engine.part(curvature, what, "a rule such as sophia()", "such a rule").encodeCurvature(engine, encoder);
    });
  }

  /**
   * Hands over the gradient of one of the model's outputs, which lies where gradients are read, to rules that adapt to these
   * (`angd({ outputs: C })`): after a step C calls, one an output, each with the gradient at the point where the step's own
   * was taken. No guard acts on it, but one that is not finite changes nothing.
   * @throws OptimError `invalid-argument` where no group's rule takes one, or for one too many; a step after some of them
   * throws it, too
   */
  outputGradient(encoder?: GPUCommandEncoder): void {
    const engine = this.#engine;
    engine.run("output gradient", encoder, (encoder) => {
      const { whole } = engine.machine.parts;
      const what = "takes no gradients of outputs";
      engine.part(whole, what, "a rule such as angd()", "such a rule").encodeOutput(engine, encoder);
    });
  }

  /**
   * SAM's ascent along the current gradients, those at the parameters: keeps the parameters and moves them by ρ·g/‖g‖,
   * over all groups. Then the gradients are to be computed again, at the new point; the step starts from what was kept.
   * A gradient that is zero or not finite moves nothing.
   * @throws OptimError `invalid-argument` without the option `sam`, `lookahead-order` when called twice without a step
   */
  ascend(encoder?: GPUCommandEncoder): void {
    const engine = this.#engine;
    engine.run("ascent", encoder, (encoder) => {
      const { guard } = engine.machine.parts;
      engine.part(guard, "makes no ascent", "the option sam", "sam: {}").encodeAscent(engine, encoder);
    });
  }

  /** Gives up a step after its look-ahead, and what was accumulated for it: the parameters are as before, bit for bit. */
  restore(encoder?: GPUCommandEncoder): void {
    this.#engine.run("restore", encoder, (encoder) => encodeRestore(this.#engine, encoder));
  }

  /**
   * Adds the current gradients, those of a micro-batch of `samples` samples, to the accumulator. The next step uses
   * the mean, weighted by these sizes: with gradients that are means over their micro-batch, that is the gradient of
   * the whole batch. Gradient buffers must live until the submit: a dropped accumulation is not found by guards.
   * @throws OptimError `invalid-argument` without the option `accumulation` or for a size that is no positive number.
   */
  accumulate(batch: { readonly samples?: number } = {}, encoder?: GPUCommandEncoder): void {
    checkNames("accumulate", batch, ["samples"]);
    const { samples = 1 } = batch;
    const engine = this.#engine;
    engine.run("accumulate", encoder, (encoder) => {
      const { accumulating } = engine.machine.parts;
      engine
        .part(accumulating, "has no accumulator", "the option accumulation", "accumulation: true")
        .encodeAccumulate(engine, encoder, samples);
    });
  }

  /**
   * Exchanges the parameters with those to evaluate at: their running average, or without the option `average` what a
   * schedule-free rule averages itself. Again to go on. Bit for bit.
   * @throws OptimError `invalid-argument` where there is none, or a group has no step that counts yet
   */
  swapAverage(encoder?: GPUCommandEncoder): void {
    const engine = this.#engine;
    engine.run("swap", encoder, (encoder) => {
      const { copying } = engine.machine.parts;
      const expected = "the option average or a schedule-free rule";
      engine.part(copying, "has no average", expected, "average: {}").encodeSwap(engine, encoder);
    });
  }

  /** Whether the parameters are the average now. */
  get averaged(): boolean {
    return this.#engine.averaged;
  }

  /**
   * Says that work on the caller's encoders was submitted: of the oldest `count` calls that took an encoder, all if left
   * out. To be called after `queue.submit()`.
   * @throws OptimError `invalid-argument` for more than there are.
   */
  submitted(count?: number): void {
    this.#engine.submitted(count);
  }

  /**
   * Says that work on the caller's encoders will not be submitted: of the newest `count` calls that took an encoder, all if
   * left out. The optimizer goes on as if they had never been made: step counts, look-ahead, accumulation and average.
   * @throws OptimError `invalid-argument` for more than there are.
   */
  abandon(count?: number): void {
    this.#engine.abandon(count);
  }

  /**
   * Reads gradients from other buffers from the next encode on. A bind group is made the first time a buffer is seen.
   * @throws OptimError `unknown-name`, `invalid-buffer` or `aliased-buffers`; then nothing has changed.
   */
  setGradients(gradients: Readonly<Record<string, Parameter["grad"]>>): void {
    this.#engine.requireUsable();
    moveGradients(this.#engine, gradients);
  }

  /**
   * Where a state of a tensor lies, such as `state("w1", "exp_avg")`: f32, laid out like the parameter. Usage
   * `STORAGE | COPY_SRC | COPY_DST`.
   * @throws OptimError `unknown-name`
   */
  state(name: string, state: string): BufferRange {
    this.#engine.requireUsable();
    const { tensor, group } = this.#engine.find(name);
    return group.state(tensor, state, this.#engine.machine.guarding?.guard);
  }

  /**
   * Guards in force. Changes act from the next encoded step on; the loss scale changes by itself, on the GPU. What no step
   * has needed before is compiled then: name it at creation, such as `clipNorm: Infinity`, to have it ready.
   * @throws OptimError `invalid-argument` without the option `guards` or for a value out of range
   */
  setGuards(options: ChangingGuards): void {
    this.#engine.requireUsable();
    this.#engine.requireGuarding("guards").guard.set(options);
  }

  /**
   * The f32 loss scale on the GPU: multiply the loss by it. Usage `UNIFORM | STORAGE | COPY_SRC`.
   * @throws OptimError `invalid-argument` without the option `guards`
   */
  get lossScale(): BufferRange {
    this.#engine.requireUsable();
    return this.#engine.requireGuarding("guards").guard.lossScale;
  }

  /**
   * Reports of the steps, in order and some steps late; ends when the optimizer is destroyed or the device is lost.
   * @throws OptimError `invalid-argument` without the option `telemetry`
   */
  get reports(): AsyncIterable<StepReport> {
    this.#engine.requireUsable();
    this.#engine.requireGuarding("telemetry");
    return this.#engine.reports!;
  }

  /**
   * Rejects with OptimError `non-finite` once a step is reported to have met a NaN or an infinity, `gpu-error` once a
   * submitted step is found never to have run, or `device-lost`.
   * @throws OptimError `invalid-argument` without the options `guards` or `telemetry`
   */
  get failure(): Promise<never> {
    this.#engine.requireUsable();
    this.#engine.requireGuarding("guards");
    return this.#engine.reports!.failure;
  }

  /**
   * Resolves when every submitted step is reported: the step counts of the groups are then those of the GPU.
   * @throws OptimError `gpu-error`, once, where submitted steps never ran; `device-lost`
   */
  async settled(): Promise<void> {
    this.#engine.requireUsable();
    await this.#engine.reports?.settle();
  }

  /**
   * Adds a group during training. What it does not say itself it takes from `createOptimizer`: rule and schedules as they
   * were given there, not as groups have been set since; guards are those in force. Nothing may be encoded and not submitted, and the optimizer cannot be used until this
   * resolves. The memory of other groups stays where it is, but for what a rule settles by tensor.
   * @throws OptimError as `createOptimizer`, and `busy` in the middle of a step; then nothing has changed
   */
  async addGroup<Own extends object = NoOptions>(
    options: GroupOptions<Own>,
    joining: JoiningOptions = {},
  ): Promise<void> {
    const engine = this.#engine;
    engine.requireIdle("addGroup()");
    await engine.alone(async () => (await import("./rebuild.js")).addGroup(engine, options, joining));
  }

  /**
   * Adds tensors to a group during training: their state is fresh, their own step count begins at 0, and schedules go on.
   * As {@link addGroup}; the states of this group move, so ranges that {@link state} gave before are dead.
   * @throws OptimError as `createOptimizer`, `unknown-name` for a group of another optimizer, and `busy`
   */
  async addParameters(group: ParameterGroup, parameters: readonly Parameter[]): Promise<void> {
    const engine = this.#engine;
    engine.requireIdle("addParameters()");
    await engine.alone(async () => (await import("./rebuild.js")).addParameters(engine, group, parameters));
  }

  /**
   * Stops updating tensors; their state and step count stay where they are. No memory is made anew; see also `without` of
   * {@link step}. Nothing may be encoded and not submitted, and the optimizer cannot be used until this resolves.
   * @throws OptimError `unknown-name` or `busy`
   */
  async freeze(...names: string[]): Promise<void> {
    const engine = this.#engine;
    engine.requireIdle("freeze()");
    const frozen = new Set([...engine.frozen, ...names.map((name) => engine.find(name).tensor)]);
    await engine.alone(async () => (await import("./rebuild.js")).freeze(engine, frozen));
  }

  /** Updates frozen tensors again, which go on from their own step count. As {@link freeze}. */
  async thaw(...names: string[]): Promise<void> {
    const engine = this.#engine;
    engine.requireIdle("thaw()");
    const frozen = new Set(engine.frozen);
    for (const name of names) frozen.delete(engine.find(name).tensor);
    await engine.alone(async () => (await import("./rebuild.js")).freeze(engine, frozen));
  }

  /** Names of the frozen tensors. */
  get frozen(): readonly string[] {
    return [...this.#engine.frozen].map(({ name }) => name);
  }

  /**
   * A checkpoint as a safetensors file: parameters, states, step counts, hyperparameters, schedules, loss scale, as of
   * the last submitted step. Later steps do not change it. A schedule with a function of the caller's is not in it.
   * @throws OptimError `busy` or `lookahead-order` in the middle of a step, `averaged`, `invalid-buffer` for parameters
   * without `COPY_SRC`, `duplicate-name` where names of states meet names of parameters, `invalid-argument`,
   * `invalid-option` for a rule that PyTorch has not, `out-of-memory`, `device-lost`
   */
  async save(options: SaveOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    this.#engine.requireIdle("save()");
    const captured = capture(this.#engine, options);
    return await (await import("../checkpoint/save.js")).collectFile(captured, options);
  }

  /**
   * As {@link save}, as a stream for files: of the host it takes the memory of one part at a time. The copies on the GPU
   * are made at once and freed as they are read, or by `cancel()`.
   * @throws OptimError as {@link save}; what comes later is an error of the stream
   */
  saveStream(options: SaveOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#engine.requireIdle("saveStream()");
    return streamFile(capture(this.#engine, options), options);
  }

  /**
   * Goes on from a checkpoint of either format: on the same adapter, with the same bits as without the break. Tensors are
   * found by name, in whichever group they were. Where hyperparameters or schedules differ from the optimizer's, the options
   * say whose go on; a schedule that is the same stays the caller's object, and a plateau goes on from what it had learnt.
   * The optimizer cannot be used until this resolves.
   * @returns what it took, and from where
   * @throws OptimError `invalid-checkpoint` for a file that is harmed, does not fit, or differs where nothing was decided;
   * `invalid-buffer` for parameters without `COPY_DST`, `busy`, `averaged`, `invalid-argument`, `out-of-memory`,
   * `gpu-error`, `device-lost`; then nothing has changed
   */
  async load(source: CheckpointSource, options: LoadOptions = {}): Promise<LoadResult> {
    this.#engine.requireIdle("load()");
    const engine = this.#engine;
    return await engine.alone(async () => (await import("./loading.js")).load(engine, source, options));
  }

  /** Frees what the engine made: state, uniforms, scratch. The caller's buffers and the device stay. */
  destroy(): void {
    this.#engine.destroy();
  }
}
