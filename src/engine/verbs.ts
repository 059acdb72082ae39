// What the verbs of an optimizer encode.
import { OptimError } from "../errors.js";
import type { Engine } from "./engine.js";
import type { PendingStep } from "./group.js";
import type { TensorPass } from "./kernels/tensor-pass.js";
import { BLOCK } from "./memory/slots.js";

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
    const at = offset + index * 2 * BLOCK;
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

/** The move to where the gradient is taken. */
export function encodeLookahead(engine: Engine, encoder: GPUCommandEncoder): void {
  const { lookaheads } = engine.machine;
  if (!lookaheads.some((pass) => pass)) return;
  engine.requireOwnParameters();
  if (engine.lookedAhead)
    throw new OptimError("lookahead-order", `'${engine.label}' is at the look-ahead point already`, {
      expected: "a step, or restore(), after each look-ahead",
      got: "a second look-ahead",
      fix: "call step(), or restore() to give the step up",
    });
  encodePasses(engine, encoder, "lookahead", lookaheads, takeScalars(engine));
  engine.lookedAhead = true;
}

/** An estimate of curvature. */
export function encodeCurvature(engine: Engine, encoder: GPUCommandEncoder): void {
  engine.requireOwnParameters();
  const { curvatures } = engine.machine;
  if (!curvatures.some((pass) => pass))
    throw new OptimError("invalid-argument", `No rule of '${engine.label}' takes an estimate of curvature`, {
      expected: "a rule such as sophia()",
      got: engine.groups.map(({ rule }) => rule).join(", "),
      fix: "leave the call out",
    });
  encodePasses(engine, encoder, "curvature", curvatures, takeScalars(engine));
}

/** SAM's ascent. */
export function encodeAscent(engine: Engine, encoder: GPUCommandEncoder): void {
  engine.requireOwnParameters();
  const { checked, machine, label } = engine;
  const guard = machine.guarding?.guard;
  if (checked.sam === undefined || !guard) throw engine.without("sam", "makes no ascent", "sam: {}");
  if (engine.lookedAhead || engine.samples)
    throw new OptimError("lookahead-order", `An ascent comes in the middle of a step of '${label}'`, {
      expected: "one ascent before each step, and no accumulation before it",
      got: engine.lookedAhead ? "a second ascent" : "an accumulation",
      fix: "call step(), or restore() to give the step up",
    });
  const slot = machine.slots.reserve();
  guard.begin(encoder);
  const pass = encoder.beginComputePass({ label: `${label} ascent` });
  beginCopies(engine, pass);
  guard.ascend(pass, slot, checked.sam);
  pass.end();
  engine.lookedAhead = true;
}

/** The way back from a look-ahead or an ascent. */
export function encodeRestore(engine: Engine, encoder: GPUCommandEncoder): void {
  engine.samples = undefined;
  if (!engine.lookedAhead) return;
  for (const memory of engine.machine.memories) memory.restore(encoder);
  engine.lookedAhead = false;
}

/** The gradients of a micro-batch. */
export function encodeAccumulate(engine: Engine, encoder: GPUCommandEncoder, samples: number): void {
  const { accumulations, slots } = engine.machine;
  if (!engine.checked.accumulation)
    throw engine.without("accumulation", "has no accumulator", "accumulation: true");
  if (!(typeof samples === "number" && samples > 0 && Number.isFinite(Math.fround(samples))))
    throw new OptimError("invalid-argument", "The size of a micro-batch is no positive number", {
      expected: "a number of samples above 0",
      got: String(samples),
      fix: "pass { samples }",
    });
  slots.requireFree();
  const { first, total } = engine.samples ?? { first: samples, total: 0 };
  for (const staged of slots.staged) {
    staged[0] = samples / first;
    staged[1] = total === 0 ? 1 : 0;
  }
  encodePasses(engine, encoder, "accumulate", accumulations, slots.take());
  engine.samples = { first, total: total + samples };
}

/** The exchange with the parameters to evaluate at. */
export function encodeSwap(engine: Engine, encoder: GPUCommandEncoder): void {
  const { groups, label, machine } = engine;
  const average = engine.checked.blends.average !== undefined;
  if (!groups.every(({ hasAverage }) => hasAverage))
    throw new OptimError("invalid-argument", `'${label}' has no average`, {
      expected: "the option average or a schedule-free rule, and in each group a step that counts",
      got: average ? "a group without such a step" : "a group without either, or without a step",
      fix: average ? "train on" : "pass average: {} to createOptimizer, or take a step first",
    });
  const pass = encoder.beginComputePass({ label: `${label} swap` });
  copyFresh(engine, pass);
  for (const copies of machine.copies) copies.swap(pass, machine.slots.bindGroup);
  pass.end();
  engine.averaged = !engine.averaged;
}

/** A slot with the scalars of the next step. */
function takeScalars({ groups, machine: { slots } }: Engine): number {
  slots.requireFree();
  groups.forEach((group, index) => {
    group.prepare(slots.staged[index]!, 1);
  });
  return slots.take();
}

/** One compute pass over all groups. @param offset dynamic offset of the first group */
function encodePasses(
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
    tensors?.encode(pass, bindGroup, offset + index * 2 * BLOCK);
  });
  pass.end();
}

/** Slow weights, average and some states of a tensor begin with its parameters before its first step. */
function beginCopies(engine: Engine, pass: GPUComputePassEncoder): void {
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
