import type { Rule } from "../../rule.js";
import { loadLane, type Stages, type StepShader } from "../kernels/compose.js";
import type { PlanContext } from "../kernels/plan.js";
import { type GroupStep, Step, type StepExtension } from "../kernels/step.js";
import type { GroupMemory } from "../memory/group-memory.js";
import { gradientOf } from "../memory/parameters.js";
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

  /** What comes before all else of a guarded step, and makes of the gradients what that reads. @param extension of the step */
  taking(context: PlanContext, accumulation: boolean, extension: StepExtension): GroupStep {
    const { rule, kinds } = this.#plan;
    const group = this.#group;
    const shader = taking(rule.row.shader, kindsOf(rule.row.whole!));
    const step = new Step(
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
    return new Directing(step, this.#memory, beforehand);
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
