import { briefly, OptimError } from "../../errors.js";
import * as accumulateShader from "../../shaders/engine/accumulate.wgsl?engine";
import type { Engine } from "../engine.js";
import { overLanes } from "../kernels/compose.js";
import { GRADIENT, type PlanContext, written } from "../kernels/plan.js";
import { TensorPass } from "../kernels/tensor-pass.js";
import { ACCUMULATOR, compensated, type GroupMemory } from "../memory/group-memory.js";
import { gradientOf } from "../memory/parameters.js";
import { encodePasses } from "../verbs.js";
import { code as compensation } from "./compensation.js";

/** Names of what holds their sum. */
export const accumulator = compensated(ACCUMULATOR);

/** Adds the gradients of a group to its accumulators. */
export const accumulationPass = (context: PlanContext, group: GroupMemory): TensorPass =>
  new TensorPass(
    context,
    {
      name: "accumulate",
      all: group.sorted,
      lead: group.range(ACCUMULATOR),
      streams: [...accumulator.map((name) => written(group.range(name))), GRADIENT],
    },
    "engine/accumulate.wgsl",
    (width) => overLanes(width) + compensation + accumulateShader.code,
    {},
    gradientOf,
  );

/** The gradients of a micro-batch. */
export function encodeAccumulate(engine: Engine, encoder: GPUCommandEncoder, samples: number): void {
  engine.requireOwnParameters();
  const { accumulations } = engine.machine;
  if (!(typeof samples === "number" && samples > 0 && Number.isFinite(Math.fround(samples))))
    throw new OptimError("invalid-argument", "The size of a micro-batch is no positive number", {
      expected: "a number of samples above 0",
      got: briefly(samples),
      fix: "pass { samples }",
    });
  const { first, total } = engine.samples ?? { first: samples, total: 0 };
  encodePasses(engine, encoder, "accumulate", accumulations, (staged) => {
    staged[0] = samples / first;
    staged[1] = total === 0 ? 1 : 0;
  });
  engine.samples = { first, total: total + samples };
}
