import { briefly, OptimError } from "../../errors.js";
import { checkOptions, flag, type Rule } from "../../rule.js";
import type { Schedule } from "../../schedules/schedule.js";
import type { BlendWeights } from "../group.js";
import type { TelemetryOptions } from "../guards/reports.js";
import { checkParameters, type Parameter, type Tensor } from "../memory/parameters.js";
import { GROUP_BYTES } from "../memory/slots.js";
import { USAGE } from "../memory/usage.js";
import type { Parts } from "../parts.js";
import type { AverageOptions, SlowWeightsOptions } from "./average-options.js";
import type { GuardOptions, Guards } from "./guard-options.js";
import type { AnyOptions, Hyperparameters, NoOptions } from "./hyperparameters.js";
import { checkOptionSchedules, checkSchedule, type OptionSchedules } from "./schedule-options.js";

/**
 * What a group has beside hyperparameters. Of its rule, `Rule<Own>` is where TypeScript finds `Own`, and `Rule` lets others
 * stand there.
 */
export interface GroupParts<Own extends object = NoOptions> {
  readonly parameters: readonly Parameter[];
  /** Instead of the optimizer's. */
  readonly rule?: Rule | Rule<Own> | undefined;
  /** Instead of the optimizer's. */
  readonly schedule?: Schedule | undefined;
  /** Instead of the optimizer's. */
  readonly optionSchedules?: OptionSchedules | undefined;
  /** Instead of the optimizer's. */
  readonly compensated?: boolean | undefined;
}

/**
 * Parameters with their own rule, schedule or hyperparameters: any option of the rule may stand here. `Own` are options of
 * a rule that the caller defined: `GroupOptions<OptionsOf<typeof myRule>>`.
 */
export type GroupOptions<Own extends object = NoOptions> = GroupParts<Own> & Hyperparameters<NoInfer<Own>>;

/**
 * Options of {@link createOptimizer}. `Own` are options of the caller's rules that its groups may give. TypeScript finds
 * them by the rule; where there are several such rules, name them: `createOptimizer<OptionsOf<typeof a> & OptionsOf<typeof b>>`.
 */
export interface OptimizerOptions<Own extends object = NoOptions> {
  /** What every step computes, from a factory such as `adamw({ lr: 1e-3 })`. A group may have its own. */
  readonly rule?: Rule | Rule<Own> | undefined;
  /** Factor on each group's rate at a step counted from 0; constant 1 if left out. */
  readonly schedule?: Schedule | undefined;
  /** Schedules of other options than the rate, by name: each gives the option's value at a step counted from 0. */
  readonly optionSchedules?: OptionSchedules | undefined;
  /** All parameters, in one group; or else `groups`. */
  readonly parameters?: readonly Parameter[] | undefined;
  readonly groups?: readonly GroupOptions<Own>[] | undefined;
  /**
   * Whether what the f32 of a parameter cannot hold is kept beside it, in state `compensation`, so that changes below half
   * an ulp of the parameter add up. It costs one f32 an element, and 8 bytes an element more a step. Default false. Rules whose parameter
   * follows from their states (FTRL, Schedule-Free) have nothing to keep: for them it changes nothing.
   */
  readonly compensated?: boolean | undefined;
  /** Whether `accumulate()` will be used; it costs two buffers as large as the parameters. */
  readonly accumulation?: boolean | undefined;
  /** Steps, look-aheads and accumulations that may be encoded and not yet submitted; default 64. */
  readonly stepsInFlight?: number | undefined;
  /** Clipping, unscaling, loss scale and what is done about NaN: all on the GPU. */
  readonly guards?: GuardOptions | undefined;
  /** Reports of norms, non-finite gradients and skipped steps, some steps late. */
  readonly telemetry?: TelemetryOptions | undefined;
  /** A running average of the parameters, for evaluation: `swapAverage()`. */
  readonly average?: AverageOptions | undefined;
  /** Lookahead's slow weights around the rule. */
  readonly slowWeights?: SlowWeightsOptions | undefined;
  /** Sharpness-aware minimization around the rule: `ascend()` before the gradient of each step. */
  readonly sam?: SamOptions | undefined;
  /** Begins the label of every GPU object; default the rule's name. */
  readonly label?: string | undefined;
}

/** SAM (Foret et al. 2021, algorithm 1): the gradient is taken at θ + ρ·g/‖g‖. */
export interface SamOptions {
  /** Radius ρ; default 0.05. */
  readonly rho?: number;
}

