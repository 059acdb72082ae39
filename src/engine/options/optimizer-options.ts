import { OptimError } from "../../errors.js";
import { checkOptions, type Rule } from "../../rule.js";
import type { Schedule } from "../../schedules/schedule.js";
import { type BlendWeights, checkOptionSchedules, checkSchedule, type OptionSchedules } from "../group.js";
import type { TelemetryOptions } from "../guards/reports.js";
import { checkParameters, type Parameter, type Tensor } from "../memory/parameters.js";
import { BLOCK } from "../memory/slots.js";
import { STRIP } from "../memory/spans.js";
import {
  type AverageOptions,
  averageWeight,
  type SlowWeightsOptions,
  slowWeight,
} from "./average-options.js";
import { checkGuards, checkNames, type GuardOptions, type Guards, UNLIMITED } from "./guard-options.js";
import type { AnyOptions, Hyperparameters, NoOptions } from "./hyperparameters.js";

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
  /** Whether `accumulate()` will be used; it costs a buffer as large as the parameters. */
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
  readonly [option: string]: unknown;
}

/** A checked group, before anything is made of it. */
export interface CheckedGroup {
  readonly rule: Rule;
  readonly schedule: Schedule;
  readonly optionSchedules: OptionSchedules;
  readonly tensors: readonly Tensor[];
}

const constantRate: Schedule = () => 1;

const COPY_DST = 0x8; // GPUBufferUsage.COPY_DST, absent outside browsers

/** All that {@link createOptimizer} was asked for, checked. */
export interface CheckedOptions {
  readonly label: string;
  /** Of groups that have none of their own. */
  readonly rule: Rule | undefined;
  readonly schedule: Schedule | undefined;
  readonly optionSchedules: OptionSchedules | undefined;
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

/** Checks everything that can be checked without the GPU. @throws OptimError */
export function checkOptimizerOptions(
  device: GPUDevice,
  options: OptimizerOptions<AnyOptions>,
): CheckedOptions {
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
      got: String(stepsInFlight),
      fix: "leave it out for 64",
    });
  const label = options.label ?? groups[0]?.rule.row.name ?? "optimizer";
  const telemetry = options.telemetry === undefined ? undefined : checkTelemetry(options.telemetry);
  const sums = groups.some(({ rule }) => rule.row.shader.sums.length > 0);
  const monitored = options.guards !== undefined || telemetry || options.sam !== undefined || sums;
  const guards = monitored
    ? checkGuards(options.guards === undefined ? { nonFinite: "keep", skipsInFlight: 1 } : options.guards)
    : undefined;
  const blends = {
    slow: options.slowWeights === undefined ? undefined : slowWeight(options.slowWeights),
    average: options.average === undefined ? undefined : averageWeight(options.average),
  };
  const sam = options.sam === undefined ? undefined : checkSam(options.sam);
  if (sam !== undefined) refuseLookahead(groups);
  const { rule, schedule, optionSchedules } = options;
  const checked = {
    label,
    rule,
    schedule,
    optionSchedules,
    groups,
    accumulation,
    stepsInFlight,
    guards,
    telemetry,
    blends,
    sam,
  };
  checkLimits(device, checked);
  return checked;
}

function checkSam(options: SamOptions): number {
  checkNames("sam", options, ["rho"]);
  const { rho = 0.05 } = options;
  if (rho >= 0 && Number.isFinite(Math.fround(rho))) return rho;
  throw new OptimError("invalid-argument", "'sam.rho' is out of range", {
    expected: "a finite number of at least 0",
    got: String(rho),
    fix: "pass a radius such as 0.05",
  });
}

/** A rule that looks ahead has moved the parameters already. */
export function refuseLookahead(groups: readonly CheckedGroup[]): void {
  for (const { rule } of groups)
    if (rule.row.shader.lookahead)
      throw new OptimError("invalid-argument", `SAM does not go around ${rule.row.name}`, {
        expected: "a rule that takes its gradient at the parameters",
        got: "a look-ahead rule",
        fix: "use nesterov() instead of nesterovLookahead()",
      });
}

function checkTelemetry(options: TelemetryOptions): TelemetryOptions {
  checkNames("telemetry", options, ["onReport", "every", "perTensor"]);
  const { onReport, every = 1, perTensor = false } = options;
  if (
    (onReport === undefined || typeof onReport === "function") &&
    Number.isSafeInteger(every) &&
    every >= 1 &&
    typeof perTensor === "boolean"
  )
    return options;
  throw new OptimError("invalid-argument", "The telemetry options are ill-typed", {
    expected: "onReport a function, every a whole number of at least 1, perTensor true or false",
    got: `onReport ${typeof onReport}, every ${String(every)}, perTensor ${String(perTensor)}`,
    fix: "correct them, or leave them out",
  });
}

