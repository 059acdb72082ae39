export { chained } from "./chained.js";
export * from "./clamped.js";
export * from "./constant.js";
export * from "./cosine.js";
export * from "./cosine-restarts.js";
export * from "./cyclic.js";
export { every } from "./every.js";
export * from "./exponential.js";
export { scheduleFromJSON } from "./from-json.js";
export type { Interpolation } from "./interpolation.js";
export * from "./inverse-square-root.js";
export { multiplicative } from "./multiplicative.js";
export * from "./one-cycle.js";
export * from "./piecewise.js";
export * from "./piecewise-interpolated.js";
export * from "./plateau.js";
export * from "./polynomial.js";
export * from "./random.js";
export * from "./range-test.js";
export { scaled } from "./scaled.js";
export {
  type BuiltinSchedule,
  isBuiltinSchedule,
  type JSONValue,
  type Schedule,
  type ScheduleJSON,
  type ScheduleOption,
  type ScheduleSpec,
} from "./schedule.js";
export { sequential } from "./sequential.js";
export { shifted } from "./shifted.js";
export * from "./warmup.js";
