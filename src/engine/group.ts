import { briefly, OptimError } from "../errors.js";
import { checkOptions, flushed, type Rule, type RuleOptions } from "../rule.js";
import { held, type Schedule } from "../schedules/schedule.js";
import { Cohort, Cohorts, type GroupSnapshot, type ResumedGroup } from "./cohorts.js";
import type { Stages } from "./kernels/compose.js";
import type { Tensor } from "./memory/parameters.js";
import { sortTensors } from "./memory/spans.js";
import type { AverageWeight, BlendWeight } from "./options/average-options.js";
import type { Hyperparameters, NoOptions } from "./options/hyperparameters.js";
import type { CheckedGroup, CheckedOptions } from "./options/optimizer-options.js";
import { checkOptionSchedules, checkSchedule, type OptionSchedules } from "./options/schedule-options.js";
import { foreseen, mayBeQuick, type PendingStep, type PreparedRow, writeStep } from "./scalars.js";

/** Weights of what is kept beside the parameters, where it is. */
export interface BlendWeights {
  readonly slow: BlendWeight | undefined;
  readonly average: AverageWeight | undefined;
}

const cautionOf = ({ cautious }: RuleOptions) => ({ cautious });

const NOTHING_SCHEDULED: PreparedRow["scheduled"] = {};

/** As many as guards may let be skipped in flight, and the next. */
const KEPT_ROWS = 65;

/** Tensors that share a rule, its hyperparameters and a schedule; `optimizer.groups[i]`. */
export class ParameterGroup {
  #tensors: readonly Tensor[];
  readonly #label: string;
  readonly #rule: Rule;
  readonly #blends: BlendWeights;
  #options: RuleOptions;
  #schedule: Schedule;
  #optionSchedules: OptionSchedules;
  #steps: number;
  #cohorts: Cohorts;
  #rate: number | undefined;

  /** @internal */
  constructor(
    label: string,
    rule: Rule,
    schedule: Schedule,
    optionSchedules: OptionSchedules,
    tensors: readonly Tensor[],
    blends: BlendWeights,
    steps = 0,
  ) {
    this.#blends = blends;
    this.#label = label;
    this.#rule = rule;
    this.#options = rule.options;
    this.#schedule = checkSchedule(label, schedule);
    this.#optionSchedules = optionSchedules;
    this.#tensors = tensors;
    this.#steps = steps;
    this.#cohorts = this.#fresh();
  }

