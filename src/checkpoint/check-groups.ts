import { checkOptions, checkScheduledOption, type RuleMemory, type RuleOptions } from "../rule.js";
import { type BuiltinSchedule, constantRate, type Schedule } from "../schedules/schedule.js";
import type { CheckpointGroup, GroupProgress, TensorProgress } from "./contents.js";
import type { PyTorchTerms } from "./describe.js";
import { quoted } from "./format.js";
import type { LoadedFrom, LoadedGroup, LoadOptions } from "./load.js";
import { isCount, isObject, type JSONObject, OTHER, refuse, show, within } from "./refuse.js";
import { type ChosenSchedule, chooseSchedule, type SavedSchedule } from "./schedules.js";

/** What a group goes on with. */
export interface CheckedGroupState extends GroupProgress {
  readonly options: RuleOptions;
  readonly schedule: Schedule;
  readonly optionSchedules: Readonly<Record<string, Schedule>>;
  /** Gives plateau schedules their state; the only part that acts. */
  readonly restoreSchedule: () => void;
  readonly loaded: LoadedGroup;
}

/** A group of a file, as it stands there. */
interface FileGroup {
  readonly where: string;
  readonly json: JSONObject;
  readonly names: readonly string[];
}

/** @throws OptimError `invalid-checkpoint` */
export function fileGroups(saved: readonly unknown[]): readonly FileGroup[] {
  const given = new Set<string>();
  return saved.map((json, index) => {
    const where = `Group ${index} of the checkpoint`;
    if (!isObject(json)) return refuse(`${where} is no object`, "an object", json);
    const { names } = json;
    if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
      return refuse(`${where} has no list of names`, "names", names);
    for (const name of names) {
      if (given.has(name))
        refuse(`${where} has another parameter`, "each name once", `${quoted(name)} twice`);
      given.add(name);
    }
    return { where, json, names };
  });
}

/** Tensors of a group and where the file has them. */
interface Match {
  readonly tensors: ReadonlyMap<string, FileGroup>;
  /** Names that the file has not. */
  readonly fresh: readonly string[];
}

/** Finds the tensors of groups in a file, in whichever group they are there. */
export function match(files: readonly FileGroup[], groups: readonly CheckpointGroup[], options: LoadOptions) {
  const places = new Map(files.flatMap((file) => file.names.map((name) => [name, file] as const)));
  const own = groups.map(({ tensors }) => tensors.map(({ name }) => name));
  const all = new Set(own.flat());
  const missing = [...all].filter((name) => !places.has(name));
  const extra = [...places.keys()].filter((name) => !all.has(name));
  const some = (names: readonly string[]) => names.slice(0, 10).map(quoted).join(", ");
  if (missing.length > 0 && options.missing !== "fresh")
    refuse(
      `The checkpoint lacks parameters of this optimizer`,
      some(missing),
      `${some([...places.keys()])}`,
      `${OTHER}, or pass { missing: "fresh" }`,
    );
  if (extra.length > 0 && options.extra !== "ignore")
    refuse(
      `The checkpoint has other parameters than this optimizer`,
      some([...all]),
      some(extra),
      `${OTHER}, or pass { extra: "ignore" }`,
    );
  const matches = own.map(
    (names): Match => ({
      tensors: new Map(names.flatMap((name) => (places.has(name) ? [[name, places.get(name)!]] : []))),
      fresh: names.filter((name) => !places.has(name)),
    }),
  );
  return { missing, extra, matches };
}

