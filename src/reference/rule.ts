import type { Summands } from "./summands.js";

/** Option values under the names of the rule's factory, all of them: the reference has no defaults. */
export type ReferenceOptions = Readonly<Record<string, number | boolean | string>>;

/** What a rule sees of one element at one step. */
export interface ElementInput<O = ReferenceOptions, S extends string = string> {
  readonly options: O;
  /** Step, from 1. */
  readonly t: number;
  /** Rate of this step, schedule applied. */
  readonly lr: number;
  /** The parameter before the step; of a rule with look-ahead, not the look-ahead point. */
  readonly parameter: number;
  /** The gradient after scaling, sign and coupled decay: several summands where decay was added. */
  readonly gradient: Summands;
  /** State before the step, under the names of the kernels' `State` fields. */
  readonly state: Readonly<Record<S, number>>;
}

/** What a rule makes of it. */
export interface ElementOutput<S extends string = string> {
  /** Subtracted from the parameter. */
  readonly update: Summands;
  /** State after the step. */
  readonly state: Readonly<Record<S, Summands>>;
}

/** A rule for one element in float64, from the equations of its paper. */
export interface ReferenceRule<O = ReferenceOptions, S extends string = string> {
  /** State before the first step. */
  initial(options: O): Readonly<Record<S, number>>;
  step(input: ElementInput<O, S>): ElementOutput<S>;
  /** The point at which the gradient is taken, where that is not the parameter itself. */
  lookahead?(options: O, parameter: number, state: Readonly<Record<S, number>>): number;
}
