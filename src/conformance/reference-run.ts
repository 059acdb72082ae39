import type { Rule } from "../index.js";
import { referenceLookahead, referenceOutput, referenceState, referenceStep } from "../reference/step.js";
import type { Trajectory } from "./trajectories.js";

/** Parameters of each tensor after each step of a trajectory, as the float64 reference runs it. */
export function referenceRun(
  { initial, shapes, steps, rate, gradient, outputs }: Trajectory,
  { row, options }: Rule,
): Readonly<Record<string, readonly Float64Array[]>> {
  const names = Object.keys(initial);
  const after: Record<string, Float64Array[]> = Object.fromEntries(names.map((name) => [name, []]));
  // Tensors that share their sums are one to the reference.
  for (const tensors of row.scope === "all" ? [names] : names.map((name) => [name])) {
    let from = 0;
    const places = tensors.map((name) => {
      const start = from;
      from += initial[name]!.length;
      return { name, start, end: from };
    });
    const joined = (of: (place: (typeof places)[number]) => Float64Array) =>
      Float64Array.from(places.flatMap((place) => [...of(place)]));
    let parameters: Float64Array = joined(({ name }) => initial[name]!);
    const shape = shapes[tensors[0]!]!;
    const shaped = row.whole ? { shape } : {};
    let state = referenceState(row, options, parameters, shaped.shape);
    for (let t = 1; t <= steps; t += 1) {
      const point = referenceLookahead(row, options, parameters, state);
      const gradients = joined(({ name, start, end }) => gradient(t, name, point.subarray(start, end)));
      const at = { t, lr: rate(t) ?? options.lr, ...shaped };
      ({ parameters, state } = referenceStep(row, options, at, parameters, gradients, state));
      if (outputs) {
        const handed = joined(({ name }) => outputs[t - 1]![name]!);
        ({ state } = referenceOutput(row, options, { ...at, t: t + 1 }, parameters, handed, state, 0));
      }
      for (const { name, start, end } of places) after[name]!.push(parameters.slice(start, end));
    }
  }
  return after;
}