/** What a group goes on with. What is the group's and not a tensor's comes from where the first of its tensors was. */
export function stateOf(
  group: CheckpointGroup,
  { tensors, fresh }: Match,
  {
    schedules,
    options,
    pytorch,
  }: {
    readonly schedules: readonly (BuiltinSchedule | undefined)[];
    readonly options: LoadOptions;
    readonly pytorch: PyTorchTerms | undefined;
  },
): CheckedGroupState {
  const begin: TensorProgress = { names: fresh, steps: 0, memory: group.row.memory ?? [] };
  const [first] = tensors.values();
  if (!first) {
    const { options, schedule, optionSchedules } = group;
    const loaded: LoadedGroup = {
      hyperparameters: "optimizer",
      schedule: "optimizer",
      optionSchedules: Object.fromEntries(Object.keys(optionSchedules).map((name) => [name, "optimizer"])),
    };
    const nothing = { steps: 0, cohorts: [begin], restoreSchedule: () => {} };
    return { options, schedule, optionSchedules, loaded, ...nothing };
  }
  const progress = new Map(
    [...new Set(tensors.values())].map((file) => {
      requireRule(file, group, pytorch);
      return [file, progressOf(file, group, pytorch)] as const;
    }),
  );
  const { steps } = progress.get(first)!;
  const cohorts = [...progress.values()].flatMap(({ cohorts }) =>
    cohorts.map((cohort) => ({ ...cohort, names: cohort.names.filter((name) => tensors.has(name)) })),
  );
  const scheduled = schedulesOf(first, schedules, group, options.schedules);
  const file = pytorch
    ? pytorchOptions(first, group, pytorch, scheduled.schedule, steps)
    : nativeOptions(first, group);
  const decided = hyperparametersOf(first, file, group, scheduled.optionSchedules, options.hyperparameters);
  return {
    options: decided === "file" ? checkCompiled(first, file, group) : group.options,
    steps,
    cohorts: [...cohorts, ...(fresh.length > 0 ? [begin] : [])].filter(({ names }) => names.length > 0),
    schedule: scheduled.schedule,
    optionSchedules: scheduled.optionSchedules,
    restoreSchedule: scheduled.restore,
    loaded: { hyperparameters: decided, ...scheduled.loaded },
  };
}

/** Whose hyperparameters go on. */
function hyperparametersOf(
  { where }: FileGroup,
  file: RuleOptions,
  { row, options: own }: CheckpointGroup,
  scheduled: CheckpointGroup["optionSchedules"],
  decided: LoadOptions["hyperparameters"],
): LoadedFrom {
  const differing = Object.keys(row.options).filter(
    (name) => file[name] !== own[name] && !Object.hasOwn(scheduled, name),
  );
  if (differing.length === 0) return "file";
  if (decided !== undefined) return decided === "file" ? "file" : "optimizer";
  const told = (options: RuleOptions) => differing.map((name) => `${name} ${options[name]}`).join(", ");
  return refuse(
    `${where} has other hyperparameters than the optimizer`,
    `${told(own)}, as here`,
    `${told(file)} in the file`,
    'pass { hyperparameters: "file" } or "keep" to say which go on',
  );
}

/** @throws OptimError `invalid-checkpoint` where a group is of another rule */
function requireRule(
  { where, json }: FileGroup,
  { row }: CheckpointGroup,
  pytorch: PyTorchTerms | undefined,
): void {
  if (!pytorch && json.rule !== row.name) refuse(`${where} is of another rule`, row.name, json.rule, OTHER);
}

function nativeOptions({ where, json }: FileGroup, { row }: CheckpointGroup): RuleOptions {
  if (!isObject(json.options)) return refuse(`${where} has no options`, "an object", json.options);
  const { options } = json;
  return within(where, () => checkOptions(row, options));
}

/** @param schedule of the rate that is in force from there on */
function pytorchOptions(
  { where, json }: FileGroup,
  { row }: CheckpointGroup,
  { fromPyTorchGroup, baseRate }: PyTorchTerms,
  schedule: Schedule,
  steps: number,
): RuleOptions {
  const { optimizer, config } = json;
  if (typeof optimizer !== "string" || !isObject(config))
    return refuse(`${where} is not described as PyTorch does`, "optimizer and config", json);
  return within(where, () => {
    const options = fromPyTorchGroup(row.name, { optimizer, config });
    return checkOptions(row, { ...options, lr: baseRate(config, schedule, steps) });
  });
}

/** Options that kernels, memory and passes are made by are to be as they were then. */
function checkCompiled({ where }: FileGroup, options: RuleOptions, { row, options: own }: CheckpointGroup) {
  const [saved, compiled] = [options, own].map((values) =>
    JSON.stringify({
      ...row.constants?.(values),
      cautious: values.cautious,
      fixed: row.whole?.fixed?.(values),
    }),
  );
  if (saved !== compiled)
    refuse(`${where} has options that are compiled into another kernel`, compiled!, saved, OTHER);
  return options;
}

