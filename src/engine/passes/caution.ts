// Cautious updates (Liang et al. 2024): kept where they take the gradient's way, and scaled by how many of a tensor's are.
import * as cautionShader from "../../shaders/engine/caution.wgsl?engine";
import { stripKernel } from "../guards/compose-sums.js";
import { type Summing, settleKernel } from "../guards/rule-sums.js";
import { loadLane, type StepShader, updateOf } from "../kernels/compose.js";
import type { Form } from "../memory/spans.js";

/** What cautious steps are written with. */
export const { code } = cautionShader;

/** What is left of an update. */
export const keep = (update: string): string =>
  `engine_cautioned(${update}, engine_gradient, engine_caution)`;

/** What kept updates are multiplied by, of the kept and all elements of a tensor. */
const FACTORS: Readonly<Record<string, string>> = {
  // The authors' code: over the mean of the mask, held to 1e-3.
  scaled: "1.0 / max(engine_sum.x / engine_counts[engine_run], 1e-3)",
  paper: "engine_counts[engine_run] / (engine_sum.x + 1.0)",
};

/** Counts the updates that will be kept. */
export const composeCount = (shader: StepShader, width: Form, fromOrigin: boolean): string =>
  stripKernel(
    shader,
    width,
    fromOrigin,
    `${loadLane(shader, fromOrigin, true)}
    let engine_kept = engine_agrees(${updateOf(shader)}, engine_gradient);
    engine_sum.x += engine_total(select(vec4f(), vec4f(1.0), engine_kept));`,
  );

/** Counts the updates that will be kept, and settles the factor of each tensor. */
export const CAUTION: Summing = {
  name: "caution",
  has: ({ shader }) => shader.caution !== undefined,
  shared: () => false,
  measure: ({ shader, fromOrigin }, width) => composeCount(shader, width, fromOrigin),
  settle: ({ rule }) => ({
    file: "engine/caution.wgsl",
    code: settleKernel("", `engine_tensors[engine_tensor].caution = ${FACTORS[rule.options.cautious]!};`),
    constants: {},
  }),
};
