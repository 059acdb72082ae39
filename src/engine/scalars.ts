// What a step writes into its uniforms, and which stages around the rule it needs.
import { briefly, OptimError } from "../errors.js";
import { type RuleMemory, type RuleOptions, type RuleRow, scalarsAt } from "../rule.js";
import { QUICK } from "../shaders/prelude.js";
import { STAGE, type Stages } from "./kernels/compose.js";
import { BLOCK } from "./memory/slots.js";
import type { OptionSchedules } from "./options/schedule-options.js";

/** What the next step of tensors will be, worked out before anything changes. */
export interface PendingStep {
  readonly rate: number;
  readonly memory: RuleMemory;
  /** Whether slow weights and average move after this step. */
  readonly slow: boolean;
  readonly average: boolean;
  /** What of the stages around the rule it needs. */
  readonly stages: Stages;
}

/** A prepared step, kept in case that it is still to be taken after others that were skipped. */
export interface PreparedRow {
  /** Steps of the group before it. */
  readonly run: number;
  readonly options: RuleOptions;
  /** Of options with schedules of their own. */
  readonly scheduled: Readonly<Record<string, number>>;
  readonly scale: number;
  readonly pending: PendingStep;
  readonly words: Float32Array;
}

/** All that scalars follow from. */
interface StepInputs {
  readonly options: RuleOptions;
  /** The step, from 1. */
  readonly t: number;
  readonly rate: number;
  readonly memory: RuleMemory;
}

/**
 * Writes the two blocks of a step, and gives the stages that it needs.
 * @param weights of slow weights and average after it
 * @throws OptimError `invalid-option`
 */
export function writeStep(
  staged: Float32Array,
  label: string,
  row: RuleRow,
  { options, t, rate, memory }: StepInputs,
  gradientScale: number,
  weights: { readonly slow: number; readonly average: number },
): Omit<Stages, "quick"> {
  const put = (offset: number, name: string, value: number | undefined) => {
    if (value === undefined || !Number.isFinite(Math.fround(value)))
      throw new OptimError(
        "invalid-option",
        `Scalar '${name}' of ${row.name} has no finite f32 value at step ${t}`,
        {
          expected: "hyperparameters within the range of f32",
          got: briefly(value),
          fix: `change the options of '${label}': ${JSON.stringify(options)}`,
        },
      );
    staged[offset / 4] = value;
  };
  const scalars = scalarsAt(row, options, t, rate, memory);
  for (const [name, offset] of Object.entries(row.shader.scalars)) put(offset, name, scalars?.[name]);
  const { style, amount } = decayOf(options, rate, row.ownDecay);
  const stage = {
    gradient_scale: options.maximize ? -gradientScale : gradientScale,
    coupled_decay: style === "coupled" ? amount : 0,
    decay: style === "coupled" ? 0 : amount,
    slow_weight: weights.slow,
    average_weight: weights.average,
  };
  for (const [name, value] of Object.entries(stage)) put(BLOCK + STAGE[name]!, name, value);
  const decay = options.weightDecay === 0 ? "none" : style;
  return { decay, scaled: stage.gradient_scale !== 1 };
}

/** What was found of options, which steps of many groups ask again and again. */
const knownQuick = new WeakMap<RuleOptions, { scheduled: OptionSchedules; quick: boolean }>();

/** Whether averages may be kept by three quarters or less; undefined of a rule without any. */
export function mayBeQuick(
  { shader, options: specs }: RuleRow,
  options: RuleOptions,
  scheduled: OptionSchedules,
): boolean | undefined {
  if (!shader.overrides.includes(QUICK)) return undefined;
  const known = knownQuick.get(options);
  if (known?.scheduled === scheduled) return known.quick;
  const quick = Object.entries(specs).some(
    ([name, spec]) =>
      spec.kind === "number" &&
      spec.exclusiveMax &&
      (Number(options[name]) <= 0.75 || Object.hasOwn(scheduled, name)),
  );
  knownQuick.set(options, { scheduled, quick });
  return quick;
}

/** The stages that steps may need with these options, or with a schedule's. */
export function foreseen(
  row: RuleRow,
  options: RuleOptions,
  scheduled: OptionSchedules,
  accumulation: boolean,
): readonly Stages[] {
  const { maximize } = options;
  const { style } = decayOf({ ...options, weightDecay: 1 }, 1, row.ownDecay);
  const decays = options.weightDecay > 0 || Object.hasOwn(scheduled, "weightDecay");
  const decay = decays ? style : "none";
  const stages = { decay, scaled: maximize, quick: mayBeQuick(row, options, scheduled) };
  return [stages, ...(accumulation && !maximize ? [{ ...stages, scaled: true }] : [])];
}

/** Weight decay as the kernels carry it out. */
function decayOf(
  { decay, weightDecay }: RuleOptions,
  rate: number,
  ownDecay?: true,
): { readonly style: Stages["decay"]; readonly amount: number } {
  const scaled = rate * weightDecay;
  if (decay === "coupled") return { style: "coupled", amount: weightDecay };
  if (ownDecay && decay === "decoupled") return { style: "none", amount: 0 };
  if (decay === "independent") return { style: "subtracted", amount: weightDecay };
  if (decay === "proximal") return { style: "proximal", amount: scaled / (1 + scaled) };
  return { style: decay === "cautious" ? "cautious" : "subtracted", amount: scaled };
}
