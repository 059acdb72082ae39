import { OptimError } from "../errors.js";
import type { ElementInput, ElementOutput, ReferenceOptions, ReferenceRule } from "./reference-rule.js";
import { nameOf, type Referenced, referenceRule } from "./rules.js";
import { bounded, largest, rounding, type Summands, sign, sum, times } from "./summands.js";

/** Options of the stages around a rule, beside the rule's own: as `adam(…).options` has them. */
export type StageOptions = ReferenceOptions & {
  readonly weightDecay: number;
  readonly decay: "coupled" | "decoupled" | "independent" | "proximal" | "cautious";
  readonly maximize: boolean;
  readonly cautious?: "off" | "scaled" | "paper";
};

/**
 * One array per state, under the names of the kernels' `State` fields; of what a tensor keeps once (`Settled` fields,
 * the row's memory), an array of one value.
 */
export type ReferenceState = Readonly<Record<string, Float64Array>>;

/** Parameters and states after a step, and for every element what bounds its rounding error in f32. */
export interface ReferenceStep {
  readonly parameters: Float64Array;
  readonly state: ReferenceState;
  /** The largest magnitude among the summands of each element's new value. */
  readonly largest: { readonly parameters: Float64Array; readonly state: ReferenceState };
}

/** What a step is taken at. */
export interface StepAt {
  /** Step, from 1. */
  readonly t: number;
  /** Rate of this step, schedule applied. */
  readonly lr: number;
  /** Shape of the tensor, where the rule looks at more than its elements; a vector if left out. */
  readonly shape?: readonly number[];
  /** Name of the tensor, where the rule looks at that. */
  readonly name?: string | undefined;
  /** The loss that is handed in, where the rule takes it. */
  readonly loss?: number | undefined;
  /** Factor on the gradients (one over the loss scale, a clip factor); 1 if left out. */
  readonly gradientScale?: number;
  /** What a tensor settles in this step, where elements are to go on from what another came to. */
  readonly settled?: ReferenceState;
}

/**
 * The states of a rule before its first step.
 * @param start the parameters, or how many there are where no state begins as their copy
 * @throws OptimError `unknown-name` for an unknown rule, `invalid-argument` where the parameters are needed.
 */
export function referenceState(
  of: Referenced,
  options: ReferenceOptions,
  start: Float64Array | number,
  shape: readonly number[] = [typeof start === "number" ? start : start.length],
): ReferenceState {
  const rule = referenceRule(of);
  // A number that shows itself where a state copies it.
  const parameters = typeof start === "number" ? new Float64Array(start).fill(Number.NaN) : start;
  const states = mapValues(rule.initial(options, 0), (_, name) =>
    parameters.map((parameter) => rule.initial(options, parameter)[name]!),
  );
  for (const [name, values] of Object.entries(states))
    if (typeof start === "number" && values.some(Number.isNaN))
      throw new OptimError("invalid-argument", `State '${name}' of ${nameOf(of)} begins as the parameters`, {
        expected: "the parameters",
        got: `their number, ${start}`,
        fix: "pass the parameters themselves",
      });
  const settled = mapValues(rule.settled?.(options) ?? {}, (value) => Float64Array.of(value));
  return { ...states, ...settled, ...rule.arrays?.(options, shape) };
}

/**
 * The states after an estimate of the Hessian's diagonal was handed in, and the largest summand of each.
 * @throws OptimError `unknown-name` for an unknown rule, `invalid-argument` for a rule without curvature, a missing state
 * or a wrong length.
 */
export function referenceCurvature(
  of: Referenced,
  options: ReferenceOptions,
  estimates: Float64Array,
  state: ReferenceState,
): { readonly state: ReferenceState; readonly largest: ReferenceState } {
  const rule = referenceRule(of);
  if (!rule.curvature)
    throw new OptimError("invalid-argument", `${nameOf(of)} takes no estimate of curvature`, {
      expected: "a rule with curvature",
      got: nameOf(of),
      fix: "step without one",
    });
  checkState(of, rule, options, estimates.length, state);
  const after = [...estimates].map((estimate, i) => rule.curvature!(options, estimate, elementOf(state, i)));
  const each = (value: (summands: Summands) => number) =>
    mapValues(state, (_, name) => Float64Array.from(after, (element) => value(element[name]!)));
  return { state: each(sum), largest: each(largest) };
}

/**
 * The arrays after the gradient of an output was handed over, and the largest summand of each value.
 * @param output its number since the step, from 0
 * @throws OptimError `unknown-name` for an unknown rule, `invalid-argument` for one that takes none.
 */
