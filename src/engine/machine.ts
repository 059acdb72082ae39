import { briefly, OptimError } from "../errors.js";
import { requireDevice } from "./device.js";
import type { Engine } from "./engine.js";
import type { ParameterGroup } from "./group.js";
import type { Guard } from "./guards/guard.js";
import type { Guarding } from "./guards/reports.js";
import { type BoundDispatches, ChunkUniforms } from "./kernels/plan.js";
import { Step } from "./kernels/step.js";
import type { TensorPass } from "./kernels/tensor-pass.js";
import { type Extras, GroupMemory } from "./memory/group-memory.js";
import {
  checkGradient,
  gradientOf,
  type PartialRange,
  refuseOverlap,
  type Tensor,
} from "./memory/parameters.js";
import { scoped } from "./memory/scoped.js";
import { Slots } from "./memory/slots.js";
import type { CheckedOptions } from "./options/optimizer-options.js";
import type { Parts } from "./parts.js";
import type { Copies } from "./passes/copies.js";

/** All that the engine makes for a set of groups. */
export interface Machine {
  readonly parts: Parts;
  readonly memories: readonly GroupMemory[];
  readonly bound: BoundDispatches;
  readonly slots: Slots;
  /** The update of each group, where no guard decides about it. */
  readonly steps: readonly Step[] | undefined;
  readonly guarding:
    | (Guarding & { readonly timestampWrites: GPUComputePassTimestampWrites | undefined })
    | undefined;
  /** Of each group, what it does beside its step. */
  readonly lookaheads: readonly (TensorPass | undefined)[];
  readonly accumulations: readonly TensorPass[];
  readonly curvatures: readonly (TensorPass | undefined)[];
  readonly copies: readonly Copies[];
  /** What `destroy()` frees. */
  readonly made: { destroy(): void }[];
}

/**
 * Allocates the memory and compiles the kernels.
 * @param parameterGroups whose options are those in force
 * @param parts that the groups need
 * @param frozen tensors that have state and are not stepped
 * @param before whose counts and loss scale guards go on from
 * @throws OptimError `out-of-memory`, `invalid-shader`, `gpu-error` or `device-lost`, with all that was made destroyed
 */
export async function buildMachine(
  device: GPUDevice,
  checked: CheckedOptions,
  parameterGroups: readonly ParameterGroup[],
  parts: Parts,
  frozen: ReadonlySet<Tensor> = new Set(),
  before?: Guard,
): Promise<Machine> {
  const { label } = checked;
  requireDevice(device, label);
  const made: { destroy(): void }[] = [];
  let machine: Machine | undefined;
  await scoped(device, label, "creation", made, () => {
    machine = allocate(device, checked, parts, frozen, before, made);
    probe(device, label, machine);
  });
  try {
    await compile(machine!, parameterGroups, checked.accumulation);
    requireDevice(device, label);
    return machine!;
  } catch (error) {
    for (const resource of made) resource.destroy();
    requireDevice(device, label);
    throw error;
  }
}

function allocate(
  device: GPUDevice,
  { label, groups, accumulation, stepsInFlight, guards, telemetry, blends, sam }: CheckedOptions,
  parts: Parts,
  frozen: ReadonlySet<Tensor>,
  before: Guard | undefined,
  made: { destroy(): void }[],
): Machine {
  const { guard, copying, accumulating, lookahead, curvature } = parts;
  const own = <T extends { destroy(): void }>(resource: T): T => {
    made.push(resource);
    return resource;
  };
  const { limits } = device;
  const uniforms = own(new ChunkUniforms(device, label));
  const slots = own(new Slots(device, label, groups.length, stepsInFlight));
  const bound: BoundDispatches = new WeakMap();
  const context = { device, label, limits, uniforms, bound, own };
  const contextOf = (index: number) =>
    groups.length > 1 ? { ...context, label: `${label} ${index}` } : context;
  const extras: Omit<Extras, "compensation"> = {
    accumulator: accumulating?.accumulator ?? [],
    copies: copying?.copiesOf(blends) ?? [],
    sam: sam !== undefined,
  };
  const memories = groups.map(
    ({ rule, tensors, compensated }, index) =>
      new GroupMemory(
        contextOf(index),
        rule,
        { ...extras, compensation: compensated ? parts.compensation : undefined },
        tensors,
        frozen,
      ),
  );
  const each = <T>(make: (context: ReturnType<typeof contextOf>, memory: GroupMemory) => T) =>
    memories.map((memory, index) => make(contextOf(index), memory));
  const machine: Machine = {
    parts,
    memories,
    bound,
    slots,
    steps: guards ? undefined : each((context, memory) => new Step(context, memory, accumulation)),
    guarding:
      guards &&
      guard?.guard(
        context,
        memories,
        { guards, telemetry, accumulation, stepsInFlight, sam: extras.sam },
        before,
      ),
    lookaheads: each((context, memory) =>
      memory.rule.row.shader.lookahead ? lookahead?.lookaheadPass(context, memory) : undefined,
    ),
    accumulations: accumulating ? each(accumulating.accumulationPass) : [],
    curvatures: each((context, memory) =>
      memory.rule.row.shader.curvature ? curvature?.curvaturePass(context, memory) : undefined,
    ),
    copies: copying ? each((context, memory) => new copying.Copies(context, memory)) : [],
    made,
  };
  planGradients(machine);
  return machine;
}

