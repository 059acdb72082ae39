export type { CheckpointFormat } from "./checkpoint/contents.js";
export type { SaveOptions } from "./checkpoint/describe.js";
export type {
  CheckpointSource,
  LoadedFrom,
  LoadedGroup,
  LoadOptions,
  LoadResult,
} from "./checkpoint/load.js";
export { createOptimizer } from "./engine/create.js";
export { type RequestDeviceOptions, requestDevice } from "./engine/device.js";
export type { ParameterGroup } from "./engine/group.js";
export type { StepReport, TelemetryOptions, TensorReport } from "./engine/guards/reports.js";
export {
  type Arena,
  type ArenaGroup,
  type ArenaOptions,
  type ArenaParameter,
  createArena,
} from "./engine/memory/arena.js";
export type { BufferRange, Parameter, PartialRange } from "./engine/memory/parameters.js";
export type { TypedBuffer } from "./engine/memory/typed-buffers.js";
export type { Optimizer } from "./engine/optimizer.js";
export type { AverageOptions, SlowWeightsOptions } from "./engine/options/average-options.js";
export type {
  AdaptiveClipOptions,
  CentralizeOptions,
  GuardOptions,
  LossScaleOptions,
  UnitwiseGuards,
} from "./engine/options/guard-options.js";
export type { Hyperparameters, NoOptions, OptionsOf } from "./engine/options/hyperparameters.js";
export type { GroupOptions, OptimizerOptions, SamOptions } from "./engine/options/optimizer-options.js";
export { type GroupPattern, partition } from "./engine/options/partition.js";
export type { OptionSchedules } from "./engine/options/schedule-options.js";
export type { JoiningOptions } from "./engine/rebuild.js";
export type { Closure, Minimized, MinimizeOptions } from "./engine/search/minimize.js";
export type { StepOptions } from "./engine/verbs.js";
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
