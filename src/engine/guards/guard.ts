import { OptimError } from "../../errors.js";
import * as ascentShader from "../../shaders/engine/ascent.wgsl?engine";
import * as controlShader from "../../shaders/engine/control.wgsl?engine";
import type { ParameterGroup } from "../group.js";
import { overLanes, type Stages } from "../kernels/compose.js";
import { type Dispatch, GRADIENT, type PlanContext, written } from "../kernels/plan.js";
import type { GroupStep } from "../kernels/step.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { type GroupMemory, ORIGIN } from "../memory/group-memory.js";
import { type BufferRange, gradientOf, type Tensor } from "../memory/parameters.js";
import { GROUP_BYTES } from "../memory/slots.js";
import type { MemoryContext } from "../memory/state.js";
import { offsetsOf, sizeOf } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import { type ChangingGuards, checkGuards, type Guards, UNLIMITED } from "../options/guard-options.js";
import type { PendingStep } from "../scalars.js";
import type { SteppedCohort } from "../verbs.js";
import { Attempts, type PreparedRows } from "./attempts.js";
import { CONTROL, SETTLED, VALUES } from "./control.js";
import { type Kept, keep } from "./kept.js";
import { type GuardMemory, Path } from "./path.js";
import type { TelemetryOptions } from "./reports.js";
import { OWN } from "./rule-sums.js";
import { StripTable } from "./strips.js";

const writeAlike = (a: readonly Dispatch[], b: readonly Dispatch[]) =>
  a.length === b.length &&
  a.every(
    ({ strip, lanes, width, form }, i) =>
      form !== "parted" && strip === b[i]!.strip && lanes * width === b[i]!.lanes * b[i]!.width,
  );

/** What a guard is made for. */
export interface GuardPlan {
  readonly guards: Guards;
  readonly telemetry: TelemetryOptions | undefined;
  readonly accumulation: boolean;
  readonly stepsInFlight: number;
  /** Whether steps begin with an ascent. */
  readonly sam: boolean;
}

/** Measures gradients on the GPU, decides there about each step, and keeps what telemetry reports. */
export class Guard {
  guards: Guards;
  readonly attempts: Attempts;
  /** f32: what the caller multiplies the loss by. */
  readonly lossScale: BufferRange;
  /** The f32 that rules are handed in. */
  readonly loss: GPUBuffer;
  /** What outlives the guard, where another goes on from it. */
  readonly kept: Kept;
  readonly #context: PlanContext & MemoryContext;
  readonly #plan: GuardPlan;
  readonly #groups: readonly GroupMemory[];
  readonly #memory: GuardMemory;
  readonly #index: ReadonlyMap<Tensor, number>;
  readonly #ascents: readonly TensorPass[];
  readonly #ruleSums: boolean;
  readonly #paths = new Map<boolean, Path>();
  /** Whether partial sums may have been left by steps over other strips. */
  #mixed = false;
  /** What the first step wrote. */
  #strips: readonly Dispatch[] | undefined;
  /** The last step that wrote the same. */
  #checked: readonly unknown[] = [];
  /** Tensors of steps that left some out and are not reported yet, by attempt. */
  readonly #reportable = new Map<number, ReadonlySet<Tensor>>();

