import { stateName } from "../checkpoint/contents.js";
import type { SaveOptions } from "../checkpoint/describe.js";
import { compareCodePoints } from "../checkpoint/order.js";
import type { Captured } from "../checkpoint/save.js";
import { saveSchedules } from "../checkpoint/saved-schedules.js";
import { OptimError } from "../errors.js";
import type { Engine } from "./engine.js";
import type { Machine } from "./machine.js";
import { type GroupMemory, isCompensation } from "./memory/group-memory.js";
import type { BufferRange, Tensor } from "./memory/parameters.js";
import { ReadBack } from "./memory/read-back.js";
import { USAGE } from "./memory/usage.js";

/**
 * Takes down an optimizer as it is now: what comes later does not change the file. That is all that happens at once; the
 * file itself is made by code that is loaded then.
 * @throws OptimError `invalid-buffer`
 */
export function capture(engine: Engine, options: SaveOptions): Captured {
  const { device, label, groups } = engine;
  const { memories, guarding } = engine.machine;
  const parameters = options?.parameters !== false;
  const pytorch = options?.format === "pytorch";
  if (parameters) requireUsage(memories, "be saved", USAGE.COPY_SRC, "COPY_SRC");
  // A file counts the steps of a group: copies of a tensor that has joined since are taken for begun.
  const { beginning } = engine.machine;
  if (beginning) engine.submit("copies", (encoder) => beginning.encode(encoder, engine, false));
  const taken = groups.map((group, index) => ({
    ...group.snapshot(),
    ...contentOf(memories[index]!, pytorch),
  }));
  const ranges = [...rangesOf(engine.machine, parameters, pytorch)].sort(([a], [b]) =>
    compareCodePoints(a, b),
  );
  const data = ranges.map(([, range]) => range);
  const control = guarding?.guard.saved;
  return {
    groups: taken,
    schedules: saveSchedules(
      taken.flatMap(({ schedule, optionSchedules }) => [schedule, ...Object.values(optionSchedules)]),
    ),
    control,
    // What the GPU decided comes first: it says which step this is.
    data: new ReadBack(device, label, control ? [[control.range], data] : [data]),
  };
}

/** A file as a stream: a staging buffer at a time, as it is asked for. */
export function streamFile(
  captured: Captured,
  options: SaveOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const release = () => captured.data.release();
  let parts: AsyncGenerator<Uint8Array, void> | undefined;
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          parts ??= (await import("../checkpoint/save.js")).fileParts(captured, options);
          const { value, done } = await parts.next();
          if (done) controller.close();
          // Read-backs and headers have buffers of their own.
          else controller.enqueue(value as Uint8Array<ArrayBuffer>);
        } catch (error) {
          release();
          throw error;
        }
      },
      cancel: release,
    },
    { highWaterMark: 0 },
  );
}

/** What a checkpoint keeps of a group. PyTorch compensates nothing. */
export const contentOf = ({ tensors, states }: GroupMemory, pytorch = false) => ({
  tensors,
  states: pytorch ? states.filter((state) => !isCompensation(state)) : states,
});

/** Where each tensor of a file lies on the GPU; those without elements are left out. */
export function rangesOf(
  { memories, guarding }: Machine,
  parameters = true,
  pytorch = false,
): ReadonlyMap<string, BufferRange> {
  const ranges = new Map<string, BufferRange>();
  for (const group of memories) {
    const { states } = contentOf(group, pytorch);
    for (const tensor of group.tensors) {
      if (tensor.size === 0) continue;
      const { buffer, offset } = tensor.param;
      if (parameters) ranges.set(tensor.name, { buffer, offset, size: tensor.size });
      for (const state of states.filter((name) => group.has(tensor, name)))
        ranges.set(stateName(tensor.name, state), group.state(tensor, state, guarding?.guard));
    }
  }
  return ranges;
}

/** @throws OptimError `invalid-buffer` for parameters that cannot be copied from, or to */
export function requireUsage(
  memories: readonly GroupMemory[],
  what: string,
  usage: number,
  name: string,
): void {
  const lacks = ({ size, param }: Tensor) => size > 0 && !(param.buffer.usage & usage);
  const tensor = memories.flatMap(({ tensors }) => tensors).find(lacks);
  if (tensor)
    throw new OptimError("invalid-buffer", `Parameter of '${tensor.name}' cannot ${what}`, {
      expected: `usage ${name}`,
      got: `usage 0x${tensor.param.buffer.usage.toString(16)}`,
      fix: `create the buffer with GPUBufferUsage.${name}, or pass { parameters: false }`,
    });
}
