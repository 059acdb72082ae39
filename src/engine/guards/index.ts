import type { PlanContext } from "../kernels/plan.js";
import type { GroupMemory } from "../memory/group-memory.js";
import type { MemoryContext } from "../memory/state.js";
import { GpuClock } from "./gpu-clock.js";
import { Guard, type GuardPlan } from "./guard.js";
import { ReadBacks } from "./read-backs.js";

export {
  checkGuarding,
  checkGuardLimits,
  extraBuffers,
  refuseLookahead,
} from "../options/guarding-options.js";
export { encodeAscent } from "./ascent.js";
export { Reports } from "./reports.js";

/** Makes a guard over groups, and what its records are read back through. @param before as for {@link Guard} */
export function guard(
  context: PlanContext & MemoryContext,
  groups: readonly GroupMemory[],
  plan: GuardPlan,
  before?: Guard,
) {
  const made = new Guard(context, groups, plan, before);
  const clock = plan.telemetry && GpuClock.of(context.device, context.label, context.own);
  const readBacks = new ReadBacks(context, made, plan.telemetry, clock);
  return { guard: made, readBacks, timestampWrites: clock?.timestampWrites };
}
