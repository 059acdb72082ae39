import { isCompensation } from "../engine/memory/group-memory.js";
import { OptimError, type OptimErrorDetails } from "../errors.js";
import { checkOptions, checkScheduledOption, type RuleMemory, type RuleOptions } from "../rule.js";
import type { BuiltinSchedule, Schedule } from "../schedules/schedule.js";
import {
  type CheckpointGroup,
  FORMAT_NAMES,
  FORMAT_VERSION,
  type GroupProgress,
  type GuardProgress,
  OWN_KEYS,
  stateName,
  type TensorProgress,
} from "./contents.js";
import { describeTensors, type PyTorchTerms } from "./describe.js";
import { quoted } from "./format.js";
import type { SafetensorsHeader, TensorRange } from "./read.js";
import { chooseSchedule, needsMaker, readSchedules, type ScheduleMaker } from "./schedules.js";

/** What a group goes on with. */
export interface CheckedGroupState extends GroupProgress {
  readonly options: RuleOptions;
  readonly schedule: Schedule;
  readonly optionSchedules: Readonly<Record<string, Schedule>>;
  /** Gives plateau schedules their state; the only part that acts. */
  readonly restoreSchedule: () => void;
}

/** A checkpoint that fits an optimizer. */
export interface CheckedCheckpoint {
  readonly groups: readonly CheckedGroupState[];
  readonly guards: Pick<GuardProgress, "dynamic" | "lossScale" | "goodSteps"> | undefined;
  /** By name, those of the optimizer: the caller's choice of parameters, and all states. */
  readonly tensors: ReadonlyMap<string, TensorRange>;
  /** Of what a file of PyTorch's has in other terms, the bytes in ours. */
  readonly converted: (name: string, of: (range: TensorRange) => Uint8Array) => Uint8Array | undefined;
  /** Names of compensations that the file has not, as no older one has: they begin with zeros. */
  readonly missing: ReadonlySet<string>;
  /** The caller's. */
  readonly metadata: ReadonlyMap<string, string>;
}

type JSONObject = Readonly<Record<string, unknown>>;

const HARM = "write the file again, or take an unharmed copy";
const OTHER = "create the optimizer as the one that was saved";

function refuse(what: string, expected: string, got: unknown, fix = HARM, cause?: unknown): never {
  const details: OptimErrorDetails = { expected, got: typeof got === "string" ? got : show(got), fix };
  throw new OptimError("invalid-checkpoint", what, details, cause === undefined ? undefined : { cause });
}

function show(value: unknown): string {
  return quoted(JSON.stringify(value) ?? "nothing").slice(1, -1);
}

/** Runs a check of options or schedules, whose error becomes the checkpoint's. */
function within<T>(what: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof OptimError)) throw error;
    const { expected = "a valid value", got = "another", fix } = error.details;
    return refuse(`${what}: ${error.message.split(". ")[0]}`, expected, got, fix ?? OTHER, error);
  }
}

const isObject = (value: unknown): value is JSONObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** What some files take to be read. */
export interface Terms {
  readonly pytorch: PyTorchTerms | undefined;
  readonly make: ScheduleMaker | undefined;
}

const ownSchedules = (groups: readonly CheckpointGroup[]): readonly Schedule[] =>
  groups.flatMap(({ schedule, optionSchedules }) => [schedule, ...Object.values(optionSchedules)]);

/** Loads what a file takes. Whatever is wrong with it is for {@link checkCheckpoint} to say. */
export async function loadTerms(
  { metadata }: SafetensorsHeader,
  groups: readonly CheckpointGroup[],
): Promise<Terms> {
  let list: unknown;
  try {
    list = JSON.parse(metadata.get("schedules") ?? "");
  } catch {
    list = [];
  }
  const [pytorch, schedules] = await Promise.all([
    metadata.get("format") === FORMAT_NAMES.pytorch ? import("./pytorch-terms.js") : undefined,
    Array.isArray(list) && needsMaker(list, ownSchedules(groups))
      ? import("../schedules/from-json.js")
      : undefined,
  ]);
  return { pytorch, make: schedules?.scheduleFromJSON };
}

/**
 * Checks a checkpoint against an optimizer's groups and works out what they go on with. Nothing changes.
 * @param parameters whether the parameters are to be read, too
 * @param terms that {@link loadTerms} gave
 * @throws OptimError `invalid-checkpoint`
 */
