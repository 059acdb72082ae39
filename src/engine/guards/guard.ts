import { OptimError } from "../../errors.js";
import * as ascentShader from "../../shaders/engine/ascent.wgsl?engine";
import * as controlShader from "../../shaders/engine/control.wgsl?engine";
import type { ParameterGroup, PendingStep } from "../group.js";
import { overLanes, type Stages } from "../kernels/compose.js";
import { type Dispatch, GRADIENT, type PlanContext, written } from "../kernels/plan.js";
import type { Step } from "../kernels/step.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { type GroupMemory, ORIGIN } from "../memory/group-memory.js";
import { type BufferRange, gradientOf, type Tensor } from "../memory/parameters.js";
import { bindBlocks, GROUP_BYTES } from "../memory/slots.js";
import type { MemoryContext } from "../memory/state.js";
import { offsetsOf, sizeOf } from "../memory/struct.js";
import { USAGE } from "../memory/usage.js";
import { checkGuards, type GuardOptions, type Guards, UNLIMITED } from "../options/guard-options.js";
import { Attempts, type PreparedRows } from "./attempts.js";
import { CONTROL, HISTORY, RECORD, SETTLED, VALUES } from "./control.js";
import { type GuardMemory, Path } from "./path.js";
import type { TelemetryOptions } from "./reports.js";
import { StripTable } from "./strips.js";

