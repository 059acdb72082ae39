export type { SaveOptions } from "./checkpoint/describe.js";
export type { CheckpointFormat } from "./checkpoint/group.js";
export type { CheckpointSource, LoadOptions } from "./checkpoint/load.js";
export {
  type Arena,
  type ArenaGroup,
  type ArenaOptions,
  type ArenaParameter,
  createArena,
} from "./engine/arena.js";
export type { AverageOptions, SlowWeightsOptions } from "./engine/blends.js";
export { createOptimizer } from "./engine/create.js";
export { type RequestDeviceOptions, requestDevice } from "./engine/device.js";
export type { OptionSchedules, ParameterGroup } from "./engine/group.js";
export type { GuardOptions, LossScaleOptions } from "./engine/guards.js";
export type { Optimizer } from "./engine/optimizer.js";
export type { GroupOptions, OptimizerOptions, SamOptions } from "./engine/options.js";
export type { BufferRange, Parameter } from "./engine/parameters.js";
export { type GroupPattern, partition } from "./engine/partition.js";
export type { StepReport, TelemetryOptions, TensorReport } from "./engine/reports.js";
export { OptimError, type OptimErrorCode, type OptimErrorDetails } from "./errors.js";
export * from "./frameworks/index.js";
export * from "./frameworks/schedules/index.js";
export * from "./kernels.js";
export type {
  OptionSpecs,
  OptionValues,
  Rule,
  RuleFactory,
  RuleOptions,
  RuleRow,
  RuleShader,
} from "./rule.js";
export * from "./schedules/index.js";