export function checkCheckpoint(
  { metadata, tensors }: SafetensorsHeader,
  groups: readonly CheckpointGroup[],
  parameters: boolean,
  { pytorch: terms, make }: Terms,
): CheckedCheckpoint {
  const pytorch = checkFormat(metadata) ? terms : undefined;
  const saved = parse(metadata, "groups");
  if (!Array.isArray(saved) || saved.length !== groups.length)
    refuse(
      "The checkpoint has other parameter groups",
      `${groups.length} groups`,
      Array.isArray(saved) ? `${saved.length}` : saved,
      OTHER,
    );
  const list = parse(metadata, "schedules");
  if (!Array.isArray(list)) refuse("The checkpoint has no list of schedules", "a list", list);
  const schedules = within("A schedule of the checkpoint is wrong", () =>
    readSchedules(list, ownSchedules(groups), make),
  );
  const states = groups.map((group, index) => {
    const where = `Group ${index} of the checkpoint`;
    const json: unknown = saved[index];
    if (!isObject(json)) return refuse(`${where} is no object`, "an object", json);
    checkNames(where, json.names, group);
    return {
      options: pytorch ? pytorchOptions(where, json, group, pytorch) : nativeOptions(where, json, group),
      ...progressOf(where, json, group, pytorch),
      ...schedulesOf(where, json, schedules, group),
    };
  });
  const squares = pytorch?.squaresOf(groups);
  const found = checkTensors(tensors, groups, parameters, (name) => squares?.get(name)?.name ?? name);
  return {
    groups: states,
    guards: checkGuards(metadata),
    ...found,
    converted: (name, of) => {
      const mean = squares?.get(name)?.mean;
      return mean === undefined
        ? undefined
        : pytorch?.variance(of(found.tensors.get(name)!), of(found.tensors.get(mean)!));
    },
    metadata: new Map([...metadata].filter(([key]) => !OWN_KEYS.includes(key))),
  };
}

/** Whether the file is in PyTorch's terms. */
function checkFormat(metadata: ReadonlyMap<string, string>): boolean {
  const format = metadata.get("format");
  const names = Object.values(FORMAT_NAMES);
  if (format === undefined || !names.includes(format))
    refuse("The file is no checkpoint of an optimizer", `format ${names.join(" or ")}`, format ?? "none");
  const version = metadata.get("format_version") ?? "none";
  if (!/^[1-9]\d{0,8}$/.test(version))
    refuse("The checkpoint has no version", "a whole number from 1", quoted(version));
  if (Number(version) > FORMAT_VERSION)
    refuse(
      "The checkpoint is of a newer format",
      `version ${FORMAT_VERSION} or older`,
      `${version}, by ${quoted(metadata.get("library") ?? "an unknown library")}`,
      "update webgpu-optim",
    );
  return format === FORMAT_NAMES.pytorch;
}

function parse(metadata: ReadonlyMap<string, string>, key: string): unknown {
  const text = metadata.get(key);
  try {
    if (text !== undefined) return JSON.parse(text);
  } catch {
    // Refused below.
  }
  return refuse(
    `The metadata '${key}' of the checkpoint cannot be read`,
    "JSON",
    text ? quoted(text) : "nothing",
  );
}

function checkNames(where: string, names: unknown, { tensors }: CheckpointGroup): void {
  const own = tensors.map(({ name }) => name);
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string"))
    refuse(`${where} has no list of names`, "names", names);
  const given = new Set<string>(names);
  const missing = own.find((name) => !given.has(name));
  if (missing !== undefined) refuse(`${where} lacks a parameter`, quoted(missing), show(names), OTHER);
  const extra = names.find((name) => !own.includes(name));
  if (extra !== undefined || names.length !== own.length)
    refuse(`${where} has another parameter`, show(own), quoted(extra ?? "a name twice"), OTHER);
}

function nativeOptions(where: string, json: JSONObject, group: CheckpointGroup): RuleOptions {
  const { row } = group;
  if (json.rule !== row.name) refuse(`${where} is of another rule`, row.name, json.rule, OTHER);
  if (!isObject(json.options)) return refuse(`${where} has no options`, "an object", json.options);
  return checkedOptions(where, json.options, group);
}

function pytorchOptions(
  where: string,
  json: JSONObject,
  group: CheckpointGroup,
  { fromPyTorchGroup }: PyTorchTerms,
): RuleOptions {
  const { optimizer, config } = json;
  if (typeof optimizer !== "string" || !isObject(config))
    return refuse(`${where} is not described as PyTorch does`, "optimizer and config", json);
  const options = within(where, () => fromPyTorchGroup(group.row.name, { optimizer, config }));
  return checkedOptions(where, options, group);
}

/** Options in range, and those that are compiled into the kernel as they were compiled. */
function checkedOptions(where: string, given: object, { row, options: own }: CheckpointGroup): RuleOptions {
  const options = within(where, () => checkOptions(row, given));
  const [saved, compiled] = [options, own].map((values) => JSON.stringify(row.constants?.(values) ?? {}));
  if (saved !== compiled)
    refuse(`${where} has options that are compiled into another kernel`, compiled!, saved, OTHER);
  return options;
}

