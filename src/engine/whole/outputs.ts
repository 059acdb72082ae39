import { OptimError } from "../../errors.js";
import type { Engine } from "../engine.js";
import { laneEntry, overLanes, storage } from "../kernels/compose.js";
import { GRADIENT, type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import type { GroupMemory } from "../memory/group-memory.js";
import { gradientOf, type Tensor } from "../memory/parameters.js";
import type { Form } from "../memory/spans.js";
import { encodePasses } from "../verbs.js";
import { kindsOf } from "./compose.js";
import type { WholeMemory } from "./memory.js";

/** The gradient of an output as it is, to where passes work. */
const composeTaking = (width: Form): string =>
  `${overLanes(width)}${storage(1, "read_write", "directions", "engine_Bits")}${storage(2, "read", "gradients", "engine_Bits")}${laneEntry(`
  engine_directions[engine_i] = engine_gradients[engine_chunk.gradient_first + engine_lane];`)}`;

/** What a group does with the gradients of outputs. */
export class OutputPass {
  /** How many are handed over after a step. */
  readonly count: number;
  readonly #memory: WholeMemory;
  readonly #taking: TensorPass;

  constructor(context: PlanContext, group: GroupMemory, memory: WholeMemory, count: number) {
    this.count = count;
    this.#memory = memory;
    const directions = group.range(kindsOf(group.rule.row.whole!)[0]!);
    this.#taking = new TensorPass(
      context,
      {
        name: "output gradient",
        all: group.sorted,
        lead: directions,
        streams: [written(directions), GRADIENT],
      },
      "engine/output gradient",
      composeTaking,
      {},
      gradientOf,
    );
  }

  plan(tensors: readonly Tensor[]): void {
    this.#taking.plan(tensors);
  }

  gradientsMoved(): void {
    this.#taking.gradientsMoved();
  }

  async compile(): Promise<void> {
    await this.#taking.compile();
  }

  encode(pass: GPUComputePassEncoder, tensors: readonly Tensor[], output: number): void {
    if (output >= this.count) return;
    this.#taking.encode(pass, tensors);
    this.#memory.encodeOutput(pass, tensors, output);
  }
}

/** Of a group whose rule takes any. */
export function outputPass(context: PlanContext, group: GroupMemory): OutputPass | undefined {
  const { row, options } = group.rule;
  const count = row.whole?.outputs?.(options) ?? 0;
  return group.whole && count > 0 ? new OutputPass(context, group, group.whole, count) : undefined;
}

const wanted = ({ machine }: Engine): number =>
  Math.max(0, ...machine.outputs.map((pass) => pass?.count ?? 0));

const wrong = (engine: Engine, expected: string, got: string, fix: string) =>
  new OptimError("invalid-argument", `'${engine.label}' was handed another number of outputs' gradients`, {
    expected,
    got,
    fix,
  });

/** @throws OptimError `invalid-argument` where some were handed over and others not */
export function requireOutputs(engine: Engine): void {
  const { outputs } = engine;
  const all = wanted(engine);
  if (outputs > 0 && outputs < all)
    throw wrong(
      engine,
      `${all} since the last step, or none`,
      `${outputs}`,
      "call outputGradient() for the others",
    );
}

/** The gradient of one output. */
export function encodeOutput(engine: Engine, encoder: GPUCommandEncoder): () => void {
  engine.requireOwnParameters();
  const { outputs } = engine;
  const all = wanted(engine);
  if (all === 0)
    throw engine.refusal("takes no gradients of outputs", "a rule with the option outputs", "none");
  if (outputs >= all) throw wrong(engine, `${all} a step`, "one more", "call step() first");
  const passes = engine.machine.outputs.map(
    (pass) =>
      pass && {
        encode: (encoder: GPUComputePassEncoder, tensors: readonly Tensor[]) => {
          pass.encode(encoder, tensors, outputs);
        },
      },
  );
  encodePasses(engine, encoder, "output gradient", passes);
  engine.outputs = outputs + 1;
  return () => {};
}
