// Groups that change during training: everything is made anew, and what is kept of each tensor moves over.
import { OptimError } from "../errors.js";
import type { Engine } from "./engine.js";
import { makeGroup, type ParameterGroup } from "./group.js";
import { buildMachine } from "./machine.js";
import { byName, type GroupMemory, type GroupTensor } from "./memory/group-memory.js";
import type { Parameter, Tensor } from "./memory/parameters.js";
import type { AnyOptions } from "./options/hyperparameters.js";
import {
  type CheckedGroup,
  checkGroups,
  checkLimits,
  type GivenGroup,
  type GroupOptions,
  withDefaults,
} from "./options/optimizer-options.js";
import { explained } from "./options/refuse.js";
import { loadParts } from "./parts.js";

/** Checks a group that joins the others, or tensors that join a group. */
async function checkGroup(engine: Engine, group: GivenGroup): Promise<CheckedGroup> {
  const others = [...engine.tensors.values()].map(({ tensor }) => tensor);
  const [checked] = await explained(() => checkGroups([group], () => "The group", others));
  return checked!;
}

/** @throws OptimError as `createOptimizer` */
export async function addGroup(engine: Engine, options: GroupOptions<AnyOptions>): Promise<void> {
  const { checked, label, groups } = engine;
  const added = await checkGroup(engine, withDefaults(options, checked.defaults));
  if (checked.sam !== undefined) engine.machine.parts.guard?.refuseLookahead([added]);
  if (added.rule.row.shader.sums.length > 0 && !engine.machine.guarding)
    throw new OptimError(
      "invalid-argument",
      `'${label}' was created without what ${added.rule.row.name} needs`,
      {
        expected: "guards or telemetry, or such a rule at creation",
        got: "none",
        fix: 'pass guards: { nonFinite: "keep" } to createOptimizer',
      },
    );
  const group = makeGroup(checked, added);
  await rebuild(engine, [...checked.groups, added], [...groups, group]);
  groups.push(group);
}

/** @throws OptimError as `createOptimizer`, and `unknown-name` */
export async function addParameters(
  engine: Engine,
  group: ParameterGroup,
  parameters: readonly Parameter[],
): Promise<void> {
  const { groups, checked, label } = engine;
  const old = checked.groups[groups.indexOf(group)];
  if (!old)
    throw new OptimError("unknown-name", `This group is not one of '${label}'`, {
      expected: "one of optimizer.groups",
      got: "another",
      fix: "pass optimizer.groups[0]",
    });
  const { tensors } = await checkGroup(engine, { rule: old.rule, parameters });
  const grown = { ...old, tensors: [...old.tensors, ...tensors] };
  await rebuild(
    engine,
    checked.groups.map((other) => (other === old ? grown : other)),
    groups,
  );
  group.adopt(tensors.map(({ name }) => name));
}

/** Steps all tensors but these. */
export async function freeze(engine: Engine, frozen: ReadonlySet<Tensor>): Promise<void> {
  await rebuild(engine, engine.checked.groups, engine.groups, frozen);
}

async function rebuild(
  engine: Engine,
  groups: readonly CheckedGroup[],
  parameterGroups: readonly ParameterGroup[],
  frozen: ReadonlySet<Tensor> = engine.frozen,
): Promise<void> {
  const { device, label, reports } = engine;
  // Hyperparameters may have changed; what is fresh begins with those in force.
  const current = groups.map((group, index) => {
    const { options } = parameterGroups[index]!;
    return { ...group, rule: { ...group.rule, options } };
  });
  const checked = { ...engine.checked, groups: current };
  const parts = await loadParts({
    rows: current.map(({ rule }) => rule.row),
    guards: checked.guards !== undefined,
    copies: checked.blends.slow !== undefined || checked.blends.average !== undefined,
    accumulation: checked.accumulation,
    compensation: current.some(({ compensated }) => compensated),
  });
  await explained(() => checkLimits(device, checked, parts));
  await reports?.settle();
  const before = engine.machine;
  const machine = await buildMachine(device, checked, parameterGroups, parts, frozen, before.guarding?.guard);
  if (engine.destroyed) {
    for (const resource of machine.made) resource.destroy();
    return;
  }
  const encoder = device.createCommandEncoder({ label: `${label} move` });
  moveStates(encoder, before.memories, machine.memories);
  if (before.guarding) machine.guarding?.guard.copyFrom(encoder, before.guarding.guard);
  device.queue.submit([encoder.finish()]);
  if (machine.guarding) reports?.follow(machine.guarding, machine.slots);
  engine.replaceMachine(machine);
  engine.frozen = frozen;
  engine.checked = checked;
}

/** Encodes copies of all that is kept of each tensor from one machine's memory to another's. */
function moveStates(
  encoder: GPUCommandEncoder,
  before: readonly GroupMemory[],
  next: readonly GroupMemory[],
): void {
  const found = byName(next);
  for (const group of before)
    for (const tensor of group.tensors)
      for (const state of tensor.size === 0 ? [] : group.states)
        copyState(encoder, state, { group, tensor }, { group: found.get(tensor.name)!.group, tensor });
  shareSettled(encoder, before, next);
}

/** What a rule settled over all tensors holds for those that were not stepped, too: they have joined, or may thaw. */
function shareSettled(
  encoder: GPUCommandEncoder,
  before: readonly GroupMemory[],
  next: readonly GroupMemory[],
): void {
  const names = new Set(before.flatMap(({ active }) => active.map(({ name }) => name)));
  next.forEach((target, index) => {
    const { row } = target.rule;
    if (row.scope !== "all") return;
    // A group's own first: options of groups may differ.
    const from = [...before.slice(index, index + 1), ...before].find(
      ({ rule, active }) => rule.row === row && active.length > 0,
    );
    const [source] = from?.active ?? [];
    if (!from || !source) return;
    for (const tensor of target.sorted)
      for (const name of names.has(tensor.name) ? [] : row.shader.settled)
        copyState(encoder, name, { group: from, tensor: source }, { group: target, tensor });
  });
}

function copyState(
  encoder: GPUCommandEncoder,
  state: string,
  source: GroupTensor,
  target: GroupTensor,
): void {
  const from = source.group.state(source.tensor, state);
  const to = target.group.state(target.tensor, state);
  encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
}
