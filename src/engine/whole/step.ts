import type { Stages } from "../kernels/compose.js";
import type { PlanContext, Plans } from "../kernels/plan.js";
import { type GroupStep, Step, type StepExtension, type Stepping } from "../kernels/step.js";
import type { GroupMemory } from "../memory/group-memory.js";
import type { Tensor } from "../memory/parameters.js";
import { directed, directing, kindsOf } from "./compose.js";
import type { WholeMemory } from "./memory.js";

/** What stages before the rule did, the step along a direction does not do again. */
const afterwards = (stages: Stages): Stages => ({
  ...stages,
  decay: stages.decay === "coupled" ? "none" : stages.decay,
  scaled: false,
});

/** What comes before the step along a direction: gradients as passes see them, and the passes. */
export class Directing implements GroupStep {
  readonly #step: Step;
  readonly #memory: WholeMemory;
  readonly #stagesOf: (stages: Stages) => Stages;

  /** @param stagesOf what of a step's stages comes before the passes */
  constructor(step: Step, memory: WholeMemory, stagesOf = (stages: Stages) => stages) {
    this.#step = step;
    this.#memory = memory;
    this.#stagesOf = stagesOf;
  }

  plan(tensors: readonly Tensor[]): void {
    this.#step.plan(tensors);
    this.#memory.plan(tensors);
  }

  gradientsMoved(): void {
    this.#step.gradientsMoved();
  }

  plans(accumulated: boolean): Plans {
    return this.#step.plans(accumulated);
  }

  async compile(stages: readonly Stages[]): Promise<void> {
    await Promise.all([this.#step.compile(stages.map(this.#stagesOf)), this.#memory.compile()]);
  }

  encode(
    pass: GPUComputePassEncoder,
    tensors: readonly Tensor[],
    stages: Stages,
    accumulated: boolean,
  ): void {
    this.#step.encode(pass, tensors, this.#stagesOf(stages), accumulated);
    this.#memory.encode(pass, tensors);
  }
}

/** The step of a group whose rule makes directions of whole tensors' gradients. */
export class WholeStep implements GroupStep {
  readonly #directing: Directing;
  readonly #directed: Step;

  constructor(
    context: PlanContext,
    memory: WholeMemory,
    group: GroupMemory,
    accumulation: boolean,
    extension?: StepExtension,
  ) {
    const { rule, sorted, fromOrigin, shader } = group;
    const range = (name: string) => group.range(name);
    const kinds = kindsOf(rule.row.whole!);
    const first = directing(shader, kinds);
    const kept = (own: typeof first) =>
      group.kept.filter((name) => !shader.states.includes(name) || own.states.includes(name));
    const like = (own: typeof first, names: readonly string[], gradient: Stepping["gradient"]): Stepping => ({
      rule,
      sorted,
      fromOrigin,
      shader: own,
      kept: names,
      range,
      gradient,
    });
    const compensations = shader.compensation ? 1 : 0;
    const firstKept = [...kept(first).slice(0, kept(first).length - compensations), ...kinds];
    this.#directing = new Directing(
      new Step(context, like(first, firstKept, group.gradient), accumulation, extension),
      memory,
    );
    const second = directed(shader);
    this.#directed = new Step(context, like(second, kept(second), range(kinds[0]!)), false, extension);
  }

  plan(tensors: readonly Tensor[]): void {
    this.#directing.plan(tensors);
    this.#directed.plan(tensors);
  }

  gradientsMoved(): void {
    this.#directing.gradientsMoved();
  }

  plans(accumulated: boolean): Plans {
    return this.#directing.plans(accumulated);
  }

  async compile(stages: readonly Stages[], summed?: "never" | "always" | "sometimes"): Promise<void> {
    await Promise.all([
      this.#directing.compile(stages),
      this.#directed.compile(stages.map(afterwards), summed),
    ]);
  }

  encode(
    pass: GPUComputePassEncoder,
    tensors: readonly Tensor[],
    stages: Stages,
    accumulated: boolean,
    summed?: boolean,
  ): void {
    this.#directing.encode(pass, tensors, stages, accumulated);
    this.#directed.encode(pass, tensors, afterwards(stages), false, summed);
  }
}
