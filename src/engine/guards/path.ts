import * as clipShader from "../../shaders/engine/clip.wgsl?engine";
import * as controlShader from "../../shaders/engine/control.wgsl?engine";
import * as decideShader from "../../shaders/engine/decide.wgsl?engine";
import * as measureShader from "../../shaders/engine/measure.wgsl?engine";
import * as recordShader from "../../shaders/engine/record.wgsl?engine";
import { BufferPass } from "../kernels/buffer-pass.js";
import { overLanes, STAGE_STRUCT, type Stages, stepVariant } from "../kernels/compose.js";
import type { Access, Variant } from "../kernels/pipelines.js";
import { type Dispatch, GRADIENT, type PlanContext, type Stream, type Strips } from "../kernels/plan.js";
import { Step, type StepExtension, stepStreams } from "../kernels/step.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { ACCUMULATOR, type GroupMemory } from "../memory/group-memory.js";
import { gradientOf } from "../memory/parameters.js";
import type { MemoryContext } from "../memory/state.js";
import { packStruct } from "../memory/struct.js";
import {
  CHANGES,
  composeGuardedStep,
  composeSummedStep,
  GRADIENTS,
  overStrips,
  type PartKind,
  sumsOf,
} from "./compose-sums.js";
import { RuleSums } from "./rule-sums.js";
import type { StripTable } from "./strips.js";
import { compileSums, encodeSums, FACTORS, NO_FACTORS, type Reduction, sumAll, sumTensors } from "./sums.js";

/** What all ways through a guarded step share. */
export interface GuardMemory {
  readonly table: StripTable;
  /** Partial sums of gradients. */
  readonly partials: GPUBuffer;
  /** Those of steps: of parameters and updates, and of rules with sums. */
  readonly stepPartials: GPUBuffer;
  /** `Values` of each tensor, and behind them the owners of strips. */
  readonly values: GPUBuffer;
  /** Index of these owners, in vec4f. */
  readonly owners: number;
  readonly control: GPUBuffer;
  readonly history: GPUBuffer;
  /** Of one slot. */
  readonly rows: GPUBufferBinding;
  readonly live: GPUBuffer;
}

/** What a way is for. */
export interface PathKind {
  /** Whether what is found of each tensor is kept. */
  readonly byTensor: boolean;
  /** Whether the step reads values by tensor. */
  readonly values: boolean;
  readonly accumulation: boolean;
  readonly ruleSums: boolean;
  /** Whether norms of parameters and updates are kept. */
  readonly telemetry: boolean;
}

const measureVariants: readonly Variant[] = [0, 1, 2, 3].map((bits) => ({
  clipped: bits & 1,
  kept: bits >> 1,
}));
const measureVariant = ({ clipValue, kept }: Omit<Attempted, "accumulated">) =>
  measureVariants[Number(clipValue) + 2 * Number(kept)]!;

/** What an attempt asks of a way. */
export interface Attempted {
  readonly accumulated: boolean;
  readonly clipValue: boolean;
  readonly clipNorm: boolean;
  /** Whether what is not finite is kept. */
  readonly kept: boolean;
}

const controlled = (parts: PartKind) => sumsOf(parts) + controlShader.code;

