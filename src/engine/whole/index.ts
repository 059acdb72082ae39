// What rules with passes over whole tensors need; loaded where there is one.
export { checkWhole } from "./check.js";
export { kindsOf } from "./compose.js";
export { WholeMemory } from "./memory.js";
export { encodeOutput, type OutputPass, outputPass, requireOutputs } from "./outputs.js";