const writeAlike = (a: readonly Dispatch[], b: readonly Dispatch[]) =>
  a.length === b.length &&
  a.every(
    ({ strip, lanes, width }, i) => strip === b[i]!.strip && lanes * width === b[i]!.lanes * b[i]!.width,
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
  readonly control: GPUBuffer;
  readonly history: GPUBuffer;
  /** Bind group 0 with the scalars that the GPU chose; a group's lie at its index times 512. */
  readonly live: GPUBindGroup;
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
  /** What the first steps wrote. */
  #strips: readonly Dispatch[] | undefined;

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
    this.#ruleSums = groups.some(({ rule }) => rule.row.shader.sums.length > 0);
    const sums = this.#ruleSums || telemetry !== undefined;
    const create = (name: string, size: number, usage = 0) =>
      own(
        device.createBuffer({
          label: `${label} ${name}`,
          // An array of vec4f is bound with room for one, even where there is no tensor.
          size: Math.max(size, 16),
          usage: USAGE.STORAGE | USAGE.COPY_DST | USAGE.COPY_SRC | usage,
        }),
      );
    const table = new StripTable(groups);
    const tensors = [...table.tensors, ...groups.flatMap(({ frozen }) => frozen)];
    this.#index = new Map(tensors.map((tensor, index) => [tensor, index]));
    // Behind the values, in vec4f.
    const owners = (VALUES / 16) * tensors.length;
    this.control = create("control", sizeOf(CONTROL), USAGE.UNIFORM);
    this.history = create("history", HISTORY * sizeOf(RECORD));
    this.lossScale = { buffer: this.control, offset: offsetsOf(CONTROL).loss_scale!, size: 4 };
    device.queue.writeBuffer(this.control, 0, new Float32Array([this.guards.lossScale.initial]));
    const live = create("live scalars", groups.length * GROUP_BYTES, USAGE.UNIFORM);
    const values = create("values", Math.max(owners * 16 + Math.ceil(table.count / 4) * 16, VALUES));
    device.queue.writeBuffer(values, owners * 16, table.owners());
    this.#memory = {
      table,
      partials: create("partial sums", table.count * 8),
      stepPartials: create("partial sums of steps", sums ? table.count * 16 : 0),
      values,
      owners,
      control: this.control,
      history: this.history,
      rows: this.attempts.rows,
      live,
    };
    this.live = bindBlocks(device, `${label} live scalars`, live);
    for (const group of groups) {
      group.settled = (tensor, field) => this.#settled(tensor, field);
      this.#writeInitial(group);
    }
    this.#ascents = sam ? groups.map((group) => this.#ascentOf(group)) : [];
    this.#mixed = !this.#sameStrips(this.#path);
  }

  /** The way of the guards in force. */
  get #path(): Path {
    const { telemetry, accumulation } = this.#plan;
    const perTensor = telemetry?.perTensor ?? false;
    const clips = this.guards.clipNorm < UNLIMITED;
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
      // Steps over other strips leave what this one's never write.
      if (this.#paths.size > 0) this.#mixed = true;
      this.#paths.set(clips, path);
    }
    return path;
  }

  #writeInitial({ rule, sorted }: GroupMemory): void {
    const initial = rule.row.initial?.(rule.options) ?? {};
    rule.row.shader.settled.forEach((name, field) => {
      for (const tensor of initial[name] ? sorted : []) {
        const { buffer, offset } = this.#settled(tensor, field);
        this.#context.device.queue.writeBuffer(buffer, offset, new Float32Array([initial[name]!]));
      }
    });
  }

  /** Where a value that is settled for a tensor lies: one f32. */
  #settled(tensor: Tensor, field: number): BufferRange {
    return {
      buffer: this.#memory.values,
      offset: this.#index.get(tensor)! * VALUES + SETTLED + field * 4,
      size: 4,
    };
  }

  #ascentOf(group: GroupMemory): TensorPass {
    const pass = new TensorPass(
      this.#context,
      {
        name: "ascent",
        lead: ({ param }) => param,
        streams: [
          written(({ param }) => param),
          GRADIENT,
          written(group.range(ORIGIN)),
          { access: "read-only-storage", whole: this.control },
        ],
      },
      "engine/ascent.wgsl",
      (width) => overLanes(width) + controlShader.code + ascentShader.code,
    );
    pass.plan(group.active, gradientOf);
    return pass;
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

  /** Looks plans up again after the gradients of tensors moved. */
  gradientsMoved(): void {
    for (const path of this.#paths.values()) path.gradientsMoved();
    this.#ascents.forEach((pass, index) => {
      pass.plan(this.#groups[index]!.active, gradientOf);
    });
    this.#mixed ||= !this.#sameStrips(this.#path);
  }

  /** Whether steps over the gradients where they are now, and over accumulators, write the same places as ever. */
  #sameStrips(path: Path): boolean {
    this.#strips ??= path.strips(false);
    const ways = [path.strips(false), ...(this.#plan.accumulation ? [path.strips(true)] : [])];
    return ways.every((way) => writeAlike(way, this.#strips!));
  }

  prepare(groups: readonly ParameterGroup[], scale: number): PreparedRows {
    return this.attempts.prepare(groups, scale);
  }

  /** Before a pass that measures. */
  begin(encoder: GPUCommandEncoder): void {
    // A way that is new makes it so.
    const { steps } = this.#path;
    if (steps.length === 0 || !this.#mixed) return;
    encoder.clearBuffer(this.#memory.partials);
    encoder.clearBuffer(this.#memory.stepPartials);
  }

  /**
   * Encodes the decision about a step: whether it is taken, its clip factors, and the scalars that it reads.
   * @param slot which of the `stepsInFlight` places to write
   */
  decide(pass: GPUComputePassEncoder, slot: number, prepared: PreparedRows, accumulated: boolean): void {
    const path = this.#path;
    const { attempts } = this;
    attempts.write(slot, prepared, this.guards);
    path.decide(pass, { accumulated, ...this.#asked }, attempts.set(pass, slot));
    path.settle(
      pass,
      accumulated,
      (group) => this.#guarded(prepared.pending[group]!.stages),
      (group) => this.#setLive(pass, group),
    );
  }

  /** Encodes the update of a group. */
  step(pass: GPUComputePassEncoder, group: number, { stages }: PendingStep, accumulated: boolean): void {
    this.#setLive(pass, group);
    this.#path.steps[group]!.encode(pass, this.#guarded(stages), accumulated, this.#reported);
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

  #setLive(pass: GPUComputePassEncoder, group: number): void {
    pass.setBindGroup(0, this.live, [group * GROUP_BYTES, group * GROUP_BYTES]);
  }

  /**
   * Encodes SAM's ascent: θ + ρ·g/‖g‖ over all groups, with θ kept.
   * @param radius ρ
   */
  ascend(pass: GPUComputePassEncoder, slot: number, radius: number): void {
    const { attempts } = this;
    attempts.writeAscent(slot, radius);
    const attempt = { ...this.#asked, accumulated: false, clipValue: false, clipNorm: false };
    this.#path.decide(pass, attempt, attempts.set(pass, slot));
    for (const ascent of this.#ascents) ascent.encodeOver(pass);
  }

  /** The updates of the groups. */
  get steps(): readonly Step[] {
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
      range: { buffer: this.control, offset: 0, size: sizeOf(CONTROL) },
      layout: CONTROL,
      expected: this.attempts.number - this.attempts.skipped,
      dynamic: this.guards.dynamicScale,
    };
  }

  /** Changes the guards in force. @throws OptimError `invalid-argument` */
  set(options: Omit<GuardOptions, "lossScale" | "skipsInFlight">): void {
    for (const fixed of ["lossScale", "skipsInFlight"])
      if (Object.hasOwn(options ?? {}, fixed))
        throw new OptimError("invalid-argument", `'${fixed}' cannot change after creation`, {
          got: `'${fixed}'`,
          fix: "create a new optimizer",
        });
    this.guards = checkGuards(options, this.guards);
  }

  /** Takes over what the GPU counts, the loss scale and the history. */
  copyFrom(encoder: GPUCommandEncoder, before: Guard): void {
    encoder.copyBufferToBuffer(before.control, 0, this.control, 0, sizeOf(CONTROL));
    encoder.copyBufferToBuffer(before.history, 0, this.history, 0, HISTORY * sizeOf(RECORD));
  }
}
