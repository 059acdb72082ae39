import type { Schedule } from "../schedules/schedule.js";
import { type CheckedGroupState, fileGroups, match, stateOf } from "./check-groups.js";
import { checkTensors, type FreshState } from "./check-tensors.js";
import {
  type CheckpointGroup,
  FORMAT_NAMES,
  FORMAT_VERSION,
  type GuardProgress,
  OWN_KEYS,
} from "./contents.js";
import type { PyTorchTerms } from "./describe.js";
import { quoted } from "./format.js";
import type { LoadOptions, LoadResult } from "./load.js";
import type { SafetensorsHeader, TensorRange } from "./read.js";
import { isCount, isObject, refuse, within } from "./refuse.js";
import { needsMaker, readSchedules, type ScheduleMaker } from "./schedules.js";

/** A checkpoint that fits an optimizer. */
export interface CheckedCheckpoint {
  readonly groups: readonly CheckedGroupState[];
  readonly guards: Pick<GuardProgress, "dynamic" | "lossScale" | "goodSteps"> | undefined;
  /** By name, those of the optimizer: the caller's choice of parameters, and all states. */
  readonly tensors: ReadonlyMap<string, TensorRange>;
  /** Of what a file of PyTorch's has in other terms, the bytes in ours. */
  readonly converted: (name: string, of: (range: TensorRange) => Uint8Array) => Uint8Array | undefined;
  /** Names of states that the file has not and that begin anew, with the tensor that they belong to. */
  readonly begun: ReadonlyMap<string, FreshState>;
  readonly result: LoadResult;
}

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
 * @param terms that {@link loadTerms} gave
 * @throws OptimError `invalid-checkpoint`
 */
export function checkCheckpoint(
  { metadata, tensors }: SafetensorsHeader,
  groups: readonly CheckpointGroup[],
  options: LoadOptions,
  { pytorch: terms, make }: Terms,
): CheckedCheckpoint {
  const pytorch = checkFormat(metadata) ? terms : undefined;
  const saved = parse(metadata, "groups");
  if (!Array.isArray(saved)) refuse("The checkpoint has no list of groups", "a list", saved);
  const list = parse(metadata, "schedules");
  if (!Array.isArray(list)) refuse("The checkpoint has no list of schedules", "a list", list);
  const schedules = within("A schedule of the checkpoint is wrong", () =>
    readSchedules(list, ownSchedules(groups), make),
  );
  const files = fileGroups(saved);
  const { missing, extra, matches } = match(files, groups, options);
  const states = matches.map((from, index) => stateOf(groups[index]!, from, { schedules, options, pytorch }));
  const squares = pytorch?.squaresOf(groups);
  const found = checkTensors(tensors, groups, options, {
    nameInFile: (name) => squares?.get(name)?.name ?? name,
    fresh: new Set(
      states.flatMap(({ cohorts }) => cohorts.flatMap((one) => (one.steps === 0 ? one.names : []))),
    ),
    missing: new Set(missing),
    extra,
  });
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
    result: {
      metadata: new Map([...metadata].filter(([key]) => !OWN_KEYS.includes(key))),
      groups: states.map(({ loaded }) => loaded),
      missing,
      extra,
    },
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