export function referenceOutput(
  of: Referenced,
  options: ReferenceOptions,
  { t, lr, shape = [] }: StepAt,
  parameters: Float64Array,
  gradients: Float64Array,
  state: ReferenceState,
  output: number,
): { readonly state: ReferenceState; readonly largest: ReferenceState } {
  const rule = referenceRule(of);
  const after = rule.output?.(
    { options, t, lr, shape, parameters, gradients: Array.from(gradients, (g) => [g]), arrays: state },
    output,
  );
  if (!after)
    throw new OptimError("invalid-argument", `${nameOf(of)} takes no gradients of outputs`, {
      expected: "a rule that does",
      got: nameOf(of),
      fix: "step without them",
    });
  const each = (value: (summands: Summands) => number) =>
    mapValues(after, (all) => Float64Array.from(all, value));
  return { state: { ...state, ...each(sum) }, largest: each(largest) };
}

/**
 * The points at which the gradients of the next step are taken: the parameters themselves for a rule without look-ahead.
 * @throws OptimError `unknown-name` for an unknown rule, `invalid-argument` for a missing state or a wrong length.
 */
export function referenceLookahead(
  of: Referenced,
  options: ReferenceOptions,
  parameters: Float64Array,
  state: ReferenceState,
): Float64Array {
  const rule = referenceRule(of);
  checkState(of, rule, options, parameters.length, state);
  return parameters.map((parameter, i) => gradientPoint(rule, options, parameter, elementOf(state, i)));
}

/**
 * One step of a rule in float64 with the stages around it: scale, sign of `maximize`, coupled decay at the point where
 * the gradient was taken, rule, decoupled decay of the parameter. Nothing passed in is changed. The kernels' bound of
 * 2^62 on what enters a second moment is no part of it.
 * @throws OptimError `unknown-name` for an unknown rule, `invalid-argument` for a missing state or a wrong length.
 */
export function referenceStep(
  of: Referenced,
  options: StageOptions,
  { t, lr, gradientScale = 1, settled: given = {}, shape, name, loss = Number.NaN }: StepAt,
  parameters: Float64Array,
  gradients: Float64Array,
  state: ReferenceState,
): ReferenceStep {
  const rule = referenceRule(of);
  const length = parameters.length;
  checkLength("The gradients", gradients, length);
  checkState(of, rule, options, length, state, shape);
  const { weightDecay, decay, maximize } = options;
  const zeros = () => new Float64Array(length);
  const zerosLike = (values: Float64Array) => new Float64Array(values.length);
  const result: ReferenceStep = {
    parameters: zeros(),
    state: mapValues(state, zerosLike),
    largest: { parameters: zeros(), state: mapValues(state, zerosLike) },
  };
  const kept = mapValues(rule.settled?.(options) ?? {}, (_, name) => state[name]![0]!);
  let elements = Array.from(parameters, (parameter, i): ElementInput => {
    const before = elementOf(state, i);
    const scaled = gradients[i]! * gradientScale * (maximize ? -1 : 1);
    const point = gradientPoint(rule, options, parameter, before);
    const coupled = decay === "coupled" && weightDecay !== 0;
    const gradient: Summands = coupled ? [scaled, weightDecay * point] : [scaled];
    return { options, t, lr, parameter, gradient, state: before, settled: kept };
  });
  const prepared = rule.prepare && elements.map((element) => rule.prepare!(element));
  if (prepared)
    elements = elements.map((element, i) => ({
      ...element,
      gradient: prepared[i]!.gradient,
      state: mapValues(prepared[i]!.state, sum),
    }));
  const whole = { options, t, lr, name, parameters, arrays: state, shape: shape ?? [length] };
  const directed = rule.direct?.({ ...whole, gradients: elements.map(({ gradient }) => gradient) });
  if (directed) {
    elements = elements.map((element, i) => ({ ...element, gradient: directed.directions[i]! }));
    for (const [name, all] of Object.entries(directed.arrays))
      all.forEach((summands, i) => {
        result.state[name]![i] = sum(summands);
        result.largest.state[name]![i] = largest(summands);
      });
  }
  const settling = rule.settle?.({ options, t, lr, loss, sums: sumsOf(rule, elements), settled: kept }) ?? {};
  for (const [name, summands] of Object.entries(settling)) {
    result.state[name]![0] = sum(summands);
    result.largest.state[name]![0] = largest(summands);
  }
  const settled = mapValues(settling, (summands, name) => given[name]?.[0] ?? sum(summands));
  const steps = elements.map((element) => rule.step({ ...element, settled }));
  const outputs = heldBack(options.cautious ?? "off", elements, steps);
  for (const [i, { parameter }] of elements.entries()) {
    const output = outputs[i]!;
    const after = afterDecay(parameter, output.update, options, lr, rule.ownDecay);
    result.parameters[i] = sum(after);
    // The update is a value of its own: where its summands have one sign, its rounding is that of their sum.
    result.largest.parameters[i] = Math.max(largest(after), Math.abs(sum(output.update)));
    const states = { ...prepared?.[i]?.state, ...output.state } as Readonly<Record<string, Summands>>;
    for (const [name, summands] of Object.entries(states)) {
      result.state[name]![i] = sum(summands);
      result.largest.state[name]![i] = largest(summands);
    }
  }
  return result;
}