/** One way through a guarded step: over all tensors together, or by tensor. */
export class Path {
  readonly steps: readonly Step[];
  /** The norm of gradients and the count of what is not finite. */
  readonly #gradientSums: Reduction;
  /** Norms of parameters and updates, and the count of what was lost. */
  readonly #changeSums: Reduction | undefined;
  readonly #groups: readonly GroupMemory[];
  readonly #measures: readonly {
    readonly direct: TensorPass;
    readonly accumulated: TensorPass | undefined;
  }[];
  readonly #ruleSums: RuleSums | undefined;
  readonly #decide: BufferPass;
  readonly #record: BufferPass | undefined;

  constructor(
    context: PlanContext & MemoryContext,
    groups: readonly GroupMemory[],
    kind: PathKind,
    memory: GuardMemory,
  ) {
    const { table, partials, stepPartials, values, control, history, rows, live } = memory;
    const whole = (access: Access, buffer: GPUBuffer): Stream => ({ access, whole: buffer });
    const apart = kind.byTensor || kind.values;
    const strips: Strips = apart ? table.apart(memory.owners) : table.together;
    const sums = kind.telemetry || kind.ruleSums;
    const streams = [
      ...(kind.values ? [whole("read-only-storage", values)] : []),
      ...(sums ? [whole("storage", stepPartials)] : []),
    ];
    const form = { values: kind.values, sums };
    const compose: StepExtension["compose"] = (shader, width, fromOrigin, summed) =>
      (summed ? composeSummedStep : composeGuardedStep)(shader, width, { ...form, fromOrigin });
    // Without sums or values, spans are those of the plain step.
    const extension = { compose, streams, ...(streams.length > 0 && { strips }) };
    this.#groups = groups;
    this.steps = groups.map((group) => new Step(context, group, kind.accumulation, extension));
    this.#measures = groups.map((group) => {
      const measure = (gradient: typeof gradientOf) => {
        const pass = new TensorPass(
          context,
          {
            name: "measure",
            lead: ({ param }) => param,
            streams: [GRADIENT, whole("read-only-storage", control), whole("storage", partials)],
            strips,
          },
          "engine/measure.wgsl",
          (width) => overLanes(width) + overStrips(width) + controlled(GRADIENTS) + measureShader.code,
        );
        pass.plan(group.active, gradient);
        return pass;
      };
      return {
        direct: measure(gradientOf),
        accumulated: kind.accumulation ? measure(group.range(ACCUMULATOR)) : undefined,
      };
    });
    const runs = table.runs(!apart);
    const sumOf = (name: string, changes: boolean) => {
      const sumContext = { ...context, parts: changes ? CHANGES : GRADIENTS };
      const parts = changes ? stepPartials : partials;
      return kind.byTensor
        ? sumTensors(sumContext, name, changes, parts, runs, values)
        : sumAll(sumContext, name, parts, runs);
    };
    this.#gradientSums = sumOf("gradients", false);
    this.#changeSums = kind.telemetry ? sumOf("changes", true) : undefined;
    this.#ruleSums = kind.ruleSums
      ? new RuleSums(
          context,
          groups,
          (group) => [...stepStreams(group), ...streams],
          table,
          stepPartials,
          values,
        )
      : undefined;
    const { buffer, count } = this.#gradientSums;
    this.#decide = new BufferPass(context, {
      name: "decide",
      file: "engine/decide.wgsl",
      code: STAGE_STRUCT + controlled(GRADIENTS) + clipShader.code + decideShader.code,
      uniform: packStruct(decideShader.structs.Decision!, { sums: count, groups: groups.length }),
      buffers: [
        ["storage", control],
        ["read-only-storage", buffer],
        ["window", rows],
        ["storage", live],
        ["storage", history],
      ],
      workgroups: 1,
    });
    const changes = this.#changeSums;
    this.#record =
      changes &&
      new BufferPass(context, {
        name: "record",
        file: "engine/record.wgsl",
        code: controlled(CHANGES) + recordShader.code,
        uniform: packStruct(recordShader.structs.Recording!, { sums: changes.count }),
        buffers: [
          ["read-only-storage", control],
          ["read-only-storage", changes.buffer],
          ["storage", history],
        ],
        workgroups: 1,
      });
  }

  /**
   * @param stages that each group's steps may need
   * @param summed as for `Step.compile`
   * @throws OptimError `invalid-shader`
   */
  async compile(
    stages: readonly (readonly Stages[])[],
    summed: "never" | "always" | "sometimes",
    attempted: Omit<Attempted, "accumulated">,
    ascends: boolean,
  ): Promise<void> {
    const { clipNorm } = attempted;
    const ascent = { ...attempted, clipValue: false };
    const measures = new Set([attempted, ...(ascends ? [ascent] : [])].map(measureVariant));
    await Promise.all([
      ...this.steps.map((step, index) => step.compile(stages[index]!, summed)),
      ...this.#measures.flatMap((both) =>
        [both.direct, both.accumulated].map((measure) => measure?.compile(measures)),
      ),
      compileSums(this.#gradientSums, clipNorm ? FACTORS : NO_FACTORS),
      this.#changeSums && compileSums(this.#changeSums),
      this.#decide.compile(),
      this.#record?.compile(),
      this.#ruleSums?.compile(
        (index) => this.steps[index]!.dispatches(false),
        (index) => stages[index]!.map(stepVariant),
      ),
    ]);
  }

  /** Looks plans up again after the gradients of tensors moved. */
  gradientsMoved(): void {
    for (const step of this.steps) step.gradientsMoved();
    this.#measures.forEach(({ direct }, index) => {
      direct.plan(this.#groups[index]!.active, gradientOf);
    });
  }

  /** Of each dispatch over strips, in the order of places: which it writes. */
  strips(accumulated: boolean): readonly Dispatch[] {
    return this.#measures.flatMap((both) => (accumulated ? both.accumulated : both.direct)?.dispatches ?? []);
  }

  /**
   * Encodes measure and decision; bind group 0 is the attempt's.
   * @param rows offset of the rows of scalars that the attempt may read
   */
  decide(pass: GPUComputePassEncoder, attempted: Attempted, rows: number): void {
    const { accumulated, clipNorm } = attempted;
    for (const both of this.#measures)
      (accumulated ? both.accumulated! : both.direct).encodeOver(pass, measureVariant(attempted));
    encodeSums(pass, this.#gradientSums, clipNorm ? FACTORS : NO_FACTORS);
    this.#decide.encode(pass, undefined, [rows]);
  }

  /** Encodes what rules with sums do before the step. */
  settle(
    pass: GPUComputePassEncoder,
    accumulated: boolean,
    stages: (group: number) => Stages,
    setScalars: (group: number) => void,
  ): void {
    this.#ruleSums?.encode(
      pass,
      (index) => this.steps[index]!.dispatches(accumulated),
      (index) => stepVariant(stages(index)),
      setScalars,
    );
  }

  /** Encodes the sums of a step that is reported. */
  record(pass: GPUComputePassEncoder): void {
    if (!this.#changeSums) return;
    encodeSums(pass, this.#changeSums);
    this.#record?.encode(pass);
  }
}
