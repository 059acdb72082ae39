import { briefly, OptimError } from "../../errors.js";
import { checkScheduledOption, type RuleRow } from "../../rule.js";
import type { Schedule } from "../../schedules/schedule.js";

/**
 * Schedules of options other than the rate, by name: each gives the option's VALUE at a step counted from 0, such as a
 * momentum that cycles against the rate.
 */
export type OptionSchedules = Readonly<Record<string, Schedule>>;

/** @throws OptimError `invalid-schedule` for what is no function. */
export function checkSchedule(label: string, schedule: Schedule): Schedule {
  if (typeof schedule === "function") return schedule;
  throw new OptimError("invalid-schedule", `The schedule of '${label}' is no function`, {
    expected: "a schedule such as cosine({ steps }), or a function of the step",
    got: briefly(schedule),
    fix: "pass a schedule, or leave it out for a constant rate",
  });
}

/** @throws OptimError `invalid-option` for what is no number of the rule's, `invalid-schedule` for what is no function */
export function checkOptionSchedules(
  label: string,
  row: RuleRow,
  schedules: OptionSchedules,
): OptionSchedules {
  if (typeof schedules !== "object" || schedules === null || Array.isArray(schedules))
    throw new OptimError("invalid-schedule", `optionSchedules of '${label}' is no object`, {
      expected: "a schedule by the name of an option, such as { momentum: … }",
      got: briefly(schedules),
      fix: "pass an object, or leave it out",
    });
  for (const [name, schedule] of Object.entries(schedules)) {
    checkScheduledOption(row, name);
    checkSchedule(label, schedule);
  }
  return { ...schedules };
}
