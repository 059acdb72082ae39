export * from "./clamped.js";
export * from "./constant.js";
export * from "./cosine.js";
export * from "./exponential.js";
export { scheduleFromJSON } from "./from-json.js";
export * from "./piecewise.js";
export * from "./plateau.js";
export * from "./polynomial.js";
export * from "./random.js";
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
export * from "./warmup.js";
