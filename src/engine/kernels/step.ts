import { ACCUMULATOR, type GroupMemory } from "../memory/group-memory.js";
import { gradientOf, type Tensor } from "../memory/parameters.js";
import type { Form } from "../memory/spans.js";
import { composeStep, type Stages, type StepShader, stepVariant } from "./compose.js";
import { Kernel } from "./pipelines.js";
import {
  accessesOf,
  encodeLanes,
  encodeStrips,
  GRADIENT,
  type PlanContext,
  Planner,
  Plans,
  type Stream,
  type Strips,
  written,
} from "./plan.js";

/** What guards make of a step: its texts, and values by tensor and partial sums, which it binds behind its own. */
export interface StepExtension {
  /** The texts of the step, and of the step that also keeps norms of parameters and updates. */
  readonly compose: (shader: StepShader, width: Form, fromOrigin: boolean, summed: boolean) => string;
  readonly streams: readonly Stream[];
  readonly strips?: Strips;
}

/** What of a group a step needs. */
export type Stepping = Pick<
  GroupMemory,
  "rule" | "sorted" | "shader" | "fromOrigin" | "kept" | "range" | "gradient"
>;

/** What a step binds of a group, in order. */
export const stepStreams = (group: Pick<Stepping, "kept" | "range">): readonly Stream[] => [
  written(({ param }) => param),
  GRADIENT,
  ...group.kept.map((name) => written(group.range(name))),
];

/** The step of a group. */
export interface GroupStep extends Pick<Step, "plan" | "gradientsMoved" | "plans" | "compile" | "encode"> {
  /** What guards by unit do before all else, which reads the gradients in its place. */
  readonly taking?: Pick<Step, "plans" | "encode">;
}

/** The step of a group, and what its rule does to whole tensors before. */
export const stepOf = (
  context: PlanContext,
  group: GroupMemory,
  accumulation: boolean,
  extension?: StepExtension,
): GroupStep =>
  group.whole?.step(context, group, accumulation, extension) ??
  new Step(context, group, accumulation, extension);

/** The update of a group, of the gradients or of what was accumulated. */
export class Step {
  readonly #kernel: Kernel;
  /** The kernel that also keeps norms of parameters and updates. */
  readonly #summed: Kernel | undefined;
  readonly #direct: Plans;
  readonly #accumulated: Plans | undefined;

  constructor(context: PlanContext, group: Stepping, accumulation: boolean, extension?: StepExtension) {
    const { row, options } = group.rule;
    const streams = [...stepStreams(group), ...(extension?.streams ?? [])];
    const planner = new Planner(context, {
      name: "step",
      all: group.sorted,
      lead: ({ param }) => param,
      streams,
      ...(extension?.strips && { strips: extension.strips }),
    });
    const { fromOrigin, shader, gradient } = group;
    const kernel = (summed: boolean) =>
      new Kernel(context.device, {
        label: context.label,
        file: shader.file,
        compose: (width) =>
          extension?.compose(shader, width, fromOrigin, summed) ?? composeStep(shader, width, fromOrigin),
        storages: accessesOf(streams),
        constants: row.constants?.(options) ?? {},
      });
    this.#kernel = kernel(false);
    this.#summed = extension && kernel(true);
    this.#direct = new Plans(planner, gradient);
    // What is read in the gradients' place is made of either.
    this.#accumulated =
      accumulation && gradient === gradientOf ? new Plans(planner, group.range(ACCUMULATOR)) : undefined;
  }

  /** Works out what steps over these tensors will encode. */
  plan(tensors: readonly Tensor[]): void {
    this.#direct.of(tensors);
    this.#accumulated?.of(tensors);
  }

  /** Gradients of tensors moved. */
  gradientsMoved(): void {
    this.#direct.forget();
  }

  plans(accumulated: boolean): Plans {
    return (accumulated && this.#accumulated) || this.#direct;
  }

  /**
   * @param summed whether partial sums are kept: in no step, in all, or in some
   * @throws OptimError `invalid-shader`
   */
  async compile(
    stages: readonly Stages[],
    summed: "never" | "always" | "sometimes" = "never",
  ): Promise<void> {
    const widths = new Set([...this.#direct.forms, ...(this.#accumulated?.forms ?? [])]);
    const variants = new Set(stages.map(stepVariant));
    await Promise.all([
      summed === "always" ? undefined : this.#kernel.compile(widths, variants),
      summed === "never" ? undefined : this.#summed?.compile(widths, variants),
    ]);
  }

  encode(
    pass: GPUComputePassEncoder,
    tensors: readonly Tensor[],
    stages: Stages,
    accumulated: boolean,
    summed = false,
  ): void {
    const dispatches = this.plans(accumulated).of(tensors);
    if (summed && this.#summed) encodeStrips(pass, this.#summed, dispatches, stepVariant(stages));
    else encodeLanes(pass, this.#kernel, dispatches, stepVariant(stages));
  }
}