/**
 * Cautious updates (Liang et al. 2024, algorithm 1): those against the gradient's sign are none, and the others are scaled by
 * how many there are. Where rounding decides a sign, it decides about the update, and through the count about all others.
 */
function heldBack(
  cautious: "off" | "scaled" | "paper",
  elements: readonly ElementInput[],
  outputs: readonly ElementOutput[],
): readonly ElementOutput[] {
  if (cautious === "off") return outputs;
  const count = elements.length;
  const scale = (kept: number) =>
    cautious === "paper" ? count / (kept + 1) : 1 / Math.max(kept / count, 1e-3);
  const agreements = outputs.map(({ update }, i) => {
    const [ahead, along] = [sign(update), sign(elements[i]!.gradient)];
    return { kept: sum(ahead) * sum(along) > 0, open: Math.max(largest(ahead), largest(along)) > 1 };
  });
  const kept = agreements.filter((one) => one.kept).length;
  const open = agreements.filter((one) => one.open).length;
  const factor = scale(kept);
  const slack = scale(Math.max(kept - open, 0)) - scale(Math.min(kept + open, count));
  return outputs.map(({ update, state }, i) => {
    const own = agreements[i]!;
    const size = Math.abs(sum(update));
    const bound = ((own.open ? factor + slack : slack) * size) / rounding;
    return { update: [bound, -bound, ...(own.kept ? times(factor, update) : [0])], state };
  });
}

/** θ − update, with the weight decay that is not in the gradient already. */
function afterDecay(
  parameter: number,
  update: Summands,
  { decay, weightDecay }: StageOptions,
  lr: number,
  ownDecay?: true,
): Summands {
  const stepped = [parameter, ...times(-1, update)];
  if (decay === "decoupled" && ownDecay) return stepped;
  if (decay === "decoupled") return [...stepped, -lr * weightDecay * parameter];
  if (decay === "independent") return [...stepped, -weightDecay * parameter];
  if (decay === "proximal") return times(1 / (1 + lr * weightDecay), stepped);
  if (decay !== "cautious") return stepped;
  const taken = -lr * weightDecay * parameter;
  const direction = sign(update);
  const shrinks = sum(direction) * Math.sign(parameter) >= 0;
  // Where rounding decides the sign of the update, it decides about the decay.
  return [...stepped, ...bounded(shrinks ? taken : 0, Math.abs(taken) * largest(direction))];
}

/** The point at which an element's gradient is taken. */
const gradientPoint = (
  rule: ReferenceRule,
  options: ReferenceOptions,
  parameter: number,
  state: Readonly<Record<string, number>>,
) => rule.lookahead?.(options, parameter, state) ?? parameter;

/** What the elements' measures add up to. */
function sumsOf(rule: ReferenceRule, elements: readonly ElementInput[]): Record<string, Summands> {
  const measured = elements.map((element) => rule.measure?.(element) ?? {});
  const total = (name: string, value: (summands: Summands) => number) =>
    measured.reduce((so, addends) => so + value(addends[name]!), 0);
  return mapValues(measured[0] ?? {}, (_, name) => bounded(total(name, sum), total(name, largest)));
}

const elementOf = (state: ReferenceState, i: number) => mapValues(state, (values) => values[i] ?? 0);

const mapValues = <A, B>(
  record: Readonly<Record<string, A>>,
  map: (value: A, name: string) => B,
): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value, name)]));

function checkState(
  of: Referenced,
  rule: ReferenceRule,
  options: ReferenceOptions,
  length: number,
  state: ReferenceState,
  shape: readonly number[] = [length],
): void {
  const states = Object.keys(rule.initial(options, 0));
  const settled = Object.keys(rule.settled?.(options) ?? {});
  const arrays = rule.arrays?.(options, shape) ?? {};
  const expected = [...states, ...settled, ...Object.keys(arrays)];
  const got = Object.keys(state);
  if (got.length !== expected.length || !expected.every((name) => Object.hasOwn(state, name)))
    throw new OptimError("invalid-argument", `These are not the states of ${nameOf(of)}`, {
      expected: expected.join(", ") || "no state",
      got: got.join(", ") || "no state",
      fix: "start from referenceState() of the same rule",
    });
  for (const name of states) checkLength(`State '${name}'`, state[name]!, length);
  for (const name of settled) checkLength(`Settled '${name}'`, state[name]!, 1);
  for (const [name, { length: own }] of Object.entries(arrays))
    checkLength(`Array '${name}'`, state[name]!, own);
}

function checkLength(what: string, values: Float64Array, length: number): void {
  if (values.length !== length)
    throw new OptimError("invalid-argument", `${what} and the parameters differ in length`, {
      expected: `${length} elements`,
      got: `${values.length}`,
      fix: "pass one value per parameter",
    });
}
