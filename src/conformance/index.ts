export type { StepFigures } from "./judge.js";
export { toJUnit } from "./junit.js";
export {
  type AdapterDescription,
  type CaseKind,
  type ConformanceCase,
  type ConformanceReport,
  type ConformanceSummary,
  type ErrorDistribution,
  groupOf,
  summarize,
} from "./report.js";
export { type ConformanceOptions, type ConformanceProgress, type JudgedRule, runConformance } from "./run.js";
export {
  judgeSubject,
  type Subject,
  type SubjectCase,
  type SubjectOptimizer,
  type SubjectReport,
  type SubjectRun,
} from "./subject.js";
export { readTrajectories, type Tensors, type Trajectory } from "./trajectories.js";
export type { VectorFile } from "./vector-cases.js";
