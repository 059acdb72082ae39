import { OptimError } from "../../errors.js";
import type { Engine } from "../engine.js";
import { steppedCohorts } from "../verbs.js";

/** SAM's ascent. */
export function encodeAscent(engine: Engine, encoder: GPUCommandEncoder): void {
  engine.requireOwnParameters();
  const { checked, machine, label } = engine;
  const radius = engine.part(checked.sam, "makes no ascent", "the option sam", "sam: {}");
  const { guard } = machine.guarding!;
  if (engine.lookedAhead || engine.samples)
    throw new OptimError("lookahead-order", `An ascent comes in the middle of a step of '${label}'`, {
      expected: "one ascent before each step, and no accumulation before it",
      got: engine.lookedAhead ? "a second ascent" : "an accumulation",
      fix: "call step(), or restore() to give the step up",
    });
  const slot = machine.slots.reserve();
  const stepped = steppedCohorts(engine);
  engine.beginCopies(encoder);
  guard.begin(encoder, stepped, false);
  const pass = encoder.beginComputePass({ label: `${label} ascent` });
  guard.ascend(pass, stepped, slot, radius);
  pass.end();
  engine.lookedAhead = true;
}
