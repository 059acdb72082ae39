import type { Rule } from "../../rule.js";
import type { ParameterGroup, PendingStep } from "../group.js";
import { STAGE } from "../kernels/compose.js";
import { chunkLayout, stepLayout } from "../kernels/pipelines.js";
import { type ChunkUniforms, Planner } from "../kernels/plan.js";
import type { BufferRange, Range, Tensor } from "../memory/parameters.js";
import { BLOCK } from "../memory/slots.js";
import type { PlanLimits } from "../memory/spans.js";
import { type Guards, UNLIMITED } from "../options/guard-options.js";
import { type ItemTable, itemTable, type Walk } from "./item-table.js";
import { endsWholeLanes } from "./items.js";
import { DECIDE, type MonitorKernels, SETTLE } from "./monitor-kernels.js";
import {
  type AscentDispatch,
  bindAscent,
  bindMonitored,
  encodeAll,
  type MonitoredDispatch,
} from "./monitored-spans.js";
import { placeRuleSums, RuleSums } from "./rule-sums.js";

/** Bytes of a group in a row of scalars: a block of the rule's, a block of the engine's. */
const GROUP_BYTES = 2 * BLOCK;
/** Records that the GPU keeps; older ones are overwritten. */
export const HISTORY = 64;
/** f32 or u32 words of a record. */
export const RECORD_WORDS = 10;
/** Bytes of the control block: loss scale, good steps, attempt, applied, skipped, faults, ascent. */
export const CONTROL_BYTES = 28;

const SKIP_NON_FINITE = 1;
const OPTAX_NORM = 2;
const DYNAMIC_SCALE = 4;
const FLUSH = 8;
const ASCENT = 16;
const FLUSHED = 32;

/** Rows of scalars for a step: one if none in flight is skipped, and one for each that may be. */
const rowsOf = ({ skipsInFlight }: Guards): number => skipsInFlight + 1;

/** A group as the monitor sees it: its tensors, sorted, and what its step reads beside parameters and gradients. */
export interface MonitoredGroup {
  readonly rule: Rule;
  readonly tensors: readonly Tensor[];
  /** Those that keep their state and are not stepped. */
  readonly frozen: readonly Tensor[];
  readonly others: readonly ((tensor: Tensor) => Range)[];
  readonly accumulator: ((tensor: Tensor) => Range) | undefined;
  /** Where parameters are kept while the gradient is taken elsewhere. */
  readonly origin: ((tensor: Tensor) => Range) | undefined;
}

/** Rows of scalars for a step, staged. */
export interface PreparedRows {
  /** Steps applied if none in flight is skipped. */
  readonly newest: number;
  readonly rows: number;
  readonly scale: number;
  /** Of each group, for its newest row. */
  readonly pending: readonly PendingStep[];
}

/** One way through all tensors: over the caller's gradients, or over the accumulators. */
interface Route {
  readonly table: ItemTable;
  readonly items: GPUBuffer;
  readonly settle: GPUBindGroup;
  /** The same over what rules measured. */
  readonly settleRules: GPUBindGroup | undefined;
  readonly planners: readonly Planner<MonitoredDispatch>[];
}

const gradientOf = (tensor: Tensor): Range => tensor.gradient;

