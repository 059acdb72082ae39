import { briefly, OptimError } from "../errors.js";
import { isCautious } from "../rule.js";
import { requireDevice } from "./device.js";
import type { Engine } from "./engine.js";
import type { ParameterGroup } from "./group.js";
import type { Guarding } from "./guards/reports.js";
import { type BoundDispatches, ChunkUniforms } from "./kernels/plan.js";
import { type GroupStep, stepOf } from "./kernels/step.js";
import type { TensorPass } from "./kernels/tensor-pass.js";
import { type Extras, GroupMemory } from "./memory/group-memory.js";
import { checkGradient, type Parameter, refuseOverlap, type Tensor } from "./memory/parameters.js";
import { scoped } from "./memory/scoped.js";
import { Slots } from "./memory/slots.js";
import type { CheckedOptions } from "./options/optimizer-options.js";
import type { Parts } from "./parts.js";
import type { Beginning, Copies } from "./passes/copies.js";
import { steppedCohorts } from "./verbs.js";
import type { OutputPass } from "./whole/index.js";

/** All that the engine makes for a set of groups. */
export interface Machine {
  readonly parts: Parts;
  readonly memories: readonly GroupMemory[];
  readonly bound: BoundDispatches;
  readonly slots: Slots;
  /** The update of each group, where no guard decides about it. */
  readonly steps: readonly GroupStep[] | undefined;
  readonly guarding:
    | (Guarding & { readonly timestampWrites: GPUComputePassTimestampWrites | undefined })
    | undefined;
  /** Of each group, what it does beside its step. */
  readonly lookaheads: readonly (TensorPass | undefined)[];
  readonly accumulations: readonly TensorPass[];
  readonly curvatures: readonly (TensorPass | undefined)[];
  readonly outputs: readonly (OutputPass | undefined)[];
  readonly copies: readonly Copies[];
  readonly beginning: Beginning | undefined;
  /** What `destroy()` frees. */
  readonly made: { destroy(): void }[];
}

/**
 * Allocates the memory and compiles the kernels.
 * @param parameterGroups whose options are those in force
 * @param parts that the groups need
 * @param stepped tensors of each group that are stepped, as they share scalars
 * @param before whose memory of groups that are the same, and whose guard's counts and loss scale, go on
 * @throws OptimError `out-of-memory`, `invalid-shader`, `gpu-error` or `device-lost`, with all that was made destroyed
 */
export async function buildMachine(
  device: GPUDevice,
  checked: CheckedOptions,
  parameterGroups: readonly ParameterGroup[],
  parts: Parts,
  stepped: Stepped,
  before?: Machine,
): Promise<Machine> {
  const { label } = checked;
  requireDevice(device, label);
  const made: { destroy(): void }[] = [];
  let machine: Machine | undefined;
  await scoped(device, label, "creation", made, () => {
    machine = allocate(device, checked, parts, before, made);
    for (const [group, lists] of stepped.entries())
      for (const tensors of lists) plan(machine, group, tensors);
    probe(device, label, machine, stepped);
  });
  try {
    await compile(machine!, parameterGroups, checked.accumulation);
    requireDevice(device, label);
    // What goes on is the new machine's now.
    const { memories, guarding } = machine!;
    for (const kept of [...memories, ...(guarding ? [guarding.guard.kept] : [])])
      if (!made.includes(kept)) made.push(kept);
    return machine!;
  } catch (error) {
    for (const resource of made) resource.destroy();
    requireDevice(device, label);
    throw error;
  }
}

