import { isPlateauSchedule } from "../schedules/plateau.js";
import { type BuiltinSchedule, isBuiltinSchedule, type Schedule } from "../schedules/schedule.js";
import { scheduleToJSON, USER_SCHEDULE } from "./saved-schedules.js";

/**
 * What a group goes on with: its own schedule where the file's is the caller's; its own where it has the same options,
 * so that whoever reports to a plateau schedule goes on reporting to the same one; else the file's. The margin of a plateau
 * schedule is its own, since files from before there were two have PyTorch's.
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

/** Makes a schedule from JSON; `scheduleFromJSON`, which carries every schedule. */
export type ScheduleMaker = (json: unknown) => BuiltinSchedule;

/**
 * Makes the schedules of a file again; undefined for those of the caller's. One that is an own schedule as it is needs no
 * maker.
 * @throws OptimError `invalid-schedule`
 */
export function readSchedules(
  list: readonly unknown[],
  own: readonly Schedule[],
  make: ScheduleMaker | undefined,
): readonly (BuiltinSchedule | undefined)[] {
  return list.map((json) => {
    if (json === USER_SCHEDULE) return undefined;
    return findSame(json, own) ?? make?.(json);
  });
}

/** Whether reading the schedules of a file takes a maker. */
export const needsMaker = (list: readonly unknown[], own: readonly Schedule[]): boolean =>
  list.some((json) => json !== USER_SCHEDULE && !findSame(json, own));

const findSame = (json: unknown, own: readonly Schedule[]): BuiltinSchedule | undefined =>
  own
    .filter(isBuiltinSchedule)
    .find((schedule) => JSON.stringify(scheduleToJSON(schedule)) === JSON.stringify(json));

const withoutState = (json: unknown): string | undefined =>
  json === undefined
    ? undefined
    : JSON.stringify(json, (key, value: unknown) =>
        key === "state" || key === "margin" ? undefined : value,
      );

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
