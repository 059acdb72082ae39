// Adaptive clipping and centralization; loaded where guards ask for one.
export { checkUnitwise } from "./check.js";
export { unitwisePlan } from "./guard.js";
