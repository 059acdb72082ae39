// Holds what the GPU computed against the float64 reference.
import type { Rule } from "../index.js";
import {
  type ReferenceState,
  referenceCurvature,
  referenceOutput,
  referenceState,
  referenceStep,
} from "../reference/step.js";
import { keptOf } from "../whole-tensor.js";
import { ulp } from "./numbers.js";
import { lossAt } from "./record.js";

/** One tensor's run: what went in, and after each step the parameters and what the rule keeps ({@link keptBy}). */
export interface Run {
  readonly rule: Rule;
  /** Of rules that look at more than elements. */
  readonly shape?: readonly number[] | undefined;
  readonly name?: string | undefined;
  readonly initial: Float32Array;
  readonly gradients: readonly Float32Array[];
  /** Gradients of outputs, handed over after each step. */
  readonly outputs?: readonly (readonly Float32Array[])[] | undefined;
  /** Estimates of the Hessian's diagonal, handed in before the steps that have one. */
  readonly estimates?: readonly (Float32Array | undefined)[];
  readonly rates: readonly number[];
  readonly after: readonly (readonly Float32Array[])[];
}

/** Names of what a rule keeps of a tensor, in order: its states, single values that it settles from sums, and arrays. */
export const keptBy = ({ row, options }: Rule, shape: readonly number[] = []): readonly string[] => [
  ...row.shader.states,
  ...row.shader.settled,
  ...Object.keys(keptOf(row, shape, options)),
];

/** How far one quantity, the parameters or a state, is off in single steps. */
export interface StepFigures {
  /** Worst error in ULP of the largest summand of the new value. */
  readonly worstUlp: number;
  /**
   * Worst error of an element in proportion to the largest change that the step makes in its tensor. The half ULP that
   * storing the new value costs is not counted: it says nothing about updates far smaller than their parameter.
   */
  readonly worstUpdateError: number;
}

/** Every step judged by itself. */
export interface StepJudgement {
  /** Of the parameters, `θ`, and of each state under its name. */
  readonly quantities: Readonly<Record<string, StepFigures>>;
  readonly worstUlp: number;
  /** Where that is. */
  readonly at: string;
  /** Compared values by their error: how many are up to each of {@link histogramBounds}, and above the last. */
  readonly histogram: readonly number[];
  /** Everything above the bound. */
  readonly errors: readonly string[];
}

/** A free run judged as a whole. */
export interface TrajectoryJudgement {
  /** Worst error of a parameter over 1 + its largest magnitude so far. */
  readonly worstError: number;
  readonly at: string;
  readonly errors: readonly string[];
}

/** Upper ends of the bins of an error histogram, in ULP; the last bin is open. */
export const histogramBounds: readonly number[] = [0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 16];

/** Above this, kernels hold squares to a bound that the reference does not have: such an element is not judged in that step. */
const LARGEST = 1e37;

/** What WGSL may flush to zero: a subnormal number, below 2^-126, of each of two summands. */
const FLUSHED = 2 * 2 ** -126;

/** The f32 error bound of one step in ULP of the largest summand: division and square root of hardware are coarser. */
export const stepBound = (software: boolean): number => (software ? 4 : 16);

/** f32 rounding of a dozen or two steps, each a handful of roundings of 6e-8 of the parameter or the update. */
export const trajectoryBound = 2e-6;

/** An error as a number that JSON can hold: what is not finite is as far off as numbers go. */
export const finite = (error: number): number => (error <= Number.MAX_VALUE ? error : Number.MAX_VALUE);

/** The states after what is handed in before a step, and the largest summands of that. */
function handIn(
  { row, options }: Rule,
  estimates: Run["estimates"],
  index: number,
  state: ReferenceState,
): { readonly state: ReferenceState; readonly largest: ReferenceState } {
  const estimate = estimates?.[index];
  return estimate
    ? referenceCurvature(row, options, Float64Array.from(estimate), state)
    : { state, largest: {} };
}

