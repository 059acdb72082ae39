import type { Summands } from "./summands.js";

/** Option values under the names of the rule's factory, all of them: the reference has no defaults. */
export type ReferenceOptions = Readonly<Record<string, number | boolean | string>>;

/** What a rule sees of one element at one step. */
export interface ElementInput<O = ReferenceOptions, S extends string = string, V extends string = string> {
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
  /** Values of the tensor: for `measure` those before the step, for `step` those after `settle`. */
  readonly settled: Readonly<Record<V, number>>;
}

/** What a rule makes of it. */
export interface ElementOutput<S extends string = string> {
  /** Subtracted from the parameter. */
  readonly update: Summands;
  /** State after the step; what `prepare` gave may be left out. */
  readonly state: Readonly<Partial<Record<S, Summands>>>;
}

/** What a rule sees of a whole tensor at one step. */
export interface TensorInput<O = ReferenceOptions, V extends string = string> {
  readonly options: O;
  /** Step, from 1. */
  readonly t: number;
  /** Rate of this step, schedule applied. */
  readonly lr: number;
  /** What the caller handed in, where the rule takes that. */
  readonly loss: number;
  /** What `measure` gave, added up; the largest summand is the sum of every element's largest. */
  readonly sums: Readonly<Record<string, Summands>>;
  /** Values before the step. */
  readonly settled: Readonly<Record<V, number>>;
}

/** What a rule sees of a whole tensor whose gradients it turns into directions. */
export interface WholeInput<O = ReferenceOptions, A extends string = string> {
  readonly options: O;
  /** Step, from 1. */
  readonly t: number;
  /** Rate of this step, schedule applied. */
  readonly lr: number;
  /** Of the tensor. */
  readonly name?: string | undefined;
  readonly shape: readonly number[];
  readonly parameters: Float64Array;
  /** Of each element, as for `step`. */
  readonly gradients: readonly Summands[];
  /** What the tensor keeps beside the states of its elements. */
  readonly arrays: Readonly<Record<A, Float64Array>>;
}

/** Values of a whole array. */
export type ArraySummands<A extends string = string> = Readonly<Record<A, readonly Summands[]>>;

/**
 * A rule for one element in float64, from the equations of its paper. V names values that a tensor keeps once: what the
 * kernels settle from sums, or what depends on the rates of earlier steps and is the row's memory there.
 */
export interface ReferenceRule<O = ReferenceOptions, S extends string = string, V extends string = string> {
  /** State before the first step. */
  initial(options: O, parameter: number): Readonly<Record<S, number>>;
  step(input: ElementInput<O, S, V>): ElementOutput<S>;
  /** The point at which the gradient is taken, where that is not the parameter itself. */
  lookahead?(options: O, parameter: number, state: Readonly<Record<S, number>>): number;
  /** State after an estimate of the Hessian's diagonal was handed in. */
  curvature?(options: O, estimate: number, state: Readonly<Record<S, number>>): Readonly<Record<S, Summands>>;
  /** Values of a tensor before the first step. */
  settled?(options: O): Readonly<Record<V, number>>;
  /** What one element adds to the sums over its tensor. */
  measure?(input: ElementInput<O, S, V>): Readonly<Record<string, Summands>>;
  /** Values of a tensor for this step; runs before `step`. */
  settle?(input: TensorInput<O, V>): Readonly<Record<V, Summands>>;
  /** What a whole tensor keeps before the first step, beside the states of its elements. */
  arrays?(options: O, shape: readonly number[]): Readonly<Record<string, Float64Array>>;
  /** What an element's gradient and states become before `direct`. */
  prepare?(input: ElementInput<O, S, V>): {
    readonly gradient: Summands;
    readonly state: Readonly<Record<S, Summands>>;
  };
  /** Directions, which `step` is given as gradients, and the arrays after the step. */
  direct?(input: WholeInput<O>): { readonly directions: readonly Summands[]; readonly arrays: ArraySummands };
  /** The arrays after the gradient of an output was handed over, the first one being 0. */
  output?(input: WholeInput<O>, output: number): ArraySummands;
  /** Whether decoupled decay is part of `step`. */
  readonly ownDecay?: true;
}