/** Measures gradients on the GPU, decides there about each step, and keeps what telemetry reports. */
export class Monitor {
  guards: Guards;
  /** f32: what the caller multiplies the loss by. */
  readonly lossScale: BufferRange;
  readonly control: GPUBuffer;
  readonly history: GPUBuffer;
  readonly sums: GPUBuffer;
  /** Every tensor, in the order of the totals in `sums`. */
  readonly tensors: readonly Tensor[];
  /** Byte offset of the totals in `sums`: vec4f of Σθ², ΣΔ², Σg² and the count of non-finite gradients. */
  readonly totals: number;
  readonly #device: GPUDevice;
  readonly #limits: PlanLimits;
  readonly #groups: readonly MonitoredGroup[];
  readonly #kernels: MonitorKernels;
  readonly #direct: Route;
  readonly #accumulated: Route | undefined;
  #lastRoute: Route;
  readonly #ruleSums: RuleSums | undefined;
  readonly #attempts: GPUBuffer;
  readonly #attemptGroup: GPUBindGroup;
  readonly #rows: GPUBuffer;
  /** Bind group 0 with the scalars that the GPU chose; a group's lie at its index times 512. */
  readonly live: GPUBindGroup;
  readonly #decide: GPUBindGroup;
  readonly #staging: Float32Array<ArrayBuffer>;
  readonly #header = new DataView(new ArrayBuffer(BLOCK));
  readonly #slots: number;
  readonly #ascents: readonly Planner<AscentDispatch>[];
  #ascentPlans: readonly (readonly AscentDispatch[])[];
  #plans: readonly (readonly MonitoredDispatch[])[];
  #accumulatedPlans: readonly (readonly MonitoredDispatch[])[];
  /** Steps encoded, from 1. */
  #attempt = 0;
  /** Steps that the GPU is known to have skipped. */
  #skipped = 0;

