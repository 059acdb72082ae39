// Groups that change during training: everything is made anew, and what is kept of each tensor moves over.
import { briefly, checkKeys, OptimError } from "../errors.js";
import { isCautious } from "../rule.js";
import type { Engine } from "./engine.js";
import { makeGroup, type ParameterGroup } from "./group.js";
import { loadParting } from "./kernels/plan.js";
import { buildMachine, type Machine, prepareStepped, type Stepped } from "./machine.js";
import type { BufferRange, Parameter, Tensor } from "./memory/parameters.js";
import { sortTensors } from "./memory/spans.js";
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

/** How a group joins. */
export interface JoiningOptions {
  /** Where its schedules begin: at their start (the default), or where those of the run are. Its tensors begin at step 1. */
  readonly scheduleFrom?: "start" | "run";
}

/** @throws OptimError as `createOptimizer` */
export async function addGroup(
  engine: Engine,
  options: GroupOptions<AnyOptions>,
  joining: JoiningOptions,
): Promise<void> {
  const { checked, label, groups } = engine;
  checkKeys("invalid-argument", "addGroup", joining, ["scheduleFrom"]);
  const { scheduleFrom = "start" } = joining;
  if (scheduleFrom !== "start" && scheduleFrom !== "run")
    throw engine.refusal("adds no group so", "scheduleFrom 'start' or 'run'", briefly(scheduleFrom));
  const added = await checkGroup(engine, withDefaults(options, checked.defaults));
  if (checked.sam !== undefined) engine.machine.parts.guard?.refuseLookahead([added]);
  const { row, options: own } = added.rule;
  if ((row.shader.sums.length > 0 || isCautious(own)) && !engine.machine.guarding)
    throw new OptimError(
      "invalid-argument",
      `'${label}' was created without what ${row.name} needs${isCautious(own) ? " to be cautious" : ""}`,
      {
        expected: "guards or telemetry, or such a rule at creation",
        got: "none",
        fix: 'pass guards: { nonFinite: "keep" } to createOptimizer',
      },
    );
  const run = scheduleFrom === "run" ? Math.max(...groups.map(({ steps }) => steps)) : 0;
  const group = makeGroup(checked, added, run);
  await rebuild(
    engine,
    [...checked.groups, added],
    [...groups, group],
    [...steppedNow(engine), group.cohorts.list.map(({ tensors }) => tensors)],
  );
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
    steppedNow(engine).map((lists, index) =>
      groups[index] === group ? [...lists, sortTensors(tensors)] : lists,
    ),
  );
  group.adopt(tensors);
}

/** Steps all tensors but these. @throws OptimError as {@link prepareStepped} */
export async function freeze(engine: Engine, frozen: ReadonlySet<Tensor>): Promise<void> {
  await engine.reports?.settle();
  await loadParting();
  await prepareStepped(engine, frozen);
  engine.frozen = frozen;
}

const steppedNow = ({ groups, frozen }: Engine): Stepped =>
  groups.map(({ cohorts }) => cohorts.without(frozen).map(({ tensors }) => tensors));

async function rebuild(
  engine: Engine,
  groups: readonly CheckedGroup[],
  parameterGroups: readonly ParameterGroup[],
  stepped: Stepped,
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
    cautious: current.some(({ rule }) => isCautious(rule.options)),
    copies: checked.blends.slow !== undefined || checked.blends.average !== undefined,
    accumulation: checked.accumulation,
    compensation: current.some(({ compensated }) => compensated),
    unitwise: !!engine.machine.parts.unitwise || current.some(({ guards }) => guards !== undefined),
  });
  await explained(() => checkLimits(device, checked, parts));
  await reports?.settle();
  const before = engine.machine;
  await before.beginning?.learn(engine);
  const machine = await buildMachine(device, checked, parameterGroups, parts, stepped, before);
  if (engine.destroyed) {
    for (const resource of machine.made) resource.destroy();
    return;
  }
  const encoder = device.createCommandEncoder({ label: `${label} move` });
  moveStates(encoder, before, machine);
  device.queue.submit([encoder.finish()]);
  if (machine.guarding) reports?.follow(machine.guarding, machine.slots);
  engine.replaceMachine(machine);
  engine.checked = checked;
}

/** Where all that is kept of each tensor lies, by its name and the state's. */
type States = ReadonlyMap<string, ReadonlyMap<string, BufferRange>>;

const statesOf = ({ memories, guarding }: Machine): States =>
  new Map(
    memories.flatMap((group) =>
      group.sorted.map((tensor) => [
        tensor.name,
        new Map(
          group.states
            .filter((state) => group.has(tensor, state))
            .map((state) => [state, group.state(tensor, state, guarding?.guard)]),
        ),
      ]),
    ),
  );

/** Encodes copies of all that is kept of each tensor from one machine's memory to another's, where that is another. */
function moveStates(encoder: GPUCommandEncoder, before: Machine, next: Machine): void {
  const from = statesOf(before);
  const to = statesOf(next);
  for (const [name, states] of from)
    for (const [state, range] of states) copyState(encoder, range, to.get(name)!.get(state)!);
  // What a rule settled over all tensors holds for those that have joined, too.
  next.memories.forEach((target, index) => {
    const { row } = target.rule;
    if (row.scope !== "all") return;
    // A group's own first: options of groups may differ.
    const source = [...before.memories.slice(index, index + 1), ...before.memories].find(
      ({ rule, sorted }) => rule.row === row && sorted.length > 0,
    )?.sorted[0];
    for (const { name } of source ? target.sorted : [])
      for (const state of from.has(name) ? [] : row.shader.settled)
        copyState(encoder, from.get(source!.name)!.get(state)!, to.get(name)!.get(state)!);
  });
}

function copyState(encoder: GPUCommandEncoder, from: BufferRange, to: BufferRange): void {
  if (from.buffer !== to.buffer)
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
}