/** Judges every step by itself, from the GPU's own values before it. */
export function judgeSteps(
  { rule, shape, name, initial, gradients, estimates, outputs, rates, after }: Run,
  bound: number,
  judged: (i: number) => boolean = () => true,
): StepJudgement {
  const { row } = rule;
  const kinds = keptBy(rule, shape);
  const errors: string[] = [];
  const histogram = new Array<number>(histogramBounds.length + 1).fill(0);
  const quantities: Record<string, { worstUlp: number; worstUpdateError: number }> = {};
  let worstUlp = 0;
  let at = "";
  let parameters = Float64Array.from(initial);
  let state = referenceState(row, rule.options, parameters, shape);

  const compare = (
    quantity: string,
    t: number,
    before: Float64Array,
    got: Float32Array,
    expected: Float64Array,
    largest: Float64Array,
    within: (i: number) => boolean,
  ) => {
    quantities[quantity] ??= { worstUlp: 0, worstUpdateError: 0 };
    const figures = quantities[quantity];
    let change = 0;
    let worst = 0;
    got.forEach((value, i) => {
      // What is settled belongs to the whole tensor.
      if (got.length === initial.length && got.length > 1 && !(judged(i) && within(i))) return;
      change = Math.max(change, Math.abs(expected[i]! - before[i]!));
      const difference = finite(Math.abs(value - expected[i]!));
      worst = Math.max(worst, difference - FLUSHED - ulp(expected[i]!) / 2);
      // Where summands of one sign add up, storing the value alone takes half an ULP of it.
      const scale = Math.max(largest[i]!, Math.abs(expected[i]!));
      const error = finite(Math.max(difference - FLUSHED, 0) / ulp(scale));
      const bin = histogramBounds.findIndex((end) => error <= end);
      histogram[bin < 0 ? histogramBounds.length : bin]! += 1;
      figures.worstUlp = Math.max(figures.worstUlp, error);
      const place = () =>
        `${quantity}[${i}] at step ${t}: ${value}, expected ${expected[i]}, off by ${error.toPrecision(3)} ULP`;
      if (error > worstUlp) {
        worstUlp = error;
        at = place();
      }
      if (!(error <= bound)) errors.push(place());
    });
    if (change > 0) figures.worstUpdateError = Math.max(figures.worstUpdateError, finite(worst / change));
  };

  after.forEach(([values, ...kept], index) => {
    const t = index + 1;
    const gradient = Float64Array.from(gradients[index]!);
    const given = handIn(rule, estimates, index, state);
    // What a tensor settles is judged by itself; its elements go on from what the GPU has of it.
    const settled = Object.fromEntries(
      row.shader.settled.map((kind) => [kind, Float64Array.from(kept[kinds.indexOf(kind)]!)]),
    );
    const at = { t, lr: rates[index]!, loss: lossAt(t), settled, name, ...(shape && { shape }) };
    let one = referenceStep(row, rule.options, at, parameters, gradient, given.state);
    (outputs?.[index] ?? []).forEach((values, output) => {
      const next = { ...at, t: t + 1 };
      const handed = Float64Array.from(values);
      const { state, largest } = referenceOutput(
        row,
        rule.options,
        next,
        one.parameters,
        handed,
        one.state,
        output,
      );
      for (const [name, values] of Object.entries(largest))
        values.forEach((value, i) => {
          values[i] = Math.max(value, one.largest.state[name]![i]!);
        });
      one = { ...one, state, largest: { ...one.largest, state: { ...one.largest.state, ...largest } } };
    });
    // A state that is not finite at all is judged: it is a wrong reference.
    const beyond = (value: number) => Number.isFinite(value) && Math.abs(value) > LARGEST;
    const within = (i: number) => !kinds.some((kind) => beyond(one.state[kind]![i] ?? 0));
    compare("θ", t, parameters, values!, one.parameters, one.largest.parameters, within);
    kinds.forEach((kind, k) => {
      const summands = one.largest.state[kind]!;
      const before = given.largest[kind];
      const largest = before ? summands.map((value, i) => Math.max(value, before[i]!)) : summands;
      compare(kind, t, state[kind]!, kept[k]!, one.state[kind]!, largest, within);
    });
    parameters = Float64Array.from(values!);
    // What depends on earlier rates alone goes on as the reference has it.
    const own = kinds.map((kind, k) => [kind, Float64Array.from(kept[k]!)]);
    state = { ...one.state, ...Object.fromEntries(own) };
  });
  return { quantities, worstUlp, at, histogram, errors };
}

/** Judges the free run against the reference's own, by `bound`·(1 + largest |θ| so far). */
export function judgeTrajectory(
  { rule, shape, name, initial, gradients, estimates, outputs, rates, after }: Run,
  bound: number = trajectoryBound,
): TrajectoryJudgement {
  const { row } = rule;
  const errors: string[] = [];
  let worstError = 0;
  let at = "";
  let parameters: Float64Array = Float64Array.from(initial);
  let state = referenceState(row, rule.options, parameters, shape);
  const largest = parameters.map(Math.abs);
  gradients.forEach((values, index) => {
    const t = index + 1;
    const gradient = Float64Array.from(values);
    const lr = rates[index]!;
    ({ state } = handIn(rule, estimates, index, state));
    const place = { t, lr, loss: lossAt(t), name, ...(shape && { shape }) };
    ({ parameters, state } = referenceStep(row, rule.options, place, parameters, gradient, state));
    (outputs?.[index] ?? []).forEach((values, output) => {
      const next = { ...place, t: t + 1 };
      const handed = Float64Array.from(values);
      ({ state } = referenceOutput(row, rule.options, next, parameters, handed, state, output));
    });
    parameters.forEach((expected, i) => {
      largest[i] = Math.max(largest[i]!, Math.abs(expected));
      const got = after[index]?.[0]?.[i];
      // Runs that are read at their end only have no values in between.
      if (got === undefined) return;
      const error = finite(Math.abs(got - expected) / (1 + largest[i]!));
      const where = () => `θ[${i}] at step ${t}: ${got}, expected ${expected}`;
      if (error > worstError) {
        worstError = error;
        at = where();
      }
      if (!(error <= bound)) errors.push(where());
    });
  });
  return { worstError, at, errors };
}