  constructor(
    device: GPUDevice,
    label: string,
    limits: PlanLimits,
    uniforms: ChunkUniforms,
    groups: readonly MonitoredGroup[],
    kernels: MonitorKernels,
    guards: Guards,
    stepsInFlight: number,
    own: <T extends { destroy(): void }>(resource: T) => T,
    before?: Monitor,
  ) {
    this.#attempt = before?.attempt ?? 0;
    this.#skipped = before?.skipped ?? 0;
    this.#device = device;
    this.#limits = limits;
    this.#groups = groups;
    this.#kernels = kernels;
    this.guards = guards;
    this.#slots = stepsInFlight;
    const create = (name: string, size: number, usage = 0) =>
      own(
        device.createBuffer({
          label: `${label} ${name}`,
          // An array of vec4f is bound with room for one, even where there is no tensor.
          size: Math.max(size, 16),
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC | usage,
        }),
      );
    const tensors = groups.flatMap((group) => group.tensors);
    this.tensors = tensors;
    const walks = (accumulated: boolean): Walk[] =>
      groups.map((group) => ({
        tensors: group.tensors,
        gradient: (accumulated && group.accumulator) || gradientOf,
      }));
    const accumulates = groups.some(({ accumulator }) => accumulator);
    // Both routes share the sums, so the totals stand behind the longer one.
    const count = Math.max(
      ...[walks(false), ...(accumulates ? [walks(true)] : [])].map(
        (route) => itemTable(route, tensors, limits, () => 0).count,
      ),
    );
    const partials = count * 64;
    this.totals = partials * 16;
    const factors = partials + tensors.length;
    const free = factors + tensors.length;
    const places = kernels.sums.some((one) => one) ? placeRuleSums(groups, free, partials) : undefined;
    this.sums = create("sums", (places?.end ?? free) * 16);
    this.control = create("control", CONTROL_BYTES, GPUBufferUsage.UNIFORM);
    this.history = create("history", HISTORY * RECORD_WORDS * 4);
    this.lossScale = { buffer: this.control, offset: 0, size: 4 };
    device.queue.writeBuffer(this.control, 0, new Float32Array([guards.lossScale.initial]));
    const live = create("live scalars", groups.length * GROUP_BYTES, GPUBufferUsage.UNIFORM);
    // One more for flushes, which are all alike.
    this.#attempts = create("attempts", (stepsInFlight + 1) * BLOCK, GPUBufferUsage.UNIFORM);
    const rowBytes = rowsOf(guards) * groups.length * GROUP_BYTES;
    this.#rows = create("rows", stepsInFlight * rowBytes);
    this.#staging = new Float32Array(rowBytes / 4);
    const settled = create("settle", 12, GPUBufferUsage.UNIFORM);
    device.queue.writeBuffer(settled, 0, new Uint32Array([tensors.length, partials, 0]));
    const plan = create("plan", 12, GPUBufferUsage.UNIFORM);
    device.queue.writeBuffer(
      plan,
      0,
      new Uint32Array([tensors.length, partials, (groups.length * GROUP_BYTES) / 4]),
    );
    const bind = (name: string, layout: GPUBindGroupLayout, resources: readonly GPUBufferBinding[]) =>
      device.createBindGroup({
        label: `${label} ${name}`,
        layout,
        entries: resources.map((resource, binding) => ({ binding, resource })),
      });
    const step = stepLayout(device);
    this.#attemptGroup = bind("attempts", step, [
      { buffer: this.#attempts, size: BLOCK },
      { buffer: this.#attempts, size: BLOCK },
    ]);
    this.live = bind("live scalars", step, [
      { buffer: live, size: BLOCK },
      { buffer: live, offset: BLOCK, size: BLOCK },
    ]);
    this.#decide = bind("control", chunkLayout(device, DECIDE), [
      { buffer: plan },
      { buffer: this.control },
      { buffer: this.sums },
      { buffer: this.#rows },
      { buffer: live },
      { buffer: this.history },
    ]);
    const { control, sums } = this;
    const ruleSums = places && new RuleSums(device, places, groups, kernels.sums, sums, create, bind);
    this.#ruleSums = ruleSums;
    const context = {
      device,
      label,
      limits,
      uniforms,
      control,
      sums,
      // From a tensor's clip factor to what is settled for it, and from an item's partial sums to the rule's.
      ruleSums: places ? ([places.settled - factors, places.partials] as const) : ([0, 0] as const),
    };
    const route = (accumulated: boolean, name: string): Route => {
      const table = itemTable(walks(accumulated), tensors, limits, () => partials + tensors.length);
      const items = create(`${name} items`, table.items.byteLength);
      const ranges = create(`${name} ranges`, table.ranges.byteLength);
      device.queue.writeBuffer(items, 0, table.items);
      device.queue.writeBuffer(ranges, 0, table.ranges);
      return {
        table,
        items,
        settle: bind("settle", chunkLayout(device, SETTLE), [
          { buffer: settled },
          { buffer: ranges },
          { buffer: this.sums },
        ]),
        settleRules: ruleSums?.bindTotals(ranges),
        planners: groups.map(
          ({ others }) =>
            new Planner(
              (tensor) => tensor.param,
              (span, gradient) => bindMonitored(context, table, items, others, span, gradient!),
              endsWholeLanes,
            ),
        ),
      };
    };
    this.#direct = route(false, "gradient");
    this.#lastRoute = this.#direct;
    this.#accumulated = accumulates ? route(true, "accumulator") : undefined;
    this.#ascents = groups.map(
      ({ origin }) =>
        new Planner(
          (tensor) => tensor.param,
          (span, gradient) => bindAscent(context, origin!, span, gradient!),
        ),
    );
    this.#plans = this.planWith(gradientOf);
    this.#ascentPlans = this.#planAscents();
    this.#accumulatedPlans = this.#accumulated
      ? groups.map(({ tensors, accumulator }, index) =>
          this.#accumulated!.planners[index]!.plan(tensors, accumulator!),
        )
      : [];
  }

  /**
   * The plan over gradients elsewhere; nothing changes until {@link use}.
   * @throws OptimError `invalid-buffer` where they are laid out unlike those that the monitor was made for.
   */
  planWith(gradient: (tensor: Tensor) => Range): readonly (readonly MonitoredDispatch[])[] {
    return this.#groups.map(({ tensors }, index) => this.#direct.planners[index]!.plan(tensors, gradient));
  }

  /** Reads gradients where a plan says. */
  use(plans: readonly (readonly MonitoredDispatch[])[]): void {
    this.#plans = plans;
    this.#ascentPlans = this.#planAscents();
  }

  #planAscents(): readonly (readonly AscentDispatch[])[] {
    return this.#groups.map(({ tensors, origin }, index) =>
      origin && this.#kernels.ascent ? this.#ascents[index]!.plan(tensors, gradientOf) : [],
    );
  }

  /**
   * Works out the rows of scalars that the next step may read: the newest first; each further one is for one more step
   * skipped among those that the host has not heard of. Nothing is written yet.
   * @param scale of the mean over micro-batches
   */
  prepare(groups: readonly ParameterGroup[], scale: number): PreparedRows {
    const { guards } = this;
    const newest = this.#attempt - this.#skipped;
    const rows = Math.min(rowsOf(guards), newest + 1);
    const words = GROUP_BYTES / 4;
    const pending: PendingStep[] = [];
    for (let row = 0; row < rows; row += 1)
      groups.forEach((group, index) => {
        const start = (row * groups.length + index) * words;
        const staged = this.#staging.subarray(start, start + words);
        const prepared = group.prepare(staged, scale, Math.max(0, group.steps - row));
        const newer = pending[index];
        // What any row may blend is encoded; the row that is read decides.
        pending[index] = newer
          ? { ...newer, slow: newer.slow || prepared.slow, average: newer.average || prepared.average }
          : prepared;
        staged[(BLOCK + STAGE.clip_value) / 4] = guards.clipValue;
        staged[(BLOCK + STAGE.zero_non_finite) / 4] = guards.nonFinite === "zero" ? 1 : 0;
      });
    return { newest, rows, scale, pending };
  }

  /**
   * Encodes a step: measure, sums by tensor, decision, update.
   * @param slot which of the `stepsInFlight` places to write
   */
  encode(
    pass: GPUComputePassEncoder,
    slot: number,
    groups: readonly ParameterGroup[],
    prepared: PreparedRows,
    accumulated: boolean,
  ): void {
    const { guards } = this;
    const { newest, rows, scale } = prepared;
    const rowBytes = groups.length * GROUP_BYTES;
    const firstRow = slot * rowsOf(guards) * rowBytes;
    this.#device.queue.writeBuffer(this.#rows, firstRow, this.#staging, 0, (rows * rowBytes) / 4);
    this.#attempt += 1;
    const route = accumulated ? this.#accumulated! : this.#direct;
    // Partial sums of the last step stand where its own route has them, and are not to be taken by another's places.
    const flushed = route !== this.#lastRoute;
    if (flushed) this.#flush(pass);
    const flags =
      (flushed ? FLUSHED : 0) |
      (guards.nonFinite === "skip" ? SKIP_NON_FINITE : 0) |
      (guards.clipFormula === "optax" ? OPTAX_NORM : 0) |
      (guards.dynamicScale ? DYNAMIC_SCALE : 0);
    this.#writeAttempt(slot, flags, newest, rows, firstRow / 4, scale);
    this.#lastRoute = route;
    const plans = accumulated ? this.#accumulatedPlans : this.#plans;
    pass.setBindGroup(0, this.#attemptGroup, [slot * BLOCK, slot * BLOCK]);
    for (const dispatches of plans) encodeAll(pass, this.#kernels.measure, dispatches, "measure");
    this.#settle(pass, route.settle);
    this.#decideStep(pass);
    if (route.settleRules)
      this.#ruleSums?.encode(
        pass,
        plans,
        () => this.#settle(pass, route.settleRules!),
        (group) => this.#setLive(pass, group),
      );
    plans.forEach((dispatches, index) => {
      this.#setLive(pass, index);
      encodeAll(pass, this.#kernels.steps[index]!, dispatches, "step");
    });
  }

  /** Encodes every step with no workgroups: nothing runs, and the buffers are checked at the submit. */
  probe(pass: GPUComputePassEncoder): void {
    this.#setLive(pass, 0);
    this.#plans.forEach((dispatches, index) => {
      const idle = dispatches.map((dispatch) => ({ ...dispatch, workgroups: 0 }));
      encodeAll(pass, this.#kernels.steps[index]!, idle, "step");
    });
  }

  #setLive(pass: GPUComputePassEncoder, group: number): void {
    pass.setBindGroup(0, this.live, [group * GROUP_BYTES, group * GROUP_BYTES]);
  }

  /**
   * Where a value that the rule settled for a tensor lies: one f32.
   * @param index of the field of `Settled`
   */
  settled(tensor: Tensor, index: number): BufferRange {
    return this.#ruleSums!.settled(tensor, index);
  }

  /**
   * Encodes SAM's ascent: θ + ρ·g/‖g‖ over all groups, with θ kept.
   * @param radius ρ
   */
  encodeAscent(pass: GPUComputePassEncoder, slot: number, radius: number): void {
    this.#writeAttempt(slot, ASCENT, 0, 0, 0, 1, radius);
    pass.setBindGroup(0, this.#attemptGroup, [slot * BLOCK, slot * BLOCK]);
    for (const dispatches of this.#plans) encodeAll(pass, this.#kernels.measure, dispatches, "measure");
    this.#settle(pass, this.#direct.settle);
    this.#decideStep(pass);
    this.#groups.forEach((_, index) => {
      encodeAll(pass, this.#kernels.ascent!, this.#ascentPlans[index]!, "step");
    });
  }

  /** Brings the totals up to the last step, which are otherwise summed up with the next. */
  encodeTotals(pass: GPUComputePassEncoder): void {
    pass.setBindGroup(0, this.#attemptGroup, [0, 0]);
    this.#settle(pass, this.#lastRoute.settle);
  }

  /** Completes the record of the last step. */
  #flush(pass: GPUComputePassEncoder): void {
    const slot = this.#slots;
    this.#writeAttempt(slot, FLUSH, 0, 0, 0, 1);
    pass.setBindGroup(0, this.#attemptGroup, [slot * BLOCK, slot * BLOCK]);
    this.#settle(pass, this.#lastRoute.settle);
    this.#decideStep(pass);
  }

  #settle(pass: GPUComputePassEncoder, bindGroup: GPUBindGroup): void {
    pass.setPipeline(this.#kernels.settle);
    pass.setBindGroup(1, bindGroup);
    pass.dispatchWorkgroups(
      Math.min(Math.max(this.tensors.length, 1), this.#limits.maxComputeWorkgroupsPerDimension),
    );
  }

  #decideStep(pass: GPUComputePassEncoder): void {
    pass.setPipeline(this.#kernels.decide);
    pass.setBindGroup(1, this.#decide);
    pass.dispatchWorkgroups(1);
  }

  #writeAttempt(
    slot: number,
    flags: number,
    newest: number,
    rows: number,
    row: number,
    scale: number,
    radius = 0,
  ): void {
    const { clipNorm, clipGlobalNorm, lossScale } = this.guards;
    // An ascent follows the gradient as it is.
    const clipValue = flags & ASCENT ? UNLIMITED : this.guards.clipValue;
    const header = this.#header;
    let at = 0;
    const f32 = (value: number) => {
      header.setFloat32(at, value, true);
      at += 4;
    };
    const u32 = (value: number) => {
      header.setUint32(at, value, true);
      at += 4;
    };
    // In the order of `Attempt`.
    f32(scale);
    f32(clipValue);
    u32(this.#attempt);
    u32(newest);
    u32(rows);
    u32(row);
    u32(flags);
    f32(clipNorm);
    f32(clipGlobalNorm);
    f32(lossScale.growth);
    f32(lossScale.backoff);
    u32(lossScale.interval);
    f32(lossScale.min);
    f32(lossScale.max);
    f32(radius);
    this.#device.queue.writeBuffer(this.#attempts, slot * BLOCK, header);
  }

  /** Steps encoded. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Steps that the GPU is known to have skipped. */
  get skipped(): number {
    return this.#skipped;
  }

  /** Takes over what the GPU counts, the loss scale and the history. */
  copyFrom(encoder: GPUCommandEncoder, before: Monitor): void {
    encoder.copyBufferToBuffer(before.control, 0, this.control, 0, CONTROL_BYTES);
    encoder.copyBufferToBuffer(before.history, 0, this.history, 0, HISTORY * RECORD_WORDS * 4);
  }

  /** Takes the count of steps that the GPU did not take, skipped or never run, and gives how many of them are news. */
  learn(skipped: number): number {
    const news = skipped - this.#skipped;
    this.#skipped = skipped;
    return news;
  }
}
