import type { Rule } from "../../rule.js";
import { loadLane, type Stages, type StepShader } from "../kernels/compose.js";
import type { PlanContext, Plans } from "../kernels/plan.js";
import { type GroupStep, Step, type StepExtension, stepOf } from "../kernels/step.js";
import type { GroupMemory } from "../memory/group-memory.js";
import { gradientOf, type Tensor } from "../memory/parameters.js";
import type { MemoryContext } from "../memory/state.js";
import type { UnitwiseGuards } from "../options/guard-options.js";
import { kindsOf } from "../whole/compose.js";
import { WholeMemory } from "../whole/memory.js";
import { Directing } from "../whole/step.js";
import { unitwiseOf } from "./options.js";
import { unitwiseRule } from "./rule.js";

/** Names of the engine's memory for what passes have under a name: a rule may have passes of its own. */
const memoryOf = (kind: string): string => `unitwise_${kind}`;

/** In the place of the step: the gradient behind all other guards, to where passes work, and the parameter beside it. */
const taking = (shader: StepShader, kinds: readonly string[]): StepShader => {
  const own: StepShader = { ...shader, beside: kinds };
  const values = ["engine_gradient", "engine_parameter"];
  const stores = kinds.map((kind, i) => `\n  engine_${kind}[engine_i] = engine_narrow(${values[i]});`);
  return { ...own, lane: (_, guarded) => loadLane(own, false, guarded) + stores.join("") };
};

/** Decay comes behind guards, and averages behind that. */
const beforehand = ({ scaled, guards }: Stages): Stages => ({
  decay: "none",
  scaled,
  ...(guards && { guards }),
});

/** The memory of a group's guards by unit, and their passes. */
export class UnitwiseGuard {
  readonly #group: GroupMemory;
  readonly #plan: UnitwisePlan;
  readonly #memory: WholeMemory;

  constructor(context: MemoryContext, group: GroupMemory, plan: UnitwisePlan) {
    this.#group = group;
    this.#plan = plan;
    const { rule } = plan;
    const { sorted } = group;
    this.#memory = new WholeMemory(context, { rule, sorted, range: (kind) => group.range(memoryOf(kind)) });
  }

  /** The step of the group, of what the passes make of its gradients. */
  step(context: PlanContext, accumulation: boolean, extension: StepExtension): GroupStep {
    const { rule, kinds } = this.#plan;
    const group = this.#group;
    const shader = taking(rule.row.shader, kindsOf(rule.row.whole!));
    const first = new Step(
      context,
      {
        rule,
        sorted: group.sorted,
        shader,
        fromOrigin: false,
        kept: kinds,
        range: (kind) => group.range(kind),
        gradient: gradientOf,
      },
      accumulation,
      extension,
    );
    return new UnitwiseStep(
      new Directing(first, this.#memory, beforehand),
      stepOf(context, group, accumulation, extension),
    );
  }
}

/** The step of a group, and what comes before all else. */
class UnitwiseStep implements GroupStep {
  readonly taking: Directing;
  readonly #step: GroupStep;

  constructor(taking: Directing, step: GroupStep) {
    this.taking = taking;
    this.#step = step;
  }

  plan(tensors: readonly Tensor[]): void {
    this.taking.plan(tensors);
    this.#step.plan(tensors);
  }

  gradientsMoved(): void {
    this.taking.gradientsMoved();
  }

  plans(accumulated: boolean): Plans {
    return this.#step.plans(accumulated);
  }

  async compile(...[stages, summed]: Parameters<GroupStep["compile"]>): Promise<void> {
    await Promise.all([this.taking.compile(stages), this.#step.compile(stages, summed)]);
  }

  encode(...step: Parameters<GroupStep["encode"]>): void {
    this.#step.encode(...step);
  }
}

/** What guards by unit make of a group. */
export interface UnitwisePlan {
  /** Whose passes they are. */
  readonly rule: Rule;
  /** Names of memory that is laid out like the parameters, first of all where the gradients go. */
  readonly kinds: readonly string[];
  readonly guard: (context: MemoryContext, group: GroupMemory) => UnitwiseGuard;
}

/** @throws OptimError `invalid-argument` */
export function unitwisePlan(all?: UnitwiseGuards, own?: UnitwiseGuards): UnitwisePlan | undefined {
  const unitwise = unitwiseOf(all, own);
  if (!unitwise) return undefined;
  const rule = unitwiseRule(unitwise);
  const plan: UnitwisePlan = {
    rule,
    kinds: kindsOf(rule.row.whole!).map(memoryOf),
    guard: (context, group) => new UnitwiseGuard(context, group, plan),
  };
  return plan;
}
