import { briefly, OptimError } from "../errors.js";
import { checkOptions, flushed, type Rule, type RuleMemory, type RuleOptions, scalarsAt } from "../rule.js";
import { held, type Schedule } from "../schedules/schedule.js";
import { QUICK } from "../shaders/prelude.js";
import { STAGE, type Stages } from "./kernels/compose.js";
import { BLOCK } from "./memory/slots.js";
import type { AverageWeight, BlendWeight } from "./options/average-options.js";
import type { Hyperparameters, NoOptions } from "./options/hyperparameters.js";
import type { CheckedGroup, CheckedOptions } from "./options/optimizer-options.js";
import { checkOptionSchedules, checkSchedule, type OptionSchedules } from "./options/schedule-options.js";

/** What a group's next step will be, worked out before anything changes. */
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
interface PreparedRow {
  readonly options: RuleOptions;
  /** Of options with schedules of their own. */
  readonly scheduled: Readonly<Record<string, number>>;
  readonly scale: number;
  readonly pending: PendingStep;
  readonly words: Float32Array;
}

/** Weights of what is kept beside the parameters, where it is. */
export interface BlendWeights {
  readonly slow: BlendWeight | undefined;
  readonly average: AverageWeight | undefined;
}

/** What a group goes on from. */
export interface ResumedGroup {
  readonly options: RuleOptions;
  readonly schedule: Schedule;
  readonly optionSchedules: OptionSchedules;
  readonly steps: number;
  readonly memory: RuleMemory;
}

/** As many as guards may let be skipped in flight, and the next. */
const KEPT_ROWS = 65;

/** More than steps can be in flight and skipped before the host knows. */
const KEPT_MEMORIES = 4096;

/** Tensors that share a rule, its hyperparameters and a schedule; `optimizer.groups[i]`. */
export class ParameterGroup {
  #names: readonly string[];
  readonly #label: string;
  readonly #rule: Rule;
  readonly #blends: BlendWeights;
  #options: RuleOptions;
  #schedule: Schedule;
  #optionSchedules: OptionSchedules;
  #steps = 0;
  /** The rule's memory after so many steps. The GPU may have skipped some that the host does not know of yet. */
  readonly #memories = new Map<number, RuleMemory>();
  readonly #rows = new Map<number, PreparedRow>();
  #rate: number | undefined;

  /** @internal */
  constructor(
    label: string,
    rule: Rule,
    schedule: Schedule,
    optionSchedules: OptionSchedules,
    names: readonly string[],
    blends: BlendWeights,
  ) {
    this.#blends = blends;
    this.#label = label;
    this.#rule = rule;
    this.#options = rule.options;
    this.#schedule = checkSchedule(label, schedule);
    this.#optionSchedules = optionSchedules;
    this.#memories.set(0, rule.row.memory ?? []);
    this.#names = names;
  }

  /** Names of the group's tensors. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** @internal */
  adopt(names: readonly string[]): void {
    this.#names = [...this.#names, ...names];
  }

  /** Name of the rule. */
  get rule(): string {
    return this.#rule.row.name;
  }

  /** Hyperparameters in force, those with a schedule of their own as they were set. */
  get options(): RuleOptions {
    return this.#options;
  }

  /**
   * Changes hyperparameters from the next encoded step on. With guards, call it after `settled()` where the rule has a
   * memory (Nadam): what skipped steps in flight remember was worked out with the old ones.
   * Options of a rule that the caller defined: `set<OptionsOf<typeof myRule>>({ … })`.
   * @throws OptimError `invalid-option`, also for those that are compiled into the kernel or were used at creation.
   */
  set<Own extends object = NoOptions>(options: Hyperparameters<NoInfer<Own>>): void {
    this.#options = this.#changed(options);
  }