/** How far the group and its tensors have come. */
function progressOf(
  where: string,
  json: JSONObject,
  group: CheckpointGroup,
  pytorch: PyTorchTerms | undefined,
): GroupProgress {
  const own = group.tensors.map(({ name }) => name);
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
  where: string,
  { schedule: index, optionSchedules: indices = {} }: JSONObject,
  schedules: readonly (BuiltinSchedule | undefined)[],
  { row, schedule: own, optionSchedules: ownOthers }: CheckpointGroup,
) {
  const choose = (own: Schedule, index: unknown) => {
    if (!isCount(index) || index >= schedules.length)
      return refuse(`${where} has no schedule`, `an index below ${schedules.length}`, index);
    return chooseSchedule(own, schedules[index]);
  };
  if (!isObject(indices)) return refuse(`${where} has no schedules of options`, "an object", indices);
  const rate = choose(own, index);
  const others = Object.entries(indices).map(([name, index]) => {
    within(where, () => checkScheduledOption(row, name));
    // One that is the caller's in the file needs the caller's here.
    const other = Object.hasOwn(ownOthers, name) ? ownOthers[name] : undefined;
    const saved = isCount(index) ? schedules[index] : undefined;
    if (!other && !saved)
      refuse(
        `${where} has a schedule of '${name}' that no file can hold`,
        "an optimizer with one",
        "none",
        OTHER,
      );
    return [name, choose(other ?? saved!, index)] as const;
  });
  return {
    schedule: rate.schedule,
    optionSchedules: Object.fromEntries(others.map(([name, { schedule }]) => [name, schedule])),
    restoreSchedule: () => {
      rate.restore();
      for (const [, { restore }] of others) restore();
    },
  };
}

function checkGuards(metadata: ReadonlyMap<string, string>): CheckedCheckpoint["guards"] {
  if (!metadata.has("guards")) return undefined;
  const guards = parse(metadata, "guards");
  if (!isObject(guards)) return refuse("The guards of the checkpoint are no object", "an object", guards);
  const { dynamic, lossScale, goodSteps } = guards;
  if (typeof dynamic !== "boolean")
    return refuse("The guards of the checkpoint are incomplete", "dynamic true or false", dynamic);
  if (typeof lossScale !== "number" || !(lossScale >= 2 ** -126 && lossScale <= 2 ** 126))
    return refuse("The loss scale of the checkpoint is wrong", "2^-126 to 2^126", lossScale);
  if (!isCount(goodSteps) || goodSteps >= 2 ** 32)
    return refuse("The loss scale's step count in the checkpoint is wrong", "a u32", goodSteps);
  return { dynamic, lossScale, goodSteps };
}

function checkTensors(
  tensors: ReadonlyMap<string, TensorRange>,
  groups: readonly CheckpointGroup[],
  parameters: boolean,
  nameInFile: (name: string) => string,
): Pick<CheckedCheckpoint, "tensors" | "missing"> {
  const wanted = describeTensors(groups, parameters);
  const found = new Map<string, TensorRange>();
  const missing = new Set<string>();
  const optional = new Set(
    groups.flatMap(({ row, tensors, states }) =>
      states
        .filter((state) => isCompensation(state) && !row.shader.states.includes(state))
        .flatMap((state) => tensors.map(({ name }) => stateName(name, state))),
    ),
  );
  for (const { name, shape } of wanted) {
    const tensor = tensors.get(nameInFile(name));
    if (!tensor) {
      if (optional.has(name)) {
        missing.add(name);
        continue;
      }
      const isParameter = groups.some((group) => group.tensors.some((own) => own.name === name));
      return refuse(
        `The checkpoint lacks tensor ${quoted(name)}`,
        quoted(name),
        `${tensors.size} other tensors`,
        isParameter ? "load with { parameters: false } where it was saved so" : OTHER,
      );
    }
    if (tensor.dtype !== "F32" || tensor.shape.join() !== shape.join())
      refuse(
        `Tensor ${quoted(name)} of the checkpoint is another`,
        `F32 [${shape.join(", ")}]`,
        `${tensor.dtype} [${tensor.shape.join(", ")}]`,
        OTHER,
      );
    found.set(name, tensor);
  }
  const known = new Set(describeTensors(groups, true).map(({ name }) => nameInFile(name)));
  for (const name of tensors.keys())
    if (!known.has(name))
      refuse(`The checkpoint has a tensor too many`, "those of this optimizer", quoted(name), OTHER);
  return { tensors: found, missing };
}