function allocate(
  device: GPUDevice,
  { label, defaults, groups, accumulation, stepsInFlight, guards, telemetry, blends, sam }: CheckedOptions,
  parts: Parts,
  before: Machine | undefined,
  made: { destroy(): void }[],
): Machine {
  const { guard, copying, accumulating, lookahead, curvature, whole } = parts;
  const own = <T extends { destroy(): void }>(resource: T): T => {
    made.push(resource);
    return resource;
  };
  const { limits } = device;
  const uniforms = own(new ChunkUniforms(device, label));
  const slots = own(new Slots(device, label, groups.length, stepsInFlight));
  const bound: BoundDispatches = new WeakMap();
  // Whether the copies have begun, which the GPU knows.
  const flag = copying && own(copying.flagOf(device, label));
  const context = { device, label, limits, uniforms, bound, own };
  const contextOf = (index: number) =>
    groups.length > 1 ? { ...context, label: `${label} ${index}` } : context;
  const extras: Omit<Extras, "compensation" | "caution" | "whole" | "unitwise"> = {
    accumulator: accumulating?.accumulator ?? [],
    copies: copying?.copiesOf(blends) ?? [],
    sam: sam !== undefined,
  };
  const memories = groups.map(({ rule, tensors, compensated, guards: own }, index) => {
    const old = before?.memories[index];
    if (old && old.tensors.length === tensors.length) return old;
    return new GroupMemory(
      contextOf(index),
      rule,
      {
        ...extras,
        compensation: compensated ? parts.compensation : undefined,
        caution: isCautious(rule.options) ? parts.caution : undefined,
        whole: parts.whole,
        unitwise: parts.unitwise?.unitwisePlan(defaults.guards, own),
      },
      tensors,
    );
  });
  const each = <T>(make: (context: ReturnType<typeof contextOf>, memory: GroupMemory) => T) =>
    memories.map((memory, index) => make(contextOf(index), memory));
  const copies = copying ? each((context, memory) => new copying.Copies(context, memory, flag!)) : [];
  return {
    parts,
    memories,
    bound,
    slots,
    steps: guards ? undefined : each((context, memory) => stepOf(context, memory, accumulation)),
    guarding:
      guards &&
      guard?.guard(
        context,
        memories,
        { guards, telemetry, accumulation, stepsInFlight, sam: extras.sam },
        before?.guarding?.guard,
      ),
    lookaheads: each((context, memory) =>
      memory.rule.row.shader.lookahead ? lookahead?.lookaheadPass(context, memory) : undefined,
    ),
    accumulations: accumulating ? each(accumulating.accumulationPass) : [],
    curvatures: each((context, memory) =>
      memory.rule.row.shader.curvature ? curvature?.curvaturePass(context, memory) : undefined,
    ),
    outputs: whole ? each(whole.outputPass) : [],
    copies,
    beginning: flag && new copying!.Beginning(context, flag, copies),
    made,
  };
}

/** Of each group, lists of tensors that are stepped and share scalars. */
export type Stepped = readonly (readonly (readonly Tensor[])[])[];

/** Binds what is encoded for tensors of a group. */
function plan(machine: Machine, group: number, tensors: readonly Tensor[]): void {
  machine.guarding?.guard.plan(group, tensors);
  const { steps = [], lookaheads, accumulations, curvatures, outputs, copies } = machine;
  for (const passes of [steps, lookaheads, accumulations, curvatures, outputs, copies])
    passes[group]?.plan(tensors);
}

/** Binds anew what is encoded, where gradients moved. */
function moveBound(engine: Engine): void {
  const { machine } = engine;
  const { steps, guarding, accumulations, curvatures, outputs } = machine;
  for (const pass of [...(steps ?? []), ...accumulations, ...curvatures, ...outputs]) pass?.gradientsMoved();
  guarding?.guard.gradientsMoved();
  for (const { group, cohort } of steppedCohorts(engine)) plan(machine, group, cohort.tensors);
}

/**
 * Makes what steps over all tensors but some will need.
 * @throws OptimError `invalid-shader`, `gpu-error` for gradients that are dead, `device-lost`
 */
export async function prepareStepped(engine: Engine, without: ReadonlySet<Tensor>): Promise<void> {
  const { machine, groups, checked, device, label } = engine;
  await scoped(device, label, "stepping", [], () => {
    const stepped: (readonly Tensor[])[][] = groups.map(() => []);
    for (const { group, cohort } of steppedCohorts(engine, without)) {
      plan(machine, group, cohort.tensors);
      stepped[group]!.push(cohort.tensors);
    }
    probe(device, label, machine, stepped);
  });
  await compile(machine, groups, checked.accumulation);
  requireDevice(device, label);
}

/**
 * Reads gradients from other buffers.
 * @throws OptimError `unknown-name`, `invalid-buffer` or `aliased-buffers`; then nothing has changed
 */
export function moveGradients(engine: Engine, gradients: Readonly<Record<string, Parameter["grad"]>>): void {
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
  moveBound(engine);
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
  { steps, guarding, lookaheads, accumulations, curvatures, outputs, copies }: Machine,
  groups: readonly ParameterGroup[],
  accumulation: boolean,
): Promise<void> {
  await Promise.all([
    ...(steps ?? []).map((step, index) => step.compile(groups[index]!.foresee(accumulation))),
    guarding?.guard.compile(groups),
    ...[...lookaheads, ...accumulations, ...curvatures, ...outputs, ...copies].map((pass) => pass?.compile()),
  ]);
}

/** Submits a pass that only binds: it shows whether the buffers of the bind groups are alive. */
function probe(device: GPUDevice, label: string, { steps, guarding }: Machine, stepped: Stepped): void {
  const encoder = device.createCommandEncoder({ label: `${label} probe` });
  const pass = encoder.beginComputePass({ label: `${label} probe` });
  for (const [group, step] of (steps ?? guarding?.guard.steps ?? []).entries())
    for (const { bindGroup } of stepped[group]!.flatMap((tensors) =>
      (step.taking ?? step).plans(false).of(tensors),
    ))
      pass.setBindGroup(1, bindGroup);
  pass.end();
  device.queue.submit([encoder.finish()]);
}