  #changed(options: object): RuleOptions {
    const { row } = this.#rule;
    const next = checkOptions(row, options, this.#options);
    for (const fixed of [row.constants, row.initial])
      if (fixed && JSON.stringify(fixed(next)) !== JSON.stringify(fixed(this.#options)))
        throw new OptimError("invalid-option", `${row.name} cannot change this option after creation`, {
          expected: `what the kernel was compiled with and the state began with: ${JSON.stringify(fixed(this.#options))}`,
          got: `${JSON.stringify(options)}, which needs ${JSON.stringify(fixed(next))}`,
          fix: "create a new optimizer",
        });
    return next;
  }

  /** Base learning rate; the schedule multiplies it. */
  get lr(): number {
    return this.#options.lr;
  }

  set lr(lr: number) {
    this.set({ lr });
  }

  get schedule(): Schedule {
    return this.#schedule;
  }

  set schedule(schedule: Schedule) {
    this.#schedule = checkSchedule(this.#label, schedule);
  }

  /** Schedules of other options, each of the option's value at a step from 0. */
  get optionSchedules(): OptionSchedules {
    return this.#optionSchedules;
  }

  /** @throws OptimError `invalid-option` for what is no number of the rule's, `invalid-schedule` for no function */
  set optionSchedules(schedules: OptionSchedules) {
    this.#optionSchedules = checkOptionSchedules(this.#label, this.#rule.row, schedules);
  }

  /** Whether there are parameters to evaluate at: a running average with a step in it, or the rule's own. @internal */
  get hasAverage(): boolean {
    const { average } = this.#blends;
    if (average) return this.#steps >= average.start;
    return this.#rule.row.evaluate !== undefined && this.#steps > 0;
  }

  /** Steps encoded so far. */
  get steps(): number {
    return this.#steps;
  }

  /** Learning rate of the last encoded step; before the first, the rate it would have. */
  get rate(): number {
    return this.#rate ?? this.#rateAt(this.#steps);
  }

  /** Values at a step of options that have schedules of their own, at the least what each may be. */
  #scheduledAt(steps: number): PreparedRow["scheduled"] {
    const { options } = this.#rule.row;
    return Object.fromEntries(
      Object.entries(this.#optionSchedules).map(([name, schedule]) => [
        name,
        flushed(held(schedule, (options[name] as { min: number }).min)(steps)),
      ]),
    );
  }

  /** Options of the step after `steps`. */
  #optionsAt(steps: number, scheduled: PreparedRow["scheduled"]): RuleOptions {
    if (Object.keys(scheduled).length === 0) return this.#options;
    try {
      return this.#changed(scheduled);
    } catch (cause) {
      if (!(cause instanceof OptimError)) throw cause;
      throw new OptimError(
        "invalid-schedule",
        `A schedule of an option of '${this.#label}' fails at step ${steps}: ${cause.message.split(". ")[0]}`,
        { ...cause.details, fix: "correct the schedule" },
        { cause },
      );
    }
  }

  #rateAt(step: number): number {
    const factor = held(this.#schedule, 0)(step);
    const rate = typeof factor === "number" ? this.#options.lr * factor : Number.NaN;
    if (factor >= 0 && Number.isFinite(Math.fround(rate))) return flushed(rate);
    throw new OptimError("invalid-schedule", `The schedule of '${this.#label}' fails at step ${step}`, {
      expected: "a finite factor of at least 0",
      got: `${briefly(factor)} (base rate ${this.#options.lr})`,
      fix: "correct the schedule, or wrap it in clamped()",
    });
  }

  /**
   * Writes the uniforms of the next step into `staged` and gives what {@link commit} needs.
   * @internal
   */
  prepare(staged: Float32Array, gradientScale: number): PendingStep {
    const steps = this.#steps;
    return this.#write(staged, gradientScale, steps, this.#rateAt(steps), this.#scheduledAt(steps));
  }

  /**
   * As {@link prepare}, of the step after so many, which may be fewer than the host counts: what was worked out for it
   * before serves again, unless options, schedules or the scale say otherwise now.
   * @internal
   */
  prepareRow(staged: Float32Array, scale: number, steps: number): PendingStep {
    const rate = this.#rateAt(steps);
    const scheduled = this.#scheduledAt(steps);
    const row = this.#rows.get(steps);
    const same =
      row?.options === this.#options &&
      row.scale === scale &&
      row.pending.rate === rate &&
      JSON.stringify(row.scheduled) === JSON.stringify(scheduled);
    if (same) {
      staged.set(row.words);
      return row.pending;
    }
    const pending = this.#write(staged, scale, steps, rate, scheduled);
    this.#rows.set(steps, { options: this.#options, scheduled, scale, pending, words: staged.slice() });
    this.#rows.delete(steps - KEPT_ROWS);
    return pending;
  }

