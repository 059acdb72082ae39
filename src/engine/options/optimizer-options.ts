import { checkOptions, flag, type Rule } from "../../rule.js";
import { constantRate, type Schedule } from "../../schedules/schedule.js";
import type { BlendWeights } from "../group.js";
import type { TelemetryOptions } from "../guards/reports.js";
import { checkParameters, type Parameter, type Tensor } from "../memory/parameters.js";
import { GROUP_BYTES } from "../memory/slots.js";
import { USAGE } from "../memory/usage.js";
import type { Parts } from "../parts.js";
import type { AverageOptions, SlowWeightsOptions } from "./average-options.js";
import type { GuardOptions, Guards, UnitwiseGuards } from "./guard-options.js";
import type { AnyOptions, Hyperparameters, NoOptions } from "./hyperparameters.js";
import { refuse } from "./refuse.js";
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
  /** Instead of the optimizer's. */
  readonly guards?: UnitwiseGuards | undefined;
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
export interface GivenGroup {
  readonly parameters: readonly Parameter[];
  readonly rule?: Rule | undefined;
  readonly schedule?: Schedule | undefined;
  readonly optionSchedules?: OptionSchedules | undefined;
  readonly compensated?: boolean | undefined;
  readonly guards?: UnitwiseGuards | undefined;
  readonly [option: string]: unknown;
}

/** A checked group, before anything is made of it. */
export interface CheckedGroup {
  readonly rule: Rule;
  readonly schedule: Schedule;
  readonly optionSchedules: OptionSchedules;
  readonly compensated: boolean;
  /** Its own guards, which are checked where they are loaded. */
  readonly guards: UnitwiseGuards | undefined;
  readonly tensors: readonly Tensor[];
}

/** What groups have where they have none of their own. */
export type GroupDefaults = Pick<
  GivenGroup,
  "rule" | "schedule" | "optionSchedules" | "compensated" | "guards"
>;

