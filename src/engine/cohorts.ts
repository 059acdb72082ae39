import type { TensorProgress } from "../checkpoint/contents.js";
import type { Rule, RuleMemory, RuleOptions } from "../rule.js";
import type { Schedule } from "../schedules/schedule.js";
import type { Tensor } from "./memory/parameters.js";
import type { OptionSchedules } from "./options/schedule-options.js";
import type { PreparedRow } from "./scalars.js";

/** More than steps can be in flight and skipped before the host knows. */
const KEPT_MEMORIES = 4096;

/** Tensors of a group that have taken the same steps, and so share their scalars. */
export class Cohort {
  /** Those with elements, in the order of memory. */
  readonly tensors: readonly Tensor[];
  /** Those with elements, then the others. */
  readonly all: readonly Tensor[];
  steps: number;
  /** Attempts of unknown outcome, of guarded steps, that left these tensors out, in order. */
  missed: readonly number[] = [];
  /** Rows of scalars that were worked out, by the count of steps before them. */
  readonly rows = new Map<number, PreparedRow>();
  /** The rule's memory after so many steps. The GPU may have skipped some that the host does not know of yet. */
  readonly #memories: Map<number, RuleMemory>;

  constructor(
    all: readonly Tensor[],
    steps: number,
    memories: ReadonlyMap<number, RuleMemory>,
    missed: readonly number[] = [],
  ) {
    this.all = all;
    this.tensors = all.filter(({ size }) => size > 0);
    this.steps = steps;
    this.#memories = new Map(memories);
    this.missed = missed;
  }

  /** Some of these tensors, with what they share. */
  of(tensors: readonly Tensor[]): Cohort {
    return new Cohort(tensors, this.steps, this.#memories, this.missed);
  }

  memoryAfter(steps: number): RuleMemory | undefined {
    return this.#memories.get(steps);
  }

  /** Counts a step, after which the rule remembers this. */
  count(memory: RuleMemory | undefined): void {
    this.steps += 1;
    if (memory === undefined) return;
    this.#memories.set(this.steps, memory);
    this.#memories.delete(this.steps - KEPT_MEMORIES);
  }

  /** The same for cohorts that go on alike, whatever the GPU has skipped; none for one that stays alone. */
  get likeness(): string | undefined {
    if (this.missed.length > 0) return undefined;
    return `${this.steps} ${JSON.stringify(this.memoryAfter(this.steps) ?? [])}`;
  }

  /** What these tensors were, for the time being. */
  get snapshot(): CohortSnapshot {
    const { all, steps, missed } = this;
    return { names: all.map(({ name }) => name), steps, missed, memories: new Map(this.#memories) };
  }
}

/** A cohort at a moment. */
export interface CohortSnapshot {
  readonly names: readonly string[];
  readonly steps: number;
  readonly missed: readonly number[];
  readonly memories: ReadonlyMap<number, RuleMemory>;
}

/** A group at a moment. */
export interface GroupSnapshot {
  readonly row: Rule["row"];
  readonly options: RuleOptions;
  readonly schedule: Schedule;
  readonly optionSchedules: OptionSchedules;
  readonly steps: number;
  readonly cohorts: readonly CohortSnapshot[];
}

/** What a group goes on from. */
export interface ResumedGroup {
  readonly options: RuleOptions;
  readonly schedule: Schedule;
  readonly optionSchedules: OptionSchedules;
  readonly steps: number;
  /** Its tensors by the steps that they have taken. */
  readonly cohorts: readonly TensorProgress[];
}

/** The tensors of a group by the steps that they have taken. */
export class Cohorts {
  #tensors: readonly Tensor[];
  #list: readonly Cohort[];
  /** Tensors that the last step left out, and the cohorts of the others. */
  #last: { readonly without: ReadonlySet<Tensor>; readonly others: readonly Cohort[] } | undefined;

  /** @param tensors those with elements in the order of memory, then the others */
  constructor(tensors: readonly Tensor[], cohorts: readonly Cohort[]) {
    this.#tensors = tensors;
    this.#list = cohorts;
  }

  get list(): readonly Cohort[] {
    return this.#list;
  }

  /** The cohorts of all tensors but some, which part with the others where they were one. */
  without(without: ReadonlySet<Tensor>): readonly Cohort[] {
    if (without.size === 0) return this.#list;
    if (this.#last?.without === without) return this.#last.others;
    const others = this.part((tensor) => !without.has(tensor));
    this.#last = { without, others };
    return others;
  }

  /** The cohorts of some tensors, which part with the others where they were one. */
  part(among: (tensor: Tensor) => boolean): readonly Cohort[] {
    const parted: Cohort[] = [];
    this.#set(
      this.#list.flatMap((cohort) => {
        const some = cohort.all.filter(among);
        if (some.length === 0) return [cohort];
        const whole = some.length === cohort.all.length;
        const own = whole ? cohort : cohort.of(some);
        parted.push(own);
        return whole ? [own] : [own, cohort.of(cohort.all.filter((tensor) => !among(tensor)))];
      }),
    );
    return parted;
  }

  /** Makes one of cohorts that go on alike. */
  join(cohorts: readonly Cohort[]): void {
    if (cohorts.length < 2) return;
    const alike = new Map<string, Cohort[]>();
    for (const cohort of cohorts) {
      const key = cohort.likeness;
      if (key !== undefined) alike.set(key, [...(alike.get(key) ?? []), cohort]);
    }
    for (const same of alike.values()) {
      if (same.length < 2) continue;
      const members = new Set(same.flatMap(({ all }) => all));
      const [first] = same;
      const joined = first!.of(this.#tensors.filter((tensor) => members.has(tensor)));
      this.#set([joined, ...this.#list.filter((cohort) => !same.includes(cohort))]);
    }
  }

  /** Takes in tensors before their first step. */
  add(tensors: readonly Tensor[], fresh: Cohort): void {
    this.#tensors = tensors;
    this.#set([...this.#list, fresh]);
  }

  #set(list: readonly Cohort[]): void {
    if (list.length === this.#list.length && list.every((cohort, index) => cohort === this.#list[index]))
      return;
    this.#list = list;
    this.#last = undefined;
  }
}
