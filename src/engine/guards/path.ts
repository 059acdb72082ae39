import * as clipShader from "../../shaders/engine/clip.wgsl?engine";
import * as controlShader from "../../shaders/engine/control.wgsl?engine";
import * as decideShader from "../../shaders/engine/decide.wgsl?engine";
import * as measureShader from "../../shaders/engine/measure.wgsl?engine";
import * as recordShader from "../../shaders/engine/record.wgsl?engine";
import { BufferPass, type BufferPassKind } from "../kernels/buffer-pass.js";
import { overLanes, STAGE_STRUCT, type Stages, stepVariant } from "../kernels/compose.js";
import type { Access, Variant } from "../kernels/pipelines.js";
import { type Dispatch, GRADIENT, type PlanContext, type Stream, type Strips } from "../kernels/plan.js";
import { type GroupStep, type StepExtension, stepOf, stepStreams } from "../kernels/step.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { ACCUMULATOR, type GroupMemory } from "../memory/group-memory.js";
import { gradientOf, type Tensor } from "../memory/parameters.js";
import type { MemoryContext } from "../memory/state.js";
import { packStruct } from "../memory/struct.js";
import type { SteppedCohort } from "../verbs.js";
import type { Attempts } from "./attempts.js";
import {
  CHANGES,
  composeGuardedStep,
  composeSummedStep,
  GRADIENTS,
  overStrips,
  type PartKind,
  sumsOf,
} from "./compose-sums.js";
import { OWN, TensorSums } from "./rule-sums.js";
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
  /** The f32 that the caller hands in. */
  readonly loss: GPUBuffer;
  readonly control: GPUBuffer;
  readonly history: GPUBuffer;
  readonly attempts: Attempts;
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
  readonly steps: readonly GroupStep[];
  /** The norm of gradients and the count of what is not finite. */
  readonly #gradientSums: Reduction;
  /** Norms of parameters and updates, and the count of what was lost. */
  readonly #changeSums: Reduction | undefined;
  readonly #measures: readonly {
    readonly direct: TensorPass;
    readonly accumulated: TensorPass | undefined;
  }[];
  /** What is summed up before the updates, in order. */
  readonly #before: readonly TensorSums[];
  readonly #decide: BufferPass;
  readonly #decides: () => BufferPassKind["buffers"];
  readonly #attempts: Attempts;
  /** Where the scalars go that the decision chooses. */
  #live: GPUBuffer;
  readonly #record: BufferPass | undefined;

  constructor(
    context: PlanContext & MemoryContext,
    groups: readonly GroupMemory[],
    kind: PathKind,
    memory: GuardMemory,
  ) {
    const { table, partials, stepPartials, values, loss, control, history, attempts } = memory;
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
    this.#attempts = attempts;
    // Without sums or values, spans are those of the plain step.
    const extension = { compose, streams, ...(streams.length > 0 && { strips }) };
    this.steps = groups.map(
      (group) =>
        group.unitwise?.step(context, kind.accumulation, extension) ??
        stepOf(context, group, kind.accumulation, extension),
    );
    this.#measures = groups.map((group) => {
      const measure = (gradient: typeof gradientOf) =>
        new TensorPass(
          context,
          {
            name: "measure",
            all: group.sorted,
            lead: ({ param }) => param,
            streams: [GRADIENT, whole("read-only-storage", control), whole("storage", partials)],
            strips,
          },
          "engine/measure.wgsl",
          (width) => overLanes(width) + overStrips(width) + controlled(GRADIENTS) + measureShader.code,
          {},
          gradient,
        );
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
    const cautions = groups.flatMap(({ shader }) => shader.caution?.CAUTION ?? []);
    this.#before = [OWN, ...cautions.slice(0, 1)]
      .filter(({ has }) => groups.some(has))
      .map(
        (summing) =>
          new TensorSums(
            context,
            summing,
            groups,
            (group) => [...stepStreams(group), ...streams],
            table,
            stepPartials,
            values,
            loss,
          ),
      );
    const { buffer, count } = this.#gradientSums;
    this.#decides = () => {
      const { rows, live } = attempts.room;
      return [
        ["storage", control],
        ["read-only-storage", buffer],
        ["window", rows],
        ["storage", live],
        ["storage", history],
      ];
    };
    this.#live = attempts.room.live;
    this.#decide = new BufferPass(context, {
      name: "decide",
      file: "engine/decide.wgsl",
      code: STAGE_STRUCT + controlled(GRADIENTS) + clipShader.code + decideShader.code,
      uniform: packStruct(decideShader.structs.Decision!, { sums: count }),
      buffers: this.#decides(),
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
      ...this.#before.map((sums) =>
        sums.compile(
          (index) => this.steps[index]!.plans(false).forms,
          (index) => stages[index]!.map(stepVariant),
        ),
      ),
    ]);
  }

  /** Gradients of tensors moved. */
  gradientsMoved(): void {
    for (const step of this.steps) step.gradientsMoved();
    for (const { direct } of this.#measures) direct.gradientsMoved();
  }

  /** Works out what steps over tensors of a group encode. */
  plan(group: number, tensors: readonly Tensor[]): void {
    const { direct, accumulated } = this.#measures[group]!;
    for (const pass of [this.steps[group]!, direct, accumulated]) pass?.plan(tensors);
  }

  #measure(group: number, accumulated: boolean): TensorPass {
    const both = this.#measures[group]!;
    return (accumulated && both.accumulated) || both.direct;
  }

  /** Of each dispatch over strips, which it writes. */
  strips(stepped: readonly SteppedCohort[], accumulated: boolean): readonly Dispatch[] {
    return stepped.flatMap(({ group, cohort }) => this.#measure(group, accumulated).plan(cohort.tensors));
  }

  /**
   * Encodes measure and decision; bind group 0 is the attempt's.
   * @param rows offset of the rows of scalars that the attempt may read
   */
  decide(
    pass: GPUComputePassEncoder,
    stepped: readonly SteppedCohort[],
    attempted: Attempted,
    rows: number,
  ): void {
    const { accumulated, clipNorm } = attempted;
    for (const { group, cohort } of stepped)
      this.#measure(group, accumulated).encode(pass, cohort.tensors, measureVariant(attempted));
    encodeSums(pass, this.#gradientSums, clipNorm ? FACTORS : NO_FACTORS);
    this.choose(pass, rows);
  }

  /** Encodes the decision without what it is about. @param rows as for {@link decide} */
  choose(pass: GPUComputePassEncoder, rows: number): void {
    const { live } = this.#attempts.room;
    if (live !== this.#live) this.#decide.rebind(this.#decides());
    this.#live = live;
    this.#decide.encode(pass, undefined, [rows]);
  }

  /** Encodes what comes between the decision and the step: guards by unit, and what is summed up. */
  settle(
    pass: GPUComputePassEncoder,
    stepped: readonly SteppedCohort[],
    accumulated: boolean,
    stages: (block: number) => Stages,
    setScalars: (block: number) => void,
  ): void {
    for (const { group, cohort, block } of stepped) {
      const { taking } = this.steps[group]!;
      if (!taking) continue;
      setScalars(block);
      taking.encode(pass, cohort.tensors, stages(block), accumulated);
    }
    for (const sums of this.#before)
      sums.encode(
        pass,
        stepped,
        ({ group, cohort }) => this.steps[group]!.plans(accumulated).of(cohort.tensors),
        (block) => stepVariant(stages(block)),
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
