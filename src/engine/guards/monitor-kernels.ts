import type { Rule } from "../../rule.js";
import control from "../../shaders/engine/control.wgsl?raw";
import settle from "../../shaders/engine/settle.wgsl?raw";
import { type Extras, type Kernel, stepsFromOrigin } from "../kernels/compile.js";
import { pipelineOf } from "../kernels/pipelines.js";
import type { Width } from "../memory/spans.js";
import { composeAscent, composeMeasure, composeMonitoredStep, TELEMETRY } from "./compose-monitored.js";
import { composeRuleMeasure, composeRuleSettle } from "./compose-sums.js";

/** What a rule with sums runs before its step. */
export interface SumKernels {
  readonly measure: Kernel;
  readonly settle: GPUComputePipeline;
}

/** The kernels that all groups share, and the step of each. */
export interface MonitorKernels {
  readonly measure: Kernel;
  readonly settle: GPUComputePipeline;
  readonly decide: GPUComputePipeline;
  readonly steps: readonly Kernel[];
  /** Of each group, where its rule has sums. */
  readonly sums: readonly (SumKernels | undefined)[];
  readonly ascent: Kernel | undefined;
}

/** Types of the bindings after the uniform, kernel by kernel. */
export const MEASURE: readonly GPUBufferBindingType[] = [
  "read-only-storage",
  "read-only-storage",
  "read-only-storage",
  "storage",
];
export const ASCEND: readonly GPUBufferBindingType[] = [
  "storage",
  "read-only-storage",
  "storage",
  "read-only-storage",
];
export const SETTLE: readonly GPUBufferBindingType[] = ["read-only-storage", "storage"];
export const DECIDE: readonly GPUBufferBindingType[] = [
  "storage",
  "storage",
  "read-only-storage",
  "storage",
  "storage",
];
export const stepStorages = (others: number): readonly GPUBufferBindingType[] => [
  "storage",
  "read-only-storage",
  ...Array.from({ length: others }, () => "storage" as const),
  "read-only-storage",
  "storage",
];

/** Compiles the kernels of monitored steps. */
export async function compileMonitor(
  device: GPUDevice,
  label: string,
  rules: readonly Rule[],
  extras: Extras,
  telemetry: boolean,
): Promise<MonitorKernels> {
  const compile = (file: string, code: string, storages: readonly GPUBufferBindingType[], constants = {}) =>
    pipelineOf(device, { label, file, code, constants, storages });
  const both = async (make: (width: Width) => Promise<GPUComputePipeline>): Promise<Kernel> => {
    const [four, one] = await Promise.all([make(4), make(1)]);
    return { 4: four, 1: one };
  };
  const storagesOf = (rule: Rule) =>
    stepStorages(rule.row.shader.states.length + (stepsFromOrigin(rule, extras) ? 1 : 0));
  const sumKernels = async (rule: Rule): Promise<SumKernels | undefined> => {
    const { shader } = rule.row;
    if (shader.sums.length === 0) return undefined;
    const constants = rule.row.constants?.(rule.options) ?? {};
    const fromOrigin = stepsFromOrigin(rule, extras);
    const [measure, settle] = await Promise.all([
      both((width) =>
        compile(shader.file, composeRuleMeasure(shader, width, fromOrigin), storagesOf(rule), constants),
      ),
      compile(shader.file, composeRuleSettle(rule), SETTLE, constants),
    ]);
    return { measure, settle };
  };
  const [sums, measure, settled, decide, ascent, ...steps] = await Promise.all([
    Promise.all(rules.map(sumKernels)),
    both((width) => compile("engine/measure", composeMeasure(width), MEASURE)),
    compile("engine/settle.wgsl", settle, SETTLE),
    compile("engine/control.wgsl", control, DECIDE),
    extras.sam ? both((width) => compile("engine/ascent", composeAscent(width), ASCEND)) : undefined,
    ...rules.map((rule) => {
      const { row, options } = rule;
      const fromOrigin = stepsFromOrigin(rule, extras);
      return both((width) =>
        compile(row.shader.file, composeMonitoredStep(row.shader, width, fromOrigin), storagesOf(rule), {
          ...row.constants?.(options),
          [TELEMETRY]: telemetry ? 1 : 0,
        }),
      );
    }),
  ]);
  return { measure, settle: settled, decide, steps, sums, ascent };
}
