import { frameworks, fromFramework, OptimError, type Rule } from "../index.js";
import { describeOptions, type Job } from "./job.js";
import { tenfold } from "./numbers.js";
import { judgeRuns } from "./outcome.js";
import { runRule } from "./run-rule.js";
import type { NamedSchedule } from "./schedule-examples.js";
import { runWhole, SAMPLE } from "./whole-cases.js";

type Config = Readonly<Record<string, unknown>>;

/** Whether a key of a framework's table is marked so: `required` of a number without a default, `optional` of one that may be null. */
const is = (mark: "required" | "optional", value: unknown) =>
  typeof value === "object" && value !== null && mark in value;

/** Other values of a key than its default, to be tried in order: not every framework takes every value. */
function others(value: unknown): unknown[] {
  if (typeof value === "boolean") return [!value];
  if (typeof value === "number") {
    if (value === 0) return [0.1, 0.05, 1];
    return Math.abs(value) < 1e-3 ? [tenfold(value)] : [value * 0.8, value / 2, value * 2];
  }
  if (Array.isArray(value)) return [value.map((item) => (typeof item === "number" ? item * 0.9 : item))];
  if (is("required", value)) return [0.02];
  if (is("optional", value)) return [0.5, 0.1, 3];
  if (typeof value === "object" && value !== null && "names" in value)
    return (value.names as readonly string[]).slice(1);
  // A key that changes no result.
  return [];
}

/** Coefficients of Muon that iterate to what they should: further off, they diverge. */
const near: Config = { muon_a: 3, muon_b: -5, muon_c: 1.8 };

interface DialectCase {
  readonly config: Config;
  /** What the framework says to it. */
  readonly rule: Rule | OptimError;
}

/** An optimizer of a framework at its defaults and with each key changed; with a second key where one alone is refused. */
function configsOf(framework: string, optimizer: string): DialectCase[] {
  const keys = frameworks[framework]!.optimizers[optimizer]!.keys as Config;
  const required = Object.fromEntries(
    Object.entries(keys).flatMap(([key, value]) => (is("required", value) ? [[key, 0.01]] : [])),
  );
  const attempt = (config: Config): DialectCase => {
    try {
      return { config, rule: fromFramework(framework, optimizer, { ...required, ...config }) };
    } catch (error) {
      if (error instanceof OptimError) return { config, rule: error };
      throw error;
    }
  };
  const changed = (key: string) =>
    (Object.hasOwn(near, key) ? [near[key]] : others(keys[key])).map((value) => ({ [key]: value }));
  const first = (configs: readonly Config[]): DialectCase => {
    for (const config of configs) {
      const one = attempt(config);
      if (!(one.rule instanceof OptimError)) return one;
    }
    return attempt(configs[0]!);
  };
  return [
    attempt({}),
    ...Object.keys(keys).flatMap((key) => {
      if (others(keys[key]).length === 0) return [];
      const together = Object.keys(keys).filter((other) => other !== key);
      return first([
        ...changed(key),
        ...changed(key).flatMap((config) =>
          together.flatMap((other) => changed(other).map((more) => ({ ...config, ...more }))),
        ),
      ]);
    }),
  ];
}

/**
 * Every framework's optimizers under its own names: at their defaults under every schedule, with each key changed under
 * one schedule, in turns. Where passes over whole tensors take their time, defaults have one, too.
 */
export function dialectJobs(schedules: readonly NamedSchedule[], isWanted: (rule: string) => boolean): Job[] {
  let turn = 0;
  return Object.entries(frameworks).flatMap(([framework, { optimizers }]) =>
    Object.keys(optimizers).flatMap((optimizer) =>
      configsOf(framework, optimizer).flatMap(({ config, rule }, index): Job[] => {
        const name = rule instanceof OptimError ? "" : rule.row.name;
        if (!isWanted(name)) return [];
        const all = index === 0 && (rule instanceof OptimError || !rule.row.whole);
        const driving = all ? schedules : [schedules[turn++ % schedules.length]!];
        return driving.map((schedule) => ({
          cases: [
            {
              id: `dialect/${framework}/${optimizer}/${describeOptions(config)}/${schedule.name}`,
              kind: "dialect",
              rule: name,
              dialect: framework,
              schedule: schedule.name,
            },
          ],
          run: async ({ device, software }) => {
            if (rule instanceof OptimError) throw rule;
            const runs = rule.row.whole
              ? runWhole(device, rule, {}, schedule.make(), SAMPLE)
              : runRule(device, rule, schedule.make());
            return [judgeRuns(await runs, software)];
          },
        }));
      }),
    ),
  );
}
