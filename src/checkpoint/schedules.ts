import { isPlateauSchedule } from "../schedules/plateau.js";
import { type BuiltinSchedule, isBuiltinSchedule, type Schedule } from "../schedules/schedule.js";
import type { LoadedFrom, LoadOptions } from "./load.js";
import { scheduleToJSON, USER_SCHEDULE } from "./saved-schedules.js";

/** A schedule as a file has it: one of ours, `user` for one of the caller's, `none`, or unknown which of the latter. */
export type SavedSchedule = BuiltinSchedule | "user" | "none" | "unknown";

/** A schedule that is in force, and where it is from. */
export interface ChosenSchedule {
  /** None of an option without one. */
  readonly schedule: Schedule | undefined;
  readonly from: LoadedFrom;
  /** Gives plateau schedules their state; the only part that acts. */
  readonly restore: () => void;
}

/**
 * What goes on of a file's schedule and one's own. The same one of ours is one's own, with what the file's had learnt, so
 * that whoever reports to it goes on reporting to the same. The margin of a plateau is one's own, since files from before
 * there were two have PyTorch's.
 * @param own none where the caller gave none
 * @param decided by the caller, for schedules that differ
 * @returns both sides in words, where they differ and nothing was decided or can be
 */
export function chooseSchedule(
  own: Schedule | undefined,
  saved: SavedSchedule,
  decided: LoadOptions["schedules"],
): ChosenSchedule | { readonly file: string; readonly here: string; readonly cannot: boolean } {
  const keep: ChosenSchedule = { schedule: own, from: "optimizer", restore: () => {} };
  if (typeof saved !== "string") {
    if (own && isBuiltinSchedule(own)) {
      const alike = withoutState(scheduleToJSON(own)) === withoutState(scheduleToJSON(saved));
      if (alike) return { ...keep, from: "file", restore: () => copyState(saved, own) };
    }
    if (decided === "keep") return keep;
    if (!own || decided === "file") return { schedule: saved, from: "file", restore: () => {} };
    return { file: inWords(saved), here: inWords(own), cannot: false };
  }
  // A function may be the same: who wrote it knows.
  const function_ = own !== undefined && scheduleToJSON(own) === undefined;
  if (saved === "unknown" || decided === "keep") return keep;
  if (saved === "user")
    return function_ ? keep : { file: "a function that no file holds", here: inWords(own), cannot: true };
  if (!own) return keep;
  if (decided === "file") return { schedule: undefined, from: "file", restore: () => {} };
  return { file: "none", here: inWords(own), cannot: false };
}

const inWords = (schedule: Schedule | undefined): string =>
  schedule === undefined ? "none" : (withoutState(scheduleToJSON(schedule)) ?? "a function");

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
