// Holds what the GPU computed against the float64 reference.
import type { Rule } from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { ulp } from "./numbers.js";

/** What a rule keeps of a tensor: its states, then its settled values. */
export const statesOf = ({ row: { shader } }: Rule): readonly string[] => [
  ...shader.states,
  ...shader.settled,
];

/** One tensor's run: what went in, and parameters and states ({@link statesOf}) after each step. */
export interface Run {
  readonly rule: Rule;
  readonly initial: Float32Array;
  readonly gradients: readonly Float32Array[];
  readonly rates: readonly number[];
  readonly after: readonly (readonly Float32Array[])[];
}

/** Below this, f32 numbers are subnormal, and WGSL may flush them to zero. */
const SMALLEST = 2 ** -126;

/** The f32 error bound of one step in ULP of the largest summand: division and square root of hardware are coarser. */
export const stepBound = (software: boolean) => (software ? 8 : 16);

/** Every step by itself, from the GPU's own values before it: where it is off by more than `bound` ULP. */
export function stepErrors(
  { rule, initial, gradients, rates, after }: Run,
  bound: number,
  judged: (i: number) => boolean = () => true,
): string[] {
  const { name } = rule.row;
  const kinds = statesOf(rule);
  const errors: string[] = [];
  let parameters = Float64Array.from(initial);
  let state = referenceState(name, rule.options, parameters);
  after.forEach(([values, ...states], index) => {
    const at = { t: index + 1, lr: rates[index]! };
    const one = referenceStep(
      name,
      rule.options,
      at,
      parameters,
      Float64Array.from(gradients[index]!),
      state,
    );
    const compare = (what: string, got: Float32Array, expected: Float64Array, largest: Float64Array) =>
      got.forEach((value, i) => {
        if (got.length > 1 && !judged(i)) return;
        const error = Math.max(Math.abs(value - expected[i]!) - SMALLEST, 0) / ulp(largest[i]!);
        if (!(error <= bound))
          errors.push(`${what}[${i}] at step ${at.t}: ${value}, expected ${expected[i]}, ${error} ULP`);
      });
    compare("θ", values!, one.parameters, one.largest.parameters);
    kinds.forEach((kind, k) => {
      compare(kind, states[k]!, one.state[kind]!, one.largest.state[kind]!);
    });
    parameters = Float64Array.from(values!);
    // What depends on earlier rates goes on as the reference has it.
    const own = kinds.map((kind, k) => [kind, Float64Array.from(states[k]!)]);
    state = { ...one.state, ...Object.fromEntries(own) };
  });
  return errors;
}

/** The free run against the reference's own: where a parameter is off by more than `bound`·(1 + largest |θ| so far). */
export function trajectoryErrors({ rule, initial, gradients, rates, after }: Run, bound: number): string[] {
  const { name } = rule.row;
  const errors: string[] = [];
  let parameters: Float64Array = Float64Array.from(initial);
  let state = referenceState(name, rule.options, parameters);
  const largest = parameters.map(Math.abs);
  gradients.forEach((values, index) => {
    const at = { t: index + 1, lr: rates[index]! };
    ({ parameters, state } = referenceStep(
      name,
      rule.options,
      at,
      parameters,
      Float64Array.from(values),
      state,
    ));
    parameters.forEach((expected, i) => {
      largest[i] = Math.max(largest[i]!, Math.abs(expected));
      const got = after[index]?.[0]?.[i];
      // Runs that are read at their end only have no values in between.
      if (got === undefined) return;
      if (!(Math.abs(got - expected) <= bound * (1 + largest[i]!)))
        errors.push(`θ[${i}] at step ${at.t}: ${got}, expected ${expected}`);
    });
  });
  return errors;
}

/** The bits of f32 values, to be compared exactly. */
export const bits = (values: Float32Array) =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);