/** Looks up the plans over gradients, where they are now. */
export function planGradients({ memories, steps, guarding, accumulations, curvatures }: Machine): void {
  for (const step of steps ?? []) step.gradientsMoved();
  guarding?.guard.gradientsMoved();
  memories.forEach(({ active }, index) => {
    for (const pass of [accumulations[index], curvatures[index]]) pass?.plan(active, gradientOf);
  });
}

/**
 * Reads gradients from other buffers.
 * @throws OptimError `unknown-name`, `invalid-buffer` or `aliased-buffers`; then nothing has changed
 */
export function moveGradients(
  engine: Engine,
  gradients: Readonly<Record<string, GPUBuffer | PartialRange>>,
): void {
  // A list, a map or a buffer names none.
  if (Object.prototype.toString.call(gradients) !== "[object Object]")
    throw new OptimError("invalid-argument", "There are no gradients to read", {
      expected: "a buffer or range by the name of its parameter",
      got: briefly(gradients),
      fix: "pass { name: buffer }",
    });
  const moved = new Map<Tensor, Tensor["gradient"]>();
  for (const [name, grad] of Object.entries(gradients)) {
    const { tensor } = engine.find(name);
    const { gradient } = tensor;
    const next = checkGradient(tensor, grad);
    const same =
      next.buffer === gradient.buffer && next.offset === gradient.offset && next.padding === gradient.padding;
    if (!same) moved.set(tensor, next);
  }
  if (moved.size === 0) return;
  const tensors = [...engine.tensors.values()].map(({ tensor }) => tensor);
  refuseOverlap(tensors, (tensor) => moved.get(tensor) ?? tensor.gradient);
  for (const [tensor, gradient] of moved) tensor.gradient = gradient;
  engine.refusedGradients = undefined;
  // Whose device a buffer is of, only binding it shows, and later.
  engine.device.pushErrorScope("validation");
  const { machine } = engine;
  planGradients(machine);
  engine.device.popErrorScope().then(
    (error) => {
      if (!error) return;
      // Bound anew where one is passed again.
      for (const { buffer } of moved.values()) machine.bound.delete(buffer);
      engine.refusedGradients = new OptimError(
        "invalid-buffer",
        `Gradients of '${engine.label}' cannot be bound`,
        {
          expected: "buffers of the optimizer's device",
          got: error.message,
          fix: "pass others to setGradients()",
        },
      );
    },
    // A lost device tells by itself.
    () => {},
  );
}

/** Compiles what steps will need, so that nothing compiles later unless options change. */
async function compile(
  { steps, guarding, lookaheads, accumulations, curvatures, copies }: Machine,
  groups: readonly ParameterGroup[],
  accumulation: boolean,
): Promise<void> {
  await Promise.all([
    ...(steps ?? []).map((step, index) => step.compile(groups[index]!.foresee(accumulation))),
    guarding?.guard.compile(groups),
    ...[...lookaheads, ...accumulations, ...curvatures, ...copies].map((pass) => pass?.compile()),
  ]);
}

/** Submits a pass that only binds: it shows whether the buffers of the bind groups are alive. */
function probe(device: GPUDevice, label: string, { steps, guarding }: Machine): void {
  const encoder = device.createCommandEncoder({ label: `${label} probe` });
  const pass = encoder.beginComputePass({ label: `${label} probe` });
  for (const step of steps ?? guarding?.guard.steps ?? [])
    for (const { bindGroup } of step.dispatches(false)) pass.setBindGroup(1, bindGroup);
  pass.end();
  device.queue.submit([encoder.finish()]);
}
