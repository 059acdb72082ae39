import type { GroupMemory } from "../memory/group-memory.js";
import { ACCUMULATOR } from "../memory/group-memory.js";
import { gradientOf } from "../memory/parameters.js";
import type { Width } from "../memory/spans.js";
import { composeStep, type Stages, type StepShader, stepVariant } from "./compose.js";
import { Kernel } from "./pipelines.js";
import {
  accessesOf,
  type Dispatch,
  encodeLanes,
  encodeStrips,
  GRADIENT,
  type PlanContext,
  Planner,
  type Stream,
  type Strips,
  widthsOf,
  written,
} from "./plan.js";

/** What guards make of a step: its texts, and values by tensor and partial sums, which it binds behind its own. */
export interface StepExtension {
  /** The texts of the step, and of the step that also keeps norms of parameters and updates. */
  readonly compose: (shader: StepShader, width: Width, fromOrigin: boolean, summed: boolean) => string;
  readonly streams: readonly Stream[];
  readonly strips?: Strips;
}

/** What a step binds of a group, in order. */
export const stepStreams = (group: GroupMemory): readonly Stream[] => [
  written(({ param }) => param),
  GRADIENT,
  ...group.kept.map((name) => written(group.range(name))),
];

/** The update of a group, of the gradients or of what was accumulated. */
export class Step {
  readonly #group: GroupMemory;
  readonly #planner: Planner;
  readonly #kernel: Kernel;
  /** The kernel that also keeps norms of parameters and updates. */
  readonly #summed: Kernel | undefined;
  readonly #accumulated: readonly Dispatch[];
  #direct: readonly Dispatch[] = [];

  constructor(context: PlanContext, group: GroupMemory, accumulation: boolean, extension?: StepExtension) {
    const { row, options } = group.rule;
    const streams = [...stepStreams(group), ...(extension?.streams ?? [])];
    this.#group = group;
    this.#planner = new Planner(context, {
      name: "step",
      lead: ({ param }) => param,
      streams,
      ...(extension?.strips && { strips: extension.strips }),
    });
    const { fromOrigin, shader } = group;
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
    this.#accumulated = accumulation ? this.#planner.plan(group.active, group.range(ACCUMULATOR)) : [];
    this.gradientsMoved();
  }

  /** Looks the plan up again after the gradients of a tensor moved. */
  gradientsMoved(): void {
    this.#direct = this.#planner.plan(this.#group.active, gradientOf);
  }

  dispatches(accumulated: boolean): readonly Dispatch[] {
    return accumulated ? this.#accumulated : this.#direct;
  }

  /**
   * @param summed whether partial sums are kept: in no step, in all, or in some
   * @throws OptimError `invalid-shader`
   */
  async compile(
    stages: readonly Stages[],
    summed: "never" | "always" | "sometimes" = "never",
  ): Promise<void> {
    const widths = widthsOf([...this.#direct, ...this.#accumulated]);
    const variants = new Set(stages.map(stepVariant));
    await Promise.all([
      summed === "always" ? undefined : this.#kernel.compile(widths, variants),
      summed === "never" ? undefined : this.#summed?.compile(widths, variants),
    ]);
  }

  encode(pass: GPUComputePassEncoder, stages: Stages, accumulated: boolean, summed = false): void {
    const dispatches = this.dispatches(accumulated);
    if (summed && this.#summed) encodeStrips(pass, this.#summed, dispatches, stepVariant(stages));
    else encodeLanes(pass, this.#kernel, dispatches, stepVariant(stages));
  }
}
