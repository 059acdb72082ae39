// What the verbs of an optimizer encode.
import type { Engine } from "./engine.js";
import type { PendingStep } from "./group.js";
import type { TensorPass } from "./kernels/tensor-pass.js";
import { GROUP_BYTES } from "./memory/slots.js";

/** One step over all groups. */
export function encodeStep(engine: Engine, encoder: GPUCommandEncoder): void {
  engine.requireEncoder(encoder);
  engine.requireOwnParameters();
  engine.requireLookahead();
  const { guarding, slots, steps, copies } = engine.machine;
  slots.requireFree();
  const { groups, label, samples } = engine;
  const accumulated = samples !== undefined;
  const scale = samples ? samples.first / samples.total : 1;
  const guard = guarding?.guard;
  const prepared = guard?.prepare(groups, scale);
  const pending: readonly PendingStep[] =
    prepared?.pending ?? groups.map((group, index) => group.prepare(slots.staged[index]!, scale));
  guard?.begin(encoder);
  const pass = encoder.beginComputePass({
    label: `${label} step`,
    ...(guarding?.timestampWrites && { timestampWrites: guarding.timestampWrites }),
  });
  beginCopies(engine, pass);
  let uniforms = slots.bindGroup;
  let offset = 0;
  if (guard && prepared) {
    guard.decide(pass, slots.reserve(guard.attempts.number + 1), prepared, accumulated);
    uniforms = guard.live;
  } else offset = slots.take();
  pending.forEach((next, index) => {
    const at = offset + index * GROUP_BYTES;
    pass.setBindGroup(0, uniforms, [at, at]);
    if (guard) guard.step(pass, index, next, accumulated);
    else steps![index]!.encode(pass, next.stages, accumulated);
    copies[index]?.blend(pass, uniforms, at, next);
  });
  guard?.record(pass);
  pass.end();
  groups.forEach((group, index) => {
    group.commit(pending[index]!);
  });
  engine.lookedAhead = false;
  engine.samples = undefined;
}

/** The way back from a look-ahead or an ascent. */
export function encodeRestore(engine: Engine, encoder: GPUCommandEncoder): void {
  engine.samples = undefined;
  if (!engine.lookedAhead) return;
  for (const memory of engine.machine.memories) memory.restore(encoder);
  engine.lookedAhead = false;
}

/** A slot with the scalars of the next step. */
export function takeScalars({ groups, machine: { slots } }: Engine): number {
  slots.requireFree();
  groups.forEach((group, index) => {
    group.prepare(slots.staged[index]!, 1);
  });
  return slots.take();
}

/** One compute pass over all groups. @param offset dynamic offset of the first group */
export function encodePasses(
  engine: Engine,
  encoder: GPUCommandEncoder,
  name: string,
  passes: readonly (TensorPass | undefined)[],
  offset: number,
): void {
  const pass = encoder.beginComputePass({ label: `${engine.label} ${name}` });
  beginCopies(engine, pass);
  const { bindGroup } = engine.machine.slots;
  passes.forEach((tensors, index) => {
    tensors?.encode(pass, bindGroup, offset + index * GROUP_BYTES);
  });
  pass.end();
}

/** Slow weights, average and some states of a tensor begin with its parameters before its first step. */
export function beginCopies(engine: Engine, pass: GPUComputePassEncoder): void {
  if (!engine.mayBeFresh) return;
  copyFresh(engine, pass);
  for (const { tensors } of engine.machine.memories) for (const tensor of tensors) engine.begun.add(tensor);
  engine.mayBeFresh = false;
}

/** Gives the copies of tensors before their first step what the parameters are now. */
export function copyFresh({ mayBeFresh, begun, machine }: Engine, pass: GPUComputePassEncoder): void {
  if (!mayBeFresh) return;
  for (const copies of machine.copies)
    copies.begin(pass, machine.slots.bindGroup, (tensor) => !begun.has(tensor));
}