  #write(
    staged: Float32Array,
    gradientScale: number,
    steps: number,
    rate: number,
    scheduled: PreparedRow["scheduled"],
  ): PendingStep {
    const { row } = this.#rule;
    const options = this.#optionsAt(steps, scheduled);
    const t = steps + 1;
    const before = this.#memories.get(steps) ?? row.memory ?? [];
    const memory = row.advance ? row.advance(options, t, rate, before) : before;
    const scalars = scalarsAt(row, options, t, rate, memory);
    for (const [name, offset] of Object.entries(row.shader.scalars))
      staged[offset / 4] = this.#finite(name, scalars?.[name], t);
    const { style, amount } = decayOf(options, rate, row.ownDecay);
    const stage = {
      gradient_scale: options.maximize ? -gradientScale : gradientScale,
      coupled_decay: style === "coupled" ? amount : 0,
      decay: style === "coupled" ? 0 : amount,
      slow_weight: this.#blends.slow?.(t) ?? 0,
      average_weight: this.#blends.average?.weight(t) ?? 0,
    };
    for (const [name, value] of Object.entries(stage))
      staged[(BLOCK + STAGE[name]!) / 4] = this.#finite(name, value, t);
    return {
      rate,
      memory,
      slow: stage.slow_weight > 0,
      average: stage.average_weight > 0,
      stages: {
        decay: options.weightDecay === 0 ? "none" : style,
        scaled: stage.gradient_scale !== 1,
        quick: this.#quick(options),
      },
    };
  }

  /** Whether averages may be kept by three quarters or less; undefined of a rule without any. */
  #quick(options: RuleOptions): boolean | undefined {
    const { row } = this.#rule;
    if (!row.shader.overrides.includes(QUICK)) return undefined;
    return Object.entries(row.options).some(
      ([name, spec]) =>
        spec.kind === "number" &&
        spec.exclusiveMax &&
        (Number(options[name]) <= 0.75 || Object.hasOwn(this.#optionSchedules, name)),
    );
  }

  /** The stages that steps may need with the options in force, or with a schedule's. @internal */
  foresee(accumulation: boolean): readonly Stages[] {
    const { maximize } = this.#options;
    const { style } = decayOf({ ...this.#options, weightDecay: 1 }, 1, this.#rule.row.ownDecay);
    const decays = this.#options.weightDecay > 0 || Object.hasOwn(this.#optionSchedules, "weightDecay");
    const decay = decays ? style : "none";
    const stages = { decay, scaled: maximize, quick: this.#quick(this.#options) };
    return [stages, ...(accumulation && !maximize ? [{ ...stages, scaled: true }] : [])];
  }

  /** @internal */
  commit({ rate, memory }: PendingStep): void {
    this.#steps += 1;
    this.#rate = rate;
    if (!this.#rule.row.advance) return;
    this.#memories.set(this.#steps, memory);
    this.#memories.delete(this.#steps - KEPT_MEMORIES);
  }

  /**
   * Takes back steps that the GPU skipped, once that is known.
   * @internal
   */
  takeBack(count: number): void {
    this.#steps -= count;
  }

  /**
   * What a checkpoint takes down of the group. The memory comes by step count, since the GPU may have skipped some.
   * @internal
   */
  snapshot() {
    const { row } = this.#rule;
    const memories = new Map(row.advance ? this.#memories : []);
    return {
      row,
      options: this.#options,
      schedule: this.#schedule,
      optionSchedules: this.#optionSchedules,
      steps: this.#steps,
      memoryAfter: (steps: number): RuleMemory => memories.get(steps) ?? row.memory ?? [],
    };
  }

  /**
   * Goes on from a checkpoint.
   * @internal
   */
  resume({ options, schedule, optionSchedules, steps, memory }: ResumedGroup): void {
    this.#options = options;
    this.#schedule = schedule;
    this.#optionSchedules = optionSchedules;
    this.#steps = steps;
    this.#rate = undefined;
    this.#rows.clear();
    this.#memories.clear();
    this.#memories.set(steps, memory);
  }

  #finite(name: string, value: number | undefined, t: number): number {
    if (value !== undefined && Number.isFinite(Math.fround(value))) return value;
    throw new OptimError(
      "invalid-option",
      `Scalar '${name}' of ${this.rule} has no finite f32 value at step ${t}`,
      {
        expected: "hyperparameters within the range of f32",
        got: briefly(value),
        fix: `change the options of '${this.#label}': ${JSON.stringify(this.#options)}`,
      },
    );
  }
}

/** The group of checked options. */
export const makeGroup = (
  { label, blends }: Pick<CheckedOptions, "label" | "blends">,
  { rule, schedule, optionSchedules, tensors }: CheckedGroup,
): ParameterGroup =>
  new ParameterGroup(
    label,
    rule,
    schedule,
    optionSchedules,
    tensors.map(({ name }) => name),
    blends,
  );

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
