import { type Matrix, product, transposed } from "./matrix.js";
import type { ReferenceRule } from "./reference-rule.js";
import { bounded, largest, type Summands, sum, times } from "./summands.js";

type MuonOptions = {
  momentum: number;
  form: "average" | "sum";
  nesterov: boolean;
  biasCorrection: boolean;
  steps: number;
  a: number;
  b: number;
  c: number;
  eps: number;
  epsFloor: boolean;
  scaling: "original" | "match_rms_adamw" | "optax";
};

/** α·left + β·right. */
const combined = (alpha: number, left: Matrix, beta: number, right: Matrix): Matrix =>
  left.map((row, i) => row.map((value, k) => alpha * value + beta * right[i]![k]!));

/** The Frobenius norm, over the largest, so that no square leaves float64. */
function normOf(values: Iterable<number>): number {
  const all = Float64Array.from(values, Math.abs);
  const most = all.reduce((so, value) => Math.max(so, value), 0);
  return most === 0 ? 0 : most * Math.sqrt(all.reduce((so, value) => so + (value / most) ** 2, 0));
}

/**
 * The orthogonalisation of Muon: G/‖G‖, then X ← aX + (bA + cA²)X with A = XXᵀ so many times, which takes every singular value
 * of any size towards 1.
 */
export function orthogonalized(
  values: ArrayLike<number>,
  [rows, columns]: readonly [number, number],
  { steps, a, b, c, eps, epsFloor }: Pick<MuonOptions, "steps" | "a" | "b" | "c" | "eps" | "epsFloor">,
): Float64Array {
  const all = Float64Array.from(values);
  const norm = normOf(all);
  const divisor = epsFloor ? Math.max(norm, eps) : norm + eps;
  let x: Matrix = Array.from({ length: rows }, (_, row) =>
    all.slice(row * columns, (row + 1) * columns).map((value) => value / divisor),
  );
  if (rows > columns) x = transposed(x);
  for (let step = 0; step < steps; step += 1) {
    const gram = product(x, transposed(x));
    x = combined(a, x, 1, product(combined(b, gram, c, product(gram, gram)), x));
  }
  if (rows > columns) x = transposed(x);
  return Float64Array.from(x.flatMap((row) => [...row]));
}

const scaleOf = ({ scaling }: MuonOptions, rows: number, columns: number): number => {
  if (scaling === "match_rms_adamw") return 0.2 * Math.sqrt(Math.max(rows, columns));
  return Math.sqrt(Math.max(1, scaling === "optax" ? columns / rows : rows / columns));
};

/** How many roundings of an update's largest element the iterations make, and how often they take up those of what they begin with. */
const ITERATED = 16;
const TAKEN_UP = 16;

/** Muon: θ ← θ − ηs·X, where X is the momentum's matrix, orthogonalised (Jordan et al. 2024; PyTorch's Muon). */
export const muon: ReferenceRule<MuonOptions, "momentum_buffer"> = {
  initial: () => ({ momentum_buffer: 0 }),
  prepare({ options, t, gradient, state }) {
    const { momentum, form, nesterov, biasCorrection } = options;
    const entering = form === "average" ? times(1 - momentum, gradient) : gradient;
    const buffer = [momentum * state.momentum_buffer, ...entering];
    const corrected = (steps: number, summands: Summands) =>
      biasCorrection ? times(1 / (1 - momentum ** steps), summands) : summands;
    const looked = nesterov
      ? [...times(momentum, corrected(t + 1, buffer)), ...corrected(t, entering)]
      : corrected(t, buffer);
    return { gradient: looked, state: { momentum_buffer: buffer } };
  },
  direct({ options, shape, gradients }) {
    const [rows = 1, ...others] = shape;
    const columns = others.reduce((product, extent) => product * extent, 1);
    const values = gradients.map(sum);
    const directions = orthogonalized(values, [rows, columns], options);
    const most = directions.reduce((so, value) => Math.max(so, Math.abs(value)), 0);
    const cancelled = normOf(gradients.map(largest)) / (normOf(values) || 1);
    const scale = scaleOf(options, rows, columns);
    const bound = scale * most * (ITERATED + TAKEN_UP * cancelled);
    return { directions: Array.from(directions, (value) => bounded(scale * value, bound)), arrays: {} };
  },
  step: ({ lr, gradient }) => ({ update: times(lr, gradient), state: {} }),
};