const OPTION_NAMES: readonly string[] = [
  "rule",
  "schedule",
  "optionSchedules",
  "parameters",
  "groups",
  "compensated",
  "accumulation",
  "stepsInFlight",
  "guards",
  "telemetry",
  "average",
  "slowWeights",
  "sam",
  "label",
] satisfies (keyof OptimizerOptions)[];

/** A group's options with the optimizer's rule and schedule, where it has none of its own. */
interface GivenGroup {
  readonly parameters: readonly Parameter[];
  readonly rule?: Rule | undefined;
  readonly schedule?: Schedule | undefined;
  readonly optionSchedules?: OptionSchedules | undefined;
  readonly compensated?: boolean | undefined;
  readonly [option: string]: unknown;
}

/** A checked group, before anything is made of it. */
export interface CheckedGroup {
  readonly rule: Rule;
  readonly schedule: Schedule;
  readonly optionSchedules: OptionSchedules;
  readonly compensated: boolean;
  readonly tensors: readonly Tensor[];
}

const constantRate: Schedule = () => 1;

/** All that {@link createOptimizer} was asked for, checked. */
export interface CheckedOptions {
  readonly label: string;
  /** Of groups that have none of their own. */
  readonly rule: Rule | undefined;
  readonly schedule: Schedule | undefined;
  readonly optionSchedules: OptionSchedules | undefined;
  readonly compensated: boolean | undefined;
  readonly groups: readonly CheckedGroup[];
  readonly accumulation: boolean;
  readonly stepsInFlight: number;
  /** Present where steps are monitored: with guards or telemetry. */
  readonly guards: Guards | undefined;
  readonly telemetry: TelemetryOptions | undefined;
  readonly blends: BlendWeights;
  /** SAM's radius. */
  readonly sam: number | undefined;
}

/** Checks everything that can be checked without the GPU. @param parts that the options ask for @throws OptimError */
export function checkOptimizerOptions(
  device: GPUDevice,
  options: OptimizerOptions<AnyOptions>,
  parts: Parts,
): CheckedOptions {
  const { guard, copying } = parts;
  for (const name of Object.keys(options ?? {}))
    if (!OPTION_NAMES.includes(name))
      throw new OptimError("invalid-argument", `createOptimizer has no option '${name}'`, {
        expected: `one of ${OPTION_NAMES.join(", ")}`,
        got: `'${name}'`,
        fix: "hyperparameters go to the rule or to a group",
      });
  const groups = checkGroups(options);
  const { accumulation = false, stepsInFlight = 64 } = options;
  if (!Number.isSafeInteger(stepsInFlight) || stepsInFlight < 1)
    throw new OptimError("invalid-argument", "stepsInFlight is no count", {
      expected: "a whole number of at least 1",
      got: briefly(stepsInFlight),
      fix: "leave it out for 64",
    });
  const label = options.label ?? groups[0]?.rule.row.name ?? "optimizer";
  const { guards, telemetry, sam } = guard?.checkGuarding(options, groups) ?? {};
  const { slowWeights, average, rule, schedule, optionSchedules, compensated } = options;
  const blends = {
    slow: slowWeights === undefined ? undefined : copying?.slowWeight(slowWeights),
    average: average === undefined ? undefined : copying?.averageWeight(average),
  };
  const checked = {
    label,
    rule,
    schedule,
    optionSchedules,
    compensated,
    groups,
    accumulation,
    stepsInFlight,
    guards,
    telemetry,
    blends,
    sam,
  };
  checkLimits(device, checked, parts);
  return checked;
}

function checkGroups(options: OptimizerOptions<AnyOptions>): CheckedGroup[] {
  const { parameters, groups } = options ?? {};
  if (!(parameters === undefined ? Array.isArray(groups) : Array.isArray(parameters) && groups === undefined))
    throw new OptimError("invalid-argument", "There are no parameters", {
      expected: "either a list 'parameters' or a list 'groups'",
      got: parameters === undefined ? briefly(groups) : groups === undefined ? briefly(parameters) : "both",
      fix: "pass { parameters: [{ name, param, grad }] }",
    });
  const given: readonly GroupOptions<AnyOptions>[] = groups ?? [{ parameters: parameters ?? [] }];
  const tensors = checkParameters(given.map((group, index) => requireList(group, `Group ${index}`)));
  if (tensors.flat().length === 0)
    throw new OptimError("invalid-argument", `There is no parameter${tensors.length === 0 ? " group" : ""}`, {
      expected: "at least one, in some group",
      got: "none",
      fix: "pass the parameters to train",
    });
  return given.map((group, index) =>
    checkedGroup(withDefaults(group, options), tensors[index] ?? [], `Group ${index}`),
  );
}