  /** @param before whose counts and loss scale go on */
  constructor(
    context: PlanContext & MemoryContext,
    groups: readonly GroupMemory[],
    plan: GuardPlan,
    before?: Guard,
  ) {
    const { device, label, own } = context;
    const { sam, stepsInFlight, telemetry } = plan;
    this.#context = context;
    this.#plan = plan;
    this.#groups = groups;
    this.guards = before?.guards ?? plan.guards;
    this.attempts = new Attempts(context, groups.length, this.guards, stepsInFlight, before?.attempts);
    this.#ruleSums = groups.some((group) => OWN.has(group) || group.shader.caution);
    const sums = this.#ruleSums || telemetry !== undefined;
    const create = (name: string, size: number, usage = 0) =>
      device.createBuffer({
        label: `${label} ${name}`,
        // An array of vec4f is bound with room for one, even where there is no tensor.
        size: Math.max(size, 16),
        usage: USAGE.STORAGE | USAGE.COPY_DST | USAGE.COPY_SRC | usage,
      });
    const table = new StripTable(groups);
    this.#index = new Map(table.tensors.map((tensor, index) => [tensor, index]));
    // Behind the values, in vec4f.
    const owners = (VALUES / 16) * table.tensors.length;
    this.kept = before?.kept ?? keep(context, create, stepsInFlight, this.guards.lossScale.initial);
    const { control, history } = this.kept;
    this.lossScale = { buffer: control, offset: offsetsOf(CONTROL).loss_scale!, size: 4 };
    const values = own(create("values", Math.max(owners * 16 + Math.ceil(table.count / 4) * 16, VALUES)));
    device.queue.writeBuffer(values, owners * 16, table.owners());
    this.loss = own(create("loss", 4));
    this.#memory = {
      table,
      partials: own(create("partial sums", table.count * 8)),
      stepPartials: own(create("partial sums of steps", sums ? table.count * 16 : 0)),
      values,
      owners,
      loss: this.loss,
      control,
      history,
      attempts: this.attempts,
    };
    for (const group of groups) {
      this.#writeInitial(group);
    }
    this.#ascents = sam ? groups.map((group) => this.#ascentOf(group)) : [];
    this.#pathFor(this.guards);
  }

  /** The way of the guards in force. */
  get #path(): Path {
    return this.#pathFor(this.guards);
  }

  #pathFor({ clipNorm }: Guards): Path {
    const { telemetry, accumulation } = this.#plan;
    const perTensor = telemetry?.perTensor ?? false;
    const clips = clipNorm < UNLIMITED;
    let path = this.#paths.get(clips);
    if (!path) {
      path = new Path(
        this.#context,
        this.#groups,
        {
          byTensor: clips || perTensor,
          values: clips || this.#ruleSums,
          accumulation,
          ruleSums: this.#ruleSums,
          telemetry: telemetry !== undefined,
        },
        this.#memory,
      );
      this.#paths.set(clips, path);
    }
    return path;
  }

  #writeInitial({ rule, sorted }: GroupMemory): void {
    const initial = rule.row.initial?.(rule.options) ?? {};
    rule.row.shader.settled.forEach((name, field) => {
      for (const tensor of initial[name] ? sorted : []) {
        const { buffer, offset } = this.settled(tensor, field);
        this.#context.device.queue.writeBuffer(buffer, offset, new Float32Array([initial[name]!]));
      }
    });
  }

  /** Where a value that is settled for a tensor lies: one f32 for each field of `Settled`. */
  settled(tensor: Tensor, field: number): BufferRange {
    return {
      buffer: this.#memory.values,
      offset: this.#index.get(tensor)! * VALUES + SETTLED + field * 4,
      size: 4,
    };
  }

  #ascentOf(group: GroupMemory): TensorPass {
    return new TensorPass(
      this.#context,
      {
        name: "ascent",
        all: group.sorted,
        lead: ({ param }) => param,
        streams: [
          written(({ param }) => param),
          GRADIENT,
          written(group.range(ORIGIN)),
          { access: "read-only-storage", whole: this.kept.control },
        ],
      },
      "engine/ascent.wgsl",
      (width) => overLanes(width) + controlShader.code + ascentShader.code,
      {},
      gradientOf,
    );
  }

  /** Works out what steps over tensors of a group encode. */
  plan(group: number, tensors: readonly Tensor[]): void {
    this.#path.plan(group, tensors);
    this.#ascents[group]?.plan(tensors);
  }

  /** @throws OptimError `invalid-shader` */
  async compile(groups: readonly ParameterGroup[]): Promise<void> {
    const { telemetry, accumulation, sam } = this.#plan;
    const stages = groups.map((group) => group.foresee(accumulation).map((stages) => this.#guarded(stages)));
    const every = telemetry?.every ?? 1;
    const summed = telemetry ? (every === 1 ? "always" : "sometimes") : "never";
    await Promise.all([
      this.#path.compile(stages, summed, this.#asked, sam),
      ...this.#ascents.map((pass) => pass.compile()),
    ]);
  }

  get #asked() {
    const { clipValue, clipNorm, clipGlobalNorm, nonFinite } = this.guards;
    return {
      clipValue: clipValue < UNLIMITED,
      clipNorm: clipNorm < UNLIMITED,
      zeroed: nonFinite === "zero",
      // As a clip by norm is to see it; a report is of what is finite.
      kept: nonFinite === "keep" && Math.min(clipNorm, clipGlobalNorm) < UNLIMITED,
    };
  }

  #guarded({ decay, quick }: Stages): Stages {
    const { clipValue, clipNorm, zeroed } = this.#asked;
    const guards = {
      engine_clipped: Number(clipValue),
      engine_by_tensor: Number(clipNorm),
      engine_zeroed: Number(zeroed),
    };
    return { decay, quick, scaled: true, guards };
  }

  /** Gradients of tensors moved. */
  gradientsMoved(): void {
    for (const path of this.#paths.values()) path.gradientsMoved();
    for (const pass of this.#ascents) pass.gradientsMoved();
    this.#checked = [];
  }

  /** @throws OptimError `busy` or `limit-exceeded` */
  prepare(groups: readonly ParameterGroup[], stepped: readonly SteppedCohort[], scale: number): PreparedRows {
    return this.attempts.prepare(groups, stepped, scale);
  }

  /** Before a pass that measures: clears partial sums where others may be left of steps over other strips. */
  begin(encoder: GPUCommandEncoder, stepped: readonly SteppedCohort[], accumulated: boolean): void {
    const path = this.#path;
    this.#mixed ||= !this.#sameStrips(path, stepped, accumulated);
    if (!this.#mixed) return;
    encoder.clearBuffer(this.#memory.partials);
    encoder.clearBuffer(this.#memory.stepPartials);
  }

  /** Whether a step writes the same places as the first. */
  #sameStrips(path: Path, stepped: readonly SteppedCohort[], accumulated: boolean): boolean {
    const way = [path, accumulated, ...stepped.map(({ cohort }) => cohort.tensors)];
    const known = this.#checked;
    if (way.length === known.length && way.every((part, index) => part === known[index])) return true;
    const strips = path.strips(stepped, accumulated);
    this.#strips ??= strips;
    this.#checked = way;
    return writeAlike(strips, this.#strips);
  }

  /**
   * Encodes the decision about a step: whether it is taken, its clip factors, and the scalars that it reads.
   * @param slot which of the `stepsInFlight` places to write
   */
  decide(
    pass: GPUComputePassEncoder,
    slot: number,
    prepared: PreparedRows,
    stepped: readonly SteppedCohort[],
    accumulated: boolean,
  ): void {
    const path = this.#path;
    this.attempts.write(slot, prepared, this.guards);
    this.attempts.set(pass, slot);
    if (this.#plan.telemetry?.perTensor) this.#note(stepped);
    path.decide(pass, stepped, { accumulated, ...this.#asked }, this.attempts.rowsAt(slot));
    path.settle(
      pass,
      stepped,
      accumulated,
      (block) => this.#guarded(prepared.pending[block]!.stages),
      (block) => this.#setLive(pass, block),
    );
  }

  #note(stepped: readonly SteppedCohort[]): void {
    const { number, known } = this.attempts;
    const tensors = stepped.flatMap(({ cohort }) => cohort.tensors);
    // An attempt of this number may have been given up.
    this.#reportable.delete(number);
    if (tensors.length < this.tensors.length) this.#reportable.set(number, new Set(tensors));
    for (const attempt of this.#reportable.keys()) if (attempt <= known) this.#reportable.delete(attempt);
  }

  /** Whether an attempt that is being reported stepped a tensor. */
  hasStepped(tensor: Tensor, attempt: number): boolean {
    return this.#reportable.get(attempt)?.has(tensor) ?? true;
  }

  /** Encodes the choice of the scalars of the next step, where nothing is decided. @param slot as for {@link decide} */
  choose(pass: GPUComputePassEncoder, slot: number, prepared: PreparedRows): void {
    this.attempts.writeChoice(slot, prepared);
    this.attempts.set(pass, slot);
    this.#path.choose(pass, this.attempts.rowsAt(slot));
  }

  /** Encodes the update of tensors of a group, with the scalars that are set. */
  step(
    pass: GPUComputePassEncoder,
    group: number,
    tensors: readonly Tensor[],
    { stages }: PendingStep,
    accumulated: boolean,
  ): void {
    this.#path.steps[group]!.encode(pass, tensors, this.#guarded(stages), accumulated, this.#reported);
  }

  /** Encodes the end of a step. */
  record(pass: GPUComputePassEncoder): void {
    if (this.#reported) this.#path.record(pass);
  }

  /** Whether the last attempt keeps norms of parameters and updates. */
  get #reported(): boolean {
    const { telemetry } = this.#plan;
    return telemetry !== undefined && this.attempts.number % (telemetry.every ?? 1) === 0;
  }

  /** Bind group 0 with the scalars that the GPU chose, a cohort's at its block times 512. */
  get live(): GPUBindGroup {
    return this.attempts.live;
  }

  #setLive(pass: GPUComputePassEncoder, block: number): void {
    pass.setBindGroup(0, this.live, [block * GROUP_BYTES, block * GROUP_BYTES]);
  }

  /**
   * Encodes SAM's ascent: θ + ρ·g/‖g‖ over all groups, with θ kept.
   * @param radius ρ
   */
  ascend(pass: GPUComputePassEncoder, stepped: readonly SteppedCohort[], slot: number, radius: number): void {
    const { attempts } = this;
    attempts.writeAscent(slot, radius);
    attempts.set(pass, slot);
    const attempt = { ...this.#asked, accumulated: false, clipValue: false, clipNorm: false };
    this.#path.decide(pass, stepped, attempt, attempts.rowsAt(slot));
    for (const { group, cohort } of stepped) this.#ascents[group]!.encode(pass, cohort.tensors);
  }

  /** The updates of the groups. */
  get steps(): readonly GroupStep[] {
    return this.#path.steps;
  }

  /** Tensors of reports, and where what is found of each lies: the first fields of `Values`. */
  get tensors(): readonly Tensor[] {
    return this.#memory.table.tensors;
  }

  get values(): BufferRange {
    return { buffer: this.#memory.values, offset: 0, size: this.tensors.length * VALUES };
  }

  /** What a checkpoint keeps of it. */
  get saved() {
    return {
      range: { buffer: this.kept.control, offset: 0, size: sizeOf(CONTROL) },
      layout: CONTROL,
      known: this.attempts.known,
      number: this.attempts.number,
      expected: this.attempts.number - this.attempts.skipped,
      dynamic: this.guards.dynamicScale,
    };
  }

  /** Changes the guards in force. @throws OptimError `invalid-argument` */
  set(options: ChangingGuards): void {
    for (const fixed of ["lossScale", "skipsInFlight", "adaptiveClip", "centralize"])
      if (Object.hasOwn(options ?? {}, fixed))
        throw new OptimError("invalid-argument", `'${fixed}' cannot change after creation`, {
          got: `'${fixed}'`,
          fix: "create a new optimizer",
        });
    this.guards = checkGuards(options, this.guards);
  }
}
