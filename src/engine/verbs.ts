// What the verbs of an optimizer encode.
import { briefly, checkKeys } from "../errors.js";
import type { Cohort } from "./cohorts.js";
import type { Engine } from "./engine.js";
import { loadParting } from "./kernels/plan.js";
import type { TensorPass } from "./kernels/tensor-pass.js";
import type { Parameter } from "./memory/parameters.js";
import { GROUP_BYTES } from "./memory/slots.js";
import type { PendingStep } from "./scalars.js";

/** Options of a step. */
export interface StepOptions {
  /**
   * Names of tensors that the step leaves out, such as those that the loss did not reach (PyTorch's `grad = None`): their
   * parameters, states and step counts stay as they are.
   */
  readonly without?: readonly string[] | undefined;
  /**
   * Where the loss lies at the point of the gradients, for rules that step by it (`polyakSgd()`); others pass it over. One f32 on the GPU, usage
   * `STORAGE | COPY_SRC`, that of the whole batch and without a loss scale. The buffer must live until the submit.
   */
  readonly loss?: Parameter["param"] | undefined;
}

/** A cohort of a group, and which block of scalars it reads. */
export interface SteppedCohort {
  readonly cohort: Cohort;
  readonly group: number;
  readonly block: number;
}

/** The cohorts of all groups that are stepped, one behind the other. */
export function steppedCohorts(engine: Engine, without = engine.frozen): readonly SteppedCohort[] {
  let block = 0;
  return engine.groups.flatMap((group, index) => {
    const { cohorts, countsByTensor } = group;
    // What is summed over all is one, and settled for those, too.
    if (!countsByTensor) cohorts.join(cohorts.without(without));
    const stepped = cohorts.without(without);
    const own = stepped.length > 0 || countsByTensor ? stepped : [group.nobody];
    return own.map((cohort) => ({ cohort, group: index, block: block++ }));
  });
}

/** Tensors that a step leaves out. @throws OptimError `invalid-argument` or `unknown-name` */
function leftOut(engine: Engine, options: StepOptions): Engine["frozen"] {
  checkKeys("invalid-argument", "step", options, ["without", "loss"]);
  const { without = [] } = options;
  if (!Array.isArray(without))
    throw engine.refusal("leaves out no list", "a list of names in 'without'", briefly(without));
  if (without.length === 0) return engine.frozen;
  // Until it is there, each run of neighbours is a dispatch.
  void loadParting();
  return new Set([...engine.frozen, ...without.map((name: string) => engine.find(name).tensor)]);
}

/** One step over all groups. @returns what undoes its count */
export function encodeStep(engine: Engine, encoder: GPUCommandEncoder, options: StepOptions): () => void {
  engine.requireOwnParameters();
  engine.requireLookahead();
  engine.machine.parts.whole?.requireOutputs(engine);
  const without = leftOut(engine, options);
  const handIn = engine.machine.parts.loss?.takeLoss(engine, options.loss);
  const { guarding, slots, copies, memories } = engine.machine;
  slots.requireFree();
  const { groups, label, samples, lookedAhead } = engine;
  const accumulated = samples !== undefined;
  const scale = samples ? samples.first / samples.total : 1;
  const guard = guarding?.guard;
  const stepped = steppedCohorts(engine, without);
  const prepared = guard?.prepare(groups, stepped, scale);
  const staged = guard ? [] : slots.stage(stepped.length);
  const pending: readonly PendingStep[] =
    prepared?.pending ??
    stepped.map(({ cohort, group, block }) => groups[group]!.prepare(staged[block]!, scale, cohort));
  engine.beginCopies(encoder);
  guard?.begin(encoder, stepped, accumulated);
  handIn?.(encoder);
  const pass = encoder.beginComputePass({
    label: `${label} step`,
    ...(guarding?.timestampWrites && { timestampWrites: guarding.timestampWrites }),
  });
  let offset = 0;
  if (guard && prepared)
    guard.decide(pass, slots.reserve(guard.attempts.number + 1), prepared, stepped, accumulated);
  else offset = slots.take();
  const uniforms = guard?.live ?? slots.bindGroup;
  for (const { cohort, group, block } of stepped) {
    const at = offset + block * GROUP_BYTES;
    pass.setBindGroup(0, uniforms, [at, at]);
    if (guard) guard.step(pass, group, cohort.tensors, pending[block]!, accumulated);
    else engine.machine.steps![group]!.encode(pass, cohort.tensors, pending[block]!.stages, accumulated);
    copies[group]?.blend(pass, cohort.tensors, pending[block]!);
  }
  guard?.record(pass);
  pass.end();
  // What is left out goes back from where its gradient was taken.
  if (lookedAhead)
    memories.forEach((memory) => {
      memory.restore(
        encoder,
        memory.sorted.filter((tensor) => without.has(tensor) && !engine.frozen.has(tensor)),
      );
    });
  const cohorts = groups.map((): Cohort[] => []);
  const taken = groups.map((): PendingStep[] => []);
  for (const { cohort, group, block } of stepped) {
    cohorts[group]!.push(cohort);
    taken[group]!.push(pending[block]!);
  }
  const undo = groups.map((group, index) =>
    group.commit(cohorts[index]!, taken[index]!, guard?.attempts.number),
  );
  engine.lookedAhead = false;
  engine.samples = undefined;
  engine.outputs = 0;
  return () => {
    for (const one of undo) one();
    guard?.attempts.undo();
  };
}

/** The way back from a look-ahead or an ascent. */
export function encodeRestore(engine: Engine, encoder: GPUCommandEncoder): false | undefined {
  if (!engine.lookedAhead && !engine.samples) return false;
  engine.samples = undefined;
  if (!engine.lookedAhead) return undefined;
  for (const memory of engine.machine.memories)
    memory.restore(
      encoder,
      memory.sorted.filter((tensor) => !engine.frozen.has(tensor)),
    );
  engine.lookedAhead = false;
  return undefined;
}

/** A pass of each group, over tensors that share scalars. */
export type GroupPasses = readonly (Pick<TensorPass, "encode"> | undefined)[];

/** One compute pass over all groups, with the scalars that the next step reads. */
export function encodePasses(
  engine: Engine,
  encoder: GPUCommandEncoder,
  name: string,
  passes: GroupPasses,
  fill?: (staged: Float32Array) => void,
): void {
  const { slots, guarding } = engine.machine;
  const { groups } = engine;
  slots.requireFree();
  const stepped = steppedCohorts(engine);
  const guard = fill ? undefined : guarding?.guard;
  // The GPU alone knows which step the next one is.
  const prepared = guard?.prepare(groups, stepped, 1);
  const staged = guard ? [] : slots.stage(stepped.length);
  for (const { cohort, group, block } of guard ? [] : stepped)
    if (fill) fill(staged[block]!);
    else groups[group]!.prepare(staged[block]!, 1, cohort);
  engine.beginCopies(encoder);
  const pass = encoder.beginComputePass({ label: `${engine.label} ${name}` });
  let offset = 0;
  if (guard && prepared) guard.choose(pass, slots.reserve(), prepared);
  else offset = slots.take();
  const uniforms = guard?.live ?? slots.bindGroup;
  for (const { cohort, group, block } of stepped) {
    const at = offset + block * GROUP_BYTES;
    pass.setBindGroup(0, uniforms, [at, at]);
    passes[group]?.encode(pass, cohort.tensors);
  }
  pass.end();
}