  /** Tensors in the order of memory, those without elements last. */
  #ordered(): readonly Tensor[] {
    return [...sortTensors(this.#tensors), ...this.#tensors.filter(({ size }) => size === 0)];
  }

  #fresh(): Cohorts {
    const all = this.#ordered();
    return new Cohorts(all, [this.#freshCohort(all)]);
  }

  #freshCohort(tensors: readonly Tensor[]): Cohort {
    const steps = this.countsByTensor ? 0 : this.#steps;
    return new Cohort(tensors, steps, new Map([[steps, this.#rule.row.memory ?? []]]));
  }

  /** Names of the group's tensors. */
  get names(): readonly string[] {
    return this.#tensors.map(({ name }) => name);
  }

  /** Takes in tensors before their first step. @internal */
  adopt(tensors: readonly Tensor[]): void {
    this.#tensors = [...this.#tensors, ...tensors];
    const added = new Set(tensors);
    const all = this.#ordered();
    this.#cohorts.add(all, this.#freshCohort(all.filter((tensor) => added.has(tensor))));
  }

  /** What stands for the group in a step that leaves all of it out. @internal */
  get nobody(): Cohort {
    return new Cohort([], this.#steps, new Map());
  }

  /** Tensors by the steps that they have taken. @internal */
  get cohorts(): Cohorts {
    return this.#cohorts;
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
    for (const fixed of [row.constants, row.initial, row.whole?.fixed, cautionOf])
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

  /** Steps encoded so far, which the schedules follow. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * Steps encoded so far that a tensor took part in, which bias corrections follow. Those of a rule that sums over all
   * tensors (Prodigy) follow {@link steps}.
   * @throws OptimError `unknown-name`
   */
  stepsOf(name: string): number {
    const cohort = this.#cohorts.list.find(({ all }) => all.some((tensor) => tensor.name === name));
    if (cohort) return cohort.steps;
    throw new OptimError("unknown-name", `A group of '${this.#label}' has no parameter '${name}'`, {
      expected: `one of ${this.names.slice(0, 20).join(", ")}`,
      got: briefly(name),
      fix: "correct the name",
    });
  }

  /** Whether corrections follow the tensor's own steps; what is summed over all is one. @internal */
  get countsByTensor(): boolean {
    return this.#rule.row.scope !== "all";
  }

  /** Learning rate of the last encoded step; before the first, the rate it would have. */
  get rate(): number {
    return this.#rate ?? this.#rateAt(this.#steps);
  }

  /** Values at a step of options that have schedules of their own, at the least what each may be. */
  #scheduledAt(steps: number): PreparedRow["scheduled"] {
    const { options } = this.#rule.row;
    const schedules = Object.entries(this.#optionSchedules);
    if (schedules.length === 0) return NOTHING_SCHEDULED;
    return Object.fromEntries(
      schedules.map(([name, schedule]) => [
        name,
        flushed(held(schedule, (options[name] as { min: number }).min)(steps)),
      ]),
    );
  }

  /** Options of the step after `steps`. */
  #optionsAt(steps: number, scheduled: PreparedRow["scheduled"]): RuleOptions {
    if (scheduled === NOTHING_SCHEDULED) return this.#options;
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
   * Writes the uniforms of the next step of a cohort into `staged` and gives what {@link commit} needs.
   * @internal
   */
  prepare(staged: Float32Array, gradientScale: number, cohort: Cohort): PendingStep {
    const run = this.#steps;
    const rate = this.#rateAt(run);
    return this.#write(staged, gradientScale, cohort, run, cohort.steps, rate, this.#scheduledAt(run));
  }

  /**
   * The uniforms of the step after so many of the group and so many of the cohort, which may be fewer than the host
   * counts, as so many f32: what was worked out for it before serves again, unless options, schedules or the scale say otherwise now.
   * @internal
   */
  prepareRow(length: number, scale: number, cohort: Cohort, run: number, steps: number): PreparedRow {
    const rate = this.#rateAt(run);
    const scheduled = this.#scheduledAt(run);
    const row = cohort.rows.get(steps);
    const same =
      row?.options === this.#options &&
      row.run === run &&
      row.scale === scale &&
      row.pending.rate === rate &&
      (row.scheduled === scheduled || JSON.stringify(row.scheduled) === JSON.stringify(scheduled));
    if (same) return row;
    // The oldest row makes place: to make an array takes longer than to fill it.
    const words = cohort.rows.get(steps - KEPT_ROWS)?.words ?? new Float32Array(length);
    const pending = this.#write(words, scale, cohort, run, steps, rate, scheduled);
    const fresh = { run, options: this.#options, scheduled, scale, pending, words };
    cohort.rows.set(steps, fresh);
    cohort.rows.delete(steps - KEPT_ROWS);
    return fresh;
  }

  #write(
    staged: Float32Array,
    gradientScale: number,
    cohort: Cohort,
    run: number,
    steps: number,
    rate: number,
    scheduled: PreparedRow["scheduled"],
  ): PendingStep {
    const { row } = this.#rule;
    const options = this.#optionsAt(run, scheduled);
    const t = steps + 1;
    const before = cohort.memoryAfter(steps) ?? row.memory ?? [];
    const memory = row.advance ? row.advance(options, t, rate, before) : before;
    const weights = {
      slow: this.#blends.slow?.(run + 1) ?? 0,
      average: this.#blends.average?.weight(run + 1) ?? 0,
    };
    const stages = writeStep(staged, this.#label, row, { options, t, rate, memory }, gradientScale, weights);
    return {
      rate,
      memory,
      slow: weights.slow > 0,
      average: weights.average > 0,
      stages: { ...stages, quick: mayBeQuick(row, options, this.#optionSchedules) },
    };
  }

  /** The stages that steps may need with the options in force, or with a schedule's. @internal */
  foresee(accumulation: boolean): readonly Stages[] {
    return foreseen(this.#rule.row, this.#options, this.#optionSchedules, accumulation);
  }

  /**
   * Counts a step of some cohorts, all but those that it left out.
   * @param attempt its number where the GPU may skip it
   * @returns what undoes that
   * @internal
   */
  commit(cohorts: readonly Cohort[], pending: readonly PendingStep[], attempt?: number): () => void {
    const { advance } = this.#rule.row;
    const before = this.#rate;
    const { list } = this.#cohorts;
    const counted = this.countsByTensor ? cohorts : list;
    this.#steps += 1;
    this.#rate = pending[0]?.rate;
    counted.forEach((cohort, index) => {
      cohort.count(advance && (pending[index] ?? pending[0])?.memory);
    });
    if (attempt !== undefined && counted.length < list.length)
      for (const cohort of list) if (!counted.includes(cohort)) cohort.missed = [...cohort.missed, attempt];
    this.#cohorts.join(cohorts);
    const tensors = counted.map(({ all }) => all);
    return () => {
      const all = new Set(tensors.flat());
      this.#steps -= 1;
      this.#rate = before;
      for (const cohort of this.#cohorts.part((tensor) => all.has(tensor))) cohort.steps -= 1;
      for (const cohort of this.#cohorts.list)
        cohort.missed = cohort.missed.filter((missed) => missed !== attempt);
    };
  }

  /**
   * Takes back steps that the GPU skipped, once that is known.
   * @param attempt up to which outcomes are known
   * @param of how many of them a cohort took part in, by what it missed
   * @internal
   */
  takeBack(count: number, attempt: number, of: (missed: readonly number[]) => number): void {
    this.#steps -= count;
    for (const cohort of this.#cohorts.list) {
      cohort.steps -= cohort.missed.length > 0 ? of(cohort.missed) : count;
      cohort.missed = cohort.missed.filter((missed) => missed > attempt);
    }
  }

  /**
   * What a checkpoint takes down of the group. Memories come by step count, since the GPU may have skipped some.
   * @internal
   */
  snapshot(): GroupSnapshot {
    return {
      row: this.#rule.row,
      options: this.#options,
      schedule: this.#schedule,
      optionSchedules: this.#optionSchedules,
      steps: this.#steps,
      cohorts: this.#cohorts.list.map(({ snapshot }) => snapshot),
    };
  }

  /**
   * Goes on from a checkpoint.
   * @internal
   */
  resume({ options, schedule, optionSchedules, steps, cohorts }: ResumedGroup): void {
    this.#options = options;
    this.#schedule = schedule;
    this.#optionSchedules = optionSchedules;
    this.#steps = steps;
    this.#rate = undefined;
    const all = this.#ordered();
    this.#cohorts = new Cohorts(
      all,
      cohorts.map(({ names, steps, memory }) => {
        const own = new Set(names);
        return new Cohort(
          all.filter(({ name }) => own.has(name)),
          steps,
          new Map([[steps, memory]]),
        );
      }),
    );
  }
}

/** The group of checked options. @param steps of the run that its schedules follow from */
export const makeGroup = (
  { label, blends }: Pick<CheckedOptions, "label" | "blends">,
  { rule, schedule, optionSchedules, tensors }: CheckedGroup,
  steps?: number,
): ParameterGroup => new ParameterGroup(label, rule, schedule, optionSchedules, tensors, blends, steps);