function checkGroups(options: OptimizerOptions<AnyOptions>): CheckedGroup[] {
  const { parameters, groups, rule, schedule, optionSchedules } = options ?? {};
  if (!(parameters === undefined ? Array.isArray(groups) : Array.isArray(parameters) && groups === undefined))
    throw new OptimError("invalid-argument", "There are no parameters", {
      expected: "either a list 'parameters' or a list 'groups'",
      got: parameters === undefined ? String(groups) : groups === undefined ? String(parameters) : "both",
      fix: "pass { parameters: [{ name, param, grad }] }",
    });
  const given: readonly GroupOptions<AnyOptions>[] = groups ?? [{ parameters: parameters ?? [] }];
  const tensors = checkParameters(
    given.map((group, index) => {
      if (Array.isArray(group?.parameters)) return group.parameters;
      throw new OptimError("invalid-argument", `Group ${index} has no list of parameters`, {
        expected: "{ parameters: [{ name, param, grad }], … }",
        got: String(group?.parameters),
        fix: "pass a list",
      });
    }),
  );
  if (tensors.length === 0)
    throw new OptimError("invalid-argument", "There is no parameter group", {
      expected: "at least one group",
      got: "none",
      fix: "pass the parameters to train",
    });
  return given.map((group, index) =>
    checkedGroup({ rule, schedule, optionSchedules, ...group }, tensors[index] ?? [], `Group ${index}`),
  );
}

/**
 * Checks a group that joins others.
 * @throws OptimError as `createOptimizer`
 */
export function checkGroup(group: GivenGroup, others: readonly Tensor[]): CheckedGroup {
  if (!Array.isArray(group.parameters))
    throw new OptimError("invalid-argument", "There are no parameters", {
      expected: "{ parameters: [{ name, param, grad }] }",
      got: String(group.parameters),
      fix: "pass a list",
    });
  const [tensors = []] = checkParameters([group.parameters], others);
  return checkedGroup(group, tensors, "The group");
}

function checkedGroup(
  { parameters: _, rule, schedule, optionSchedules = {}, ...overrides }: GivenGroup,
  tensors: readonly Tensor[],
  what: string,
): CheckedGroup {
  // A factory has a row as well, but no options.
  if (
    typeof rule !== "object" ||
    typeof rule?.row?.scalars !== "function" ||
    typeof rule.options !== "object"
  )
    throw new OptimError("invalid-argument", `${what} has no rule`, {
      expected: "a rule from a factory, such as adam({ lr: 1e-3 })",
      got: typeof rule === "function" ? "a function" : rule === undefined ? "nothing" : String(rule),
      fix: "import { adam } and pass rule: adam()",
    });
  if (rule.row.shader.lookahead) for (const tensor of tensors) requireCopyTarget(rule, tensor);
  return {
    rule: { row: rule.row, options: checkOptions(rule.row, overrides, rule.options) },
    schedule: checkSchedule(rule.row.name, schedule ?? constantRate),
    optionSchedules: checkOptionSchedules(rule.row.name, rule.row, optionSchedules),
    tensors,
  };
}

/** restore() copies parameters back. */
function requireCopyTarget({ row }: Rule, { name, param }: Tensor): void {
  if (param.buffer.usage & COPY_DST) return;
  throw new OptimError("invalid-buffer", `Parameter of '${name}' cannot be restored after a look-ahead`, {
    expected: `usage STORAGE | COPY_DST, which ${row.name} needs`,
    got: `usage 0x${param.buffer.usage.toString(16)}`,
    fix: "create the buffer with GPUBufferUsage.COPY_DST as well",
  });
}

/** @throws OptimError `limit-exceeded` */
export function checkLimits(
  device: GPUDevice,
  { label, groups, stepsInFlight, guards, telemetry, sam }: CheckedOptions,
): void {
  const { maxStorageBuffersPerShaderStage, maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const requireAtMost = (what: string, limit: string, most: number, needed: number, fix: string) => {
    if (needed > most)
      throw new OptimError("limit-exceeded", `'${label}' needs too many ${what}`, {
        expected: `at most ${most} (${limit})`,
        got: `${needed}`,
        fix,
      });
  };
  for (const { rule } of groups) {
    const { states, lookahead, sums } = rule.row.shader;
    const values = sums.length > 0 || (guards && guards.clipNorm < UNLIMITED);
    const partials = sums.length > 0 || telemetry;
    requireAtMost(
      "storage buffers",
      "maxStorageBuffersPerShaderStage",
      maxStorageBuffersPerShaderStage,
      2 + states.length + (lookahead || sam !== undefined ? 1 : 0) + (values ? 1 : 0) + (partials ? 1 : 0),
      "request a larger limit from the adapter",
    );
  }
  const blocks = stepsInFlight * groups.length * 2 * BLOCK;
  requireAtMost("uniform bytes", "maxBufferSize", maxBufferSize, blocks, "lower stepsInFlight");
  if (!guards) return;
  const rows = blocks * (guards.skipsInFlight + 1);
  const fix = "lower stepsInFlight or guards.skipsInFlight";
  requireAtMost("bytes of scalars", "maxBufferSize", maxBufferSize, rows, fix);
  // Those of a step are bound at once, as are partial sums: 16 bytes for each 256 of a tensor, and for what is not aligned.
  const bound = Math.min(maxBufferSize, maxStorageBufferBindingSize);
  const limit = bound === maxBufferSize ? "maxBufferSize" : "maxStorageBufferBindingSize";
  requireAtMost("bytes of scalars", limit, bound, rows / stepsInFlight, fix);
  const strips = groups
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, { size }) => sum + Math.ceil(size / STRIP) + 3, 0);
  requireAtMost(
    "bytes of partial sums",
    limit,
    bound,
    16 * strips,
    "request a larger limit from the adapter",
  );
}
