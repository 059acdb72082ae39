import type { Rule } from "../../rule.js";
import type { Width } from "../memory/spans.js";
import {
  BARE,
  type BlendKind,
  composeAccumulate,
  composeBlend,
  composeCurvature,
  composeLookahead,
  composeStep,
} from "./compose.js";
import { pipelineOf } from "./pipelines.js";
import { storageTypes } from "./plan.js";

/** A kernel in both widths. */
export type Kernel = Readonly<Record<Width, GPUComputePipeline>>;

/** The step, and the one for gradients that are taken as they are where nothing decays. */
export interface StepKernels {
  readonly staged: Kernel;
  readonly bare: Kernel;
}

/** The kernels of a group. */
export interface Kernels {
  /** None where a monitor steps. */
  readonly steps: StepKernels | undefined;
  readonly lookahead: Kernel | undefined;
  readonly accumulate: Kernel | undefined;
  readonly curvature: Kernel | undefined;
  /** Those of the copies of the parameters that the group keeps. */
  readonly blends: Readonly<Partial<Record<BlendKind, Kernel>>>;
}

/** What a group does beside its rule. */
export interface Extras {
  readonly accumulation: boolean;
  /** Whether slow weights are kept. */
  readonly slow: boolean;
  readonly average: boolean;
  /** Whether gradients are taken after an ascent. */
  readonly sam: boolean;
  /** Whether a monitor steps. */
  readonly monitored: boolean;
}

/** Whether a step starts from parameters that were kept while the gradient was taken elsewhere. */
export const stepsFromOrigin = ({ row }: Rule, { sam }: Pick<Extras, "sam">): boolean =>
  row.shader.lookahead || sam;

/** Compiles all that a rule can need, in both widths, so that nothing compiles later. */
export async function compileKernels(
  device: GPUDevice,
  label: string,
  rule: Rule,
  extras: Extras,
): Promise<Kernels> {
  const { row, options } = rule;
  const { shader } = row;
  const { accumulation, slow, average, monitored } = extras;
  const fromOrigin = stepsFromOrigin(rule, extras);
  const constants = row.constants?.(options) ?? {};
  const others = shader.states.length + (fromOrigin ? 1 : 0);
  const kernel = async (
    file: string,
    compose: (width: Width) => string,
    storages: readonly GPUBufferBindingType[],
    constants: Readonly<Record<string, number>>,
  ): Promise<Kernel> => {
    const compile = (width: Width) =>
      pipelineOf(device, { label, file, code: compose(width), constants, storages });
    const [four, one] = await Promise.all([compile(4), compile(1)]);
    return { 4: four, 1: one };
  };
  const stepKernel = (bare: number) =>
    kernel(shader.file, (width) => composeStep(shader, width, fromOrigin), storageTypes(true, others), {
      ...constants,
      [BARE]: bare,
    });
  const evaluated = average || row.evaluate !== undefined;
  const blends: readonly BlendKind[] = [
    ...(slow || evaluated || row.startsAtParameter !== undefined ? (["keep"] as const) : []),
    ...(slow ? (["slow"] as const) : []),
    ...(average ? (["average"] as const) : []),
    ...(evaluated ? (["swap"] as const) : []),
  ];
  const blend = (kind: BlendKind) =>
    kernel(`engine/${kind}`, (width) => composeBlend(kind, width), storageTypes(false, 1), {});
  const [steps, lookahead, accumulate, curvature, blended] = await Promise.all([
    monitored
      ? undefined
      : Promise.all([stepKernel(0), stepKernel(1)]).then(([staged, bare]) => ({ staged, bare })),
    shader.lookahead
      ? kernel(
          shader.file,
          (width) => composeLookahead(shader, width),
          storageTypes(false, others),
          constants,
        )
      : undefined,
    accumulation ? kernel("engine/accumulate.wgsl", composeAccumulate, storageTypes(true, 0), {}) : undefined,
    shader.curvature
      ? kernel(
          shader.file,
          (width) => composeCurvature(shader, width, fromOrigin),
          storageTypes(true, others),
          constants,
        )
      : undefined,
    Promise.all(blends.map(async (kind) => [kind, await blend(kind)] as const)),
  ]);
  return { steps, lookahead, accumulate, curvature, blends: Object.fromEntries(blended) };
}