/** How far the group and its tensors have come. */
function progressOf(
  { where, json, names: own }: FileGroup,
  group: CheckpointGroup,
  pytorch: PyTorchTerms | undefined,
): GroupProgress {
  const of = (where: string, json: JSONObject, names: readonly string[]): TensorProgress => ({
    names,
    steps: checkSteps(where, pytorch ? json.step : json.steps),
    memory: checkMemory(where, json, group, pytorch),
  });
  const all = of(where, json, own);
  if (json.cohorts === undefined) return { steps: all.steps, cohorts: [all] };
  const { cohorts } = json;
  if (!Array.isArray(cohorts)) return refuse(`${where} has no list of counts`, "a list", cohorts);
  const counted = cohorts.map((cohort: unknown): TensorProgress => {
    const names: unknown = isObject(cohort) ? cohort.names : undefined;
    if (!isObject(cohort) || !Array.isArray(names))
      return refuse(`${where} has a count of no tensors`, "names and steps", cohort);
    return of(`A count of ${where.toLowerCase()}`, cohort, names);
  });
  const names = counted.flatMap(({ names }) => names);
  if (names.length !== own.length || !own.every((name) => names.includes(name)))
    refuse(`${where} does not count the steps of each tensor once`, show(own), show(names));
  return { steps: all.steps, cohorts: counted };
}

function checkSteps(where: string, steps: unknown): number {
  if (isCount(steps)) return steps;
  return refuse(`${where} has no step count`, "a whole number from 0 to 2^53 - 1", steps);
}

function checkMemory(
  where: string,
  json: JSONObject,
  { row }: CheckpointGroup,
  pytorch: PyTorchTerms | undefined,
): RuleMemory {
  const memory = pytorch ? within(where, () => pytorch.memoryFromPyTorch(row.name, json)) : json.memory;
  const length = row.memory?.length ?? 0;
  if (Array.isArray(memory) && memory.length === length && memory.every(Number.isFinite)) return memory;
  return refuse(`${where} has not the rule's memory`, `${length} finite numbers`, memory);
}

function schedulesOf(
  { where, json }: FileGroup,
  schedules: readonly (BuiltinSchedule | undefined)[],
  { row, schedule, optionSchedules: own }: CheckpointGroup,
  decided: LoadOptions["schedules"],
) {
  const { optionSchedules: indices = {}, constant } = json;
  if (!isObject(indices)) return refuse(`${where} has no schedules of options`, "an object", indices);
  const at = (index: unknown, other: SavedSchedule): SavedSchedule => {
    if (!isCount(index) || index >= schedules.length)
      return refuse(`${where} has no schedule`, `an index below ${schedules.length}`, index);
    return schedules[index] ?? other;
  };
  const choose = (what: string, own: Schedule | undefined, saved: SavedSchedule): ChosenSchedule => {
    const chosen = chooseSchedule(own, saved, decided);
    if ("from" in chosen) return chosen;
    return refuse(
      `${where} has another schedule of ${what} than the optimizer`,
      `${chosen.here}, as here`,
      `${chosen.file} in the file`,
      chosen.cannot
        ? 'create the optimizer with it, or pass { schedules: "keep" }'
        : 'pass { schedules: "file" } or "keep" to say which goes on',
    );
  };
  // Files of old do not say whether there was one.
  const other = constant === true ? "none" : constant === false ? "user" : "unknown";
  const rate = choose("the rate", schedule === constantRate ? undefined : schedule, at(json.schedule, other));
  const names = [...new Set([...Object.keys(own), ...Object.keys(indices)])];
  const others = names.map((name) => {
    if (Object.hasOwn(indices, name)) within(where, () => checkScheduledOption(row, name));
    const saved = Object.hasOwn(indices, name) ? at(indices[name], "user") : "none";
    return [name, choose(`'${name}'`, Object.hasOwn(own, name) ? own[name] : undefined, saved)] as const;
  });
  return {
    schedule: rate.schedule ?? constantRate,
    optionSchedules: Object.fromEntries(
      others.flatMap(([name, { schedule }]) => (schedule ? [[name, schedule]] : [])),
    ),
    restore: () => {
      rate.restore();
      for (const [, { restore }] of others) restore();
    },
    loaded: {
      schedule: rate.from,
      optionSchedules: Object.fromEntries(others.map(([name, { from }]) => [name, from])),
    },
  };
}