/** All that {@link createOptimizer} was asked for, checked. */
export interface CheckedOptions {
  readonly label: string;
  readonly defaults: GroupDefaults;
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

/**
 * Checks everything that can be checked without the GPU. To be {@link explained}, as all checks here.
 * @param parts that the options ask for
 */
export function checkOptimizerOptions(
  device: GPUDevice,
  options: OptimizerOptions<AnyOptions>,
  parts: Parts,
): CheckedOptions {
  const { guard, copying } = parts;
  const {
    parameters,
    groups: given,
    rule,
    schedule,
    optionSchedules,
    compensated,
    guards,
    accumulation = false,
    stepsInFlight = 64,
    slowWeights,
    average,
    label,
  } = options ?? {};
  for (const name of Object.keys(options ?? {}))
    if (!OPTION_NAMES.includes(name)) refuse((say) => say.unknownOption(name, OPTION_NAMES));
  if (!(parameters === undefined ? Array.isArray(given) : Array.isArray(parameters) && given === undefined))
    refuse((say) => say.noLists(parameters, given));
  const defaults = { rule, schedule, optionSchedules, compensated, guards };
  const groups = checkGroups(
    (given ?? [{ parameters: parameters! }]).map((group) => withDefaults(group, defaults)),
    (index) => `Group ${index}`,
  );
  if (!groups.some(({ tensors }) => tensors.length > 0)) refuse((say) => say.noParameter(groups.length));
  if (!Number.isSafeInteger(stepsInFlight) || stepsInFlight < 1) refuse((say) => say.noCount(stepsInFlight));
  const checked = {
    label: label ?? groups[0]!.rule.row.name,
    defaults,
    groups,
    accumulation,
    stepsInFlight,
    blends: {
      slow: slowWeights === undefined ? undefined : copying?.slowWeight(slowWeights),
      average: average === undefined ? undefined : copying?.averageWeight(average),
    },
    ...(guard?.checkGuarding(options, groups) ?? NO_GUARDING),
  };
  checkLimits(device, checked, parts);
  return checked;
}

const NO_GUARDING = { guards: undefined, telemetry: undefined, sam: undefined };

/** A group with what it has none of its own of, or undefined. */
export const withDefaults = (
  group: GroupOptions,
  { rule, schedule, optionSchedules, compensated }: GroupDefaults,
): GivenGroup => ({
  ...group,
  rule: group?.rule ?? rule,
  schedule: group?.schedule ?? schedule,
  optionSchedules: group?.optionSchedules ?? optionSchedules,
  compensated: group?.compensated ?? compensated,
});

/** Checks groups. @param others tensors that they join */
export function checkGroups(
  groups: readonly GivenGroup[],
  nameOf: (index: number) => string,
  others?: readonly Tensor[],
): CheckedGroup[] {
  groups.forEach(({ parameters }, index) => {
    if (!Array.isArray(parameters)) refuse((say) => say.noList(nameOf(index), parameters));
  });
  const tensors = checkParameters(
    groups.map(({ parameters }) => parameters),
    others,
  );
  return groups.map((group, index) => checkedGroup(group, tensors[index]!, nameOf(index)));
}

function checkedGroup(
  {
    parameters: _,
    rule,
    schedule,
    optionSchedules = {},
    compensated = false,
    guards,
    ...overrides
  }: GivenGroup,
  tensors: readonly Tensor[],
  what: string,
): CheckedGroup {
  // A factory has a row as well, but no options.
  if (typeof rule !== "object" || typeof rule?.row?.shader !== "object" || typeof rule.options !== "object")
    return refuse((say) => say.noRule(what, rule));
  const { row } = rule;
  checkOptions({ ...row, options: { compensated: flag(false) } }, { compensated });
  const own = checkOptions(row, overrides, rule.options);
  const { absolute } = row;
  // restore() copies parameters back.
  for (const { name, param } of row.shader.lookahead ? tensors : [])
    if (!(param.buffer.usage & USAGE.COPY_DST))
      refuse((say) => say.noCopyTarget(row.name, name, param.buffer));
  return {
    rule: { row, options: own },
    schedule: checkSchedule(row.name, schedule ?? constantRate),
    optionSchedules: checkOptionSchedules(row.name, row, optionSchedules),
    compensated: compensated && !(typeof absolute === "function" ? absolute(own) : absolute),
    guards,
    tensors,
  };
}

/** Refuses what needs more than a limit allows. */
export function requireAtMost(
  label: string,
  what: string,
  limit: keyof GPUSupportedLimits,
  most: number,
  needed: number,
  fix: string,
): void {
  if (needed > most) refuse((say) => say.tooMany(label, what, limit, most, needed, fix));
}

/** Refuses what the device does not allow. */
export function checkLimits(
  { limits }: GPUDevice,
  checked: CheckedOptions,
  { guard, whole, unitwise }: Parts,
): void {
  const { label, groups, stepsInFlight, sam } = checked;
  const { maxStorageBuffersPerShaderStage: most, maxBufferSize } = limits;
  for (const { rule, compensated } of groups) {
    const { states, lookahead } = rule.row.shader;
    const beside = rule.row.whole ? (whole?.kindsOf(rule.row.whole).length ?? 0) : 0;
    const own = 2 + states.length + Number(compensated || beside) + Number(lookahead || sam !== undefined);
    const needed = own + (guard?.extraBuffers(groups, checked) ?? 0);
    const fix = "request a larger limit from the adapter";
    requireAtMost(label, "storage buffers", "maxStorageBuffersPerShaderStage", most, needed, fix);
  }
  const blocks = stepsInFlight * groups.length * GROUP_BYTES;
  requireAtMost(label, "uniform bytes", "maxBufferSize", maxBufferSize, blocks, "lower stepsInFlight");
  guard?.checkGuardLimits(limits, checked, blocks);
  whole?.checkWhole(limits, checked);
  unitwise?.checkUnitwise(limits, checked);
}
