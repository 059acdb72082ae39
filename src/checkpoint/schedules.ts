import { scheduleFromJSON } from "../schedules/from-json.js";
import { isPlateauSchedule } from "../schedules/plateau.js";
import { type BuiltinSchedule, isBuiltinSchedule, type Schedule } from "../schedules/schedule.js";

/** Stands in a file for a schedule with a function of the caller's in it, which no file can hold. */
const USER_SCHEDULE = "user";

/** Schedules as JSON, each once. */
export interface SavedSchedules {
  readonly list: readonly unknown[];
  /** The place of a schedule in the list. */
  readonly indexOf: (schedule: Schedule) => number;
  /** The value of a schedule as it was taken down; of one of the caller's, as it is now. */
  readonly value: (schedule: Schedule, step: number) => number;
}

/** Takes down schedules as they are now. Groups that share a schedule share it in the file as well. */
export function saveSchedules(schedules: readonly Schedule[]): SavedSchedules {
  const distinct = [...new Set(schedules)];
  const list = distinct.map((schedule) => toJSON(schedule) ?? USER_SCHEDULE);
  const indexOf = (schedule: Schedule) => distinct.indexOf(schedule);
  const value = (schedule: Schedule, step: number) => {
    const json = list[indexOf(schedule)];
    return (json === USER_SCHEDULE ? schedule : scheduleFromJSON(json))(step);
  };
  return { list, indexOf, value };
}

function toJSON(schedule: Schedule): unknown {
  if (!isBuiltinSchedule(schedule)) return undefined;
  try {
    return JSON.parse(JSON.stringify(schedule));
  } catch {
    // A function of the caller's is part of it.
    return undefined;
  }
}

/**
 * What a group goes on with: its own schedule where the file's is the caller's; its own where it has the same options,
 * so that whoever reports to a plateau schedule goes on reporting to the same one; else the file's.
 */
export function chooseSchedule(
  own: Schedule,
  saved: BuiltinSchedule | undefined,
): { readonly schedule: Schedule; readonly restore: () => void } {
  const keep = { schedule: own, restore: () => {} };
  if (!saved) return keep;
  if (!isBuiltinSchedule(own) || withoutState(toJSON(own)) !== withoutState(toJSON(saved)))
    return { ...keep, schedule: saved };
  return { schedule: own, restore: () => copyState(saved, own) };
}

/** Makes the schedules of a file again; undefined for those of the caller's. @throws OptimError `invalid-schedule` */
export function readSchedules(list: readonly unknown[]): readonly (BuiltinSchedule | undefined)[] {
  return list.map((json) => (json === USER_SCHEDULE ? undefined : scheduleFromJSON(json)));
}

const withoutState = (json: unknown): string | undefined =>
  json === undefined
    ? undefined
    : JSON.stringify(json, (key, value: unknown) => (key === "state" ? undefined : value));

/** Copies what plateau schedules have learnt between two schedules of the same options. */
function copyState(from: BuiltinSchedule, to: BuiltinSchedule): void {
  if (isPlateauSchedule(from) && isPlateauSchedule(to)) to.restore(from.state);
  const parts = ({ spec }: BuiltinSchedule) =>
    Object.values(spec)
      .flat()
      .filter((value) => typeof value === "function")
      .filter(isBuiltinSchedule);
  const targets = parts(to);
  parts(from).forEach((part, index) => {
    copyState(part, targets[index]!);
  });
}