function requireList(
  group: { readonly parameters: readonly Parameter[] } | undefined,
  what: string,
): readonly Parameter[] {
  if (Array.isArray(group?.parameters)) return group.parameters;
  throw new OptimError("invalid-argument", `${what} has no list of parameters`, {
    expected: "{ parameters: [{ name, param, grad }], … }",
    got: briefly(group?.parameters),
    fix: "pass a list",
  });
}

/** A group with the optimizer's rule, schedules and compensation where it has none of its own, or undefined ones. */
export const withDefaults = (
  group: GroupOptions,
  {
    rule,
    schedule,
    optionSchedules,
    compensated,
  }: {
    readonly rule?: Rule | undefined;
    readonly schedule?: Schedule | undefined;
    readonly optionSchedules?: OptionSchedules | undefined;
    readonly compensated?: boolean | undefined;
  },
): GivenGroup => ({
  ...group,
  rule: group?.rule ?? rule,
  schedule: group?.schedule ?? schedule,
  optionSchedules: group?.optionSchedules ?? optionSchedules,
  compensated: group?.compensated ?? compensated,
});

/**
 * Checks a group that joins others.
 * @throws OptimError as `createOptimizer`
 */
export function checkGroup(group: GivenGroup, others: readonly Tensor[]): CheckedGroup {
  const [tensors = []] = checkParameters([requireList(group, "The group")], others);
  return checkedGroup(group, tensors, "The group");
}

function checkedGroup(
  { parameters: _, rule, schedule, optionSchedules = {}, compensated = false, ...overrides }: GivenGroup,
  tensors: readonly Tensor[],
  what: string,
): CheckedGroup {
  // A factory has a row as well, but no options.
  if (typeof rule !== "object" || typeof rule?.row?.shader !== "object" || typeof rule.options !== "object")
    throw new OptimError("invalid-argument", `${what} has no rule`, {
      expected: "a rule from a factory, such as adam({ lr: 1e-3 })",
      got: briefly(rule),
      fix: "import { adam } and pass rule: adam()",
    });
  checkOptions({ ...rule.row, options: { compensated: flag(false) } }, { compensated });
  const options = checkOptions(rule.row, overrides, rule.options);
  const { absolute } = rule.row;
  if (rule.row.shader.lookahead) for (const tensor of tensors) requireCopyTarget(rule, tensor);
  return {
    rule: { row: rule.row, options },
    schedule: checkSchedule(rule.row.name, schedule ?? constantRate),
    optionSchedules: checkOptionSchedules(rule.row.name, rule.row, optionSchedules),
    compensated: compensated && !(typeof absolute === "function" ? absolute(options) : absolute),
    tensors,
  };
}

/** restore() copies parameters back. */
function requireCopyTarget({ row }: Rule, { name, param }: Tensor): void {
  if (param.buffer.usage & USAGE.COPY_DST) return;
  throw new OptimError("invalid-buffer", `Parameter of '${name}' cannot be restored after a look-ahead`, {
    expected: `usage STORAGE | COPY_DST, which ${row.name} needs`,
    got: `usage 0x${param.buffer.usage.toString(16)}`,
    fix: "create the buffer with GPUBufferUsage.COPY_DST as well",
  });
}

/** Refuses what needs more than a limit allows. @throws OptimError `limit-exceeded` */
export function requireAtMost(
  label: string,
  what: string,
  limit: keyof GPUSupportedLimits,
  most: number,
  needed: number,
  fix: string,
): void {
  if (needed > most)
    throw new OptimError("limit-exceeded", `'${label}' needs too many ${what}`, {
      expected: `at most ${most} (${limit})`,
      got: `${needed}`,
      fix,
    });
}

/** @throws OptimError `limit-exceeded` */
export function checkLimits(device: GPUDevice, checked: CheckedOptions, { guard }: Parts): void {
  const { label, groups, stepsInFlight, sam } = checked;
  const { maxStorageBuffersPerShaderStage, maxBufferSize } = device.limits;
  for (const { rule, compensated } of groups) {
    const { states, lookahead } = rule.row.shader;
    requireAtMost(
      label,
      "storage buffers",
      "maxStorageBuffersPerShaderStage",
      maxStorageBuffersPerShaderStage,
      2 +
        states.length +
        Number(compensated) +
        (lookahead || sam !== undefined ? 1 : 0) +
        (guard?.extraBuffers(rule.row, checked) ?? 0),
      "request a larger limit from the adapter",
    );
  }
  const blocks = stepsInFlight * groups.length * GROUP_BYTES;
  requireAtMost(label, "uniform bytes", "maxBufferSize", maxBufferSize, blocks, "lower stepsInFlight");
  guard?.checkGuardLimits(device, checked, blocks);
}
