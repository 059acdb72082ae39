import { scheduleFromJSON } from "../schedules/from-json.js";
import { isPlateauSchedule } from "../schedules/plateau.js";
import { type BuiltinSchedule, isBuiltinSchedule, type Schedule } from "../schedules/schedule.js";
import { type SavedSchedules, scheduleToJSON, USER_SCHEDULE } from "./saved-schedules.js";

/** The value of a schedule as it was taken down; of one of the caller's, as it is now. */
export function savedValue({ list, indexOf }: SavedSchedules, schedule: Schedule, step: number): number {
  const json = list[indexOf(schedule)];
  return (json === USER_SCHEDULE ? schedule : scheduleFromJSON(json))(step);
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
  if (!isBuiltinSchedule(own) || withoutState(scheduleToJSON(own)) !== withoutState(scheduleToJSON(saved)))
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
