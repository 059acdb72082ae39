import { OptimError } from "../../errors.js";
import type { Engine } from "../engine.js";
import { checkRange, type Parameter } from "../memory/parameters.js";
import { USAGE } from "../memory/usage.js";

/**
 * Takes the loss of a step, for rules that step by it.
 * @returns what encodes that, before the step
 * @throws OptimError `invalid-argument` where it is missing, `invalid-buffer`
 */
export function takeLoss(engine: Engine, given: Parameter["param"] | undefined) {
  if (given === undefined)
    throw engine.refusal(
      "steps by the loss, too",
      "step({ loss }): a buffer, or a range of one, that holds it as f32",
      "none",
      "pass the loss where the gradients were taken",
    );
  const range = checkRange("The loss", given);
  const { buffer, offset } = range;
  const target = engine.machine.guarding!.guard.loss;
  if (range.size >= 4 && buffer.usage & USAGE.COPY_SRC)
    return (encoder: GPUCommandEncoder) => {
      encoder.copyBufferToBuffer(buffer, offset, target, 0, 4);
    };
  throw new OptimError("invalid-buffer", "The loss cannot be copied from where it lies", {
    expected: "4 bytes of a buffer with usage COPY_SRC",
    got: `${range.size} bytes, usage 0x${buffer.usage.toString(16)}`,
    fix: "pass the range that holds it, of a buffer with GPUBufferUsage.COPY_SRC",
  });
}
