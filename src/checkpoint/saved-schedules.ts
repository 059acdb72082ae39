import { isBuiltinSchedule, type Schedule } from "../schedules/schedule.js";

/** Stands in a file for a schedule with a function of the caller's in it, which no file can hold. */
export const USER_SCHEDULE = "user";

/** Schedules as JSON, each once. */
export interface SavedSchedules {
  readonly list: readonly unknown[];
  /** The place of a schedule in the list. */
  readonly indexOf: (schedule: Schedule) => number;
}

/** Takes down schedules as they are now. Groups that share a schedule share it in the file as well. */
export function saveSchedules(schedules: readonly Schedule[]): SavedSchedules {
  const distinct = [...new Set(schedules)];
  const list = distinct.map((schedule) => scheduleToJSON(schedule) ?? USER_SCHEDULE);
  return { list, indexOf: (schedule) => distinct.indexOf(schedule) };
}

/** A schedule as plain data; undefined with a function of the caller's in it. */
export function scheduleToJSON(schedule: Schedule): unknown {
  if (!isBuiltinSchedule(schedule)) return undefined;
  try {
    return JSON.parse(JSON.stringify(schedule));
  } catch {
    // A function of the caller's is part of it.
    return undefined;
  }
}
