import type { ArraySummands, ReferenceRule } from "./reference-rule.js";
import { bounded, largest, rounding, type Summands, sum, times } from "./summands.js";

type LbfgsOptions = { historySize: number };

/** A change of parameters and that of gradients. */
interface Pair {
  readonly s: Float64Array;
  readonly y: Float64Array;
}

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((so, value, i) => so + value * b[i]!, 0);

/**
 * Hg by the two-loop recursion (Nocedal 1980; Nocedal & Wright 2006, algorithm 7.4) with H₀ = sᵀy/yᵀy of the newest pair.
 * @param pairs the oldest first
 * @returns also, of each element, Σ|·| over all that its value is made of
 */
function twoLoop(gradient: Float64Array, pairs: readonly Pair[]) {
  const q = gradient.slice();
  const alphas = pairs.map(() => 0);
  for (let i = pairs.length - 1; i >= 0; i -= 1) {
    const { s, y } = pairs[i]!;
    const alpha = dot(s, q) / dot(s, y);
    alphas[i] = alpha;
    y.forEach((value, k) => {
      q[k]! -= alpha * value;
    });
  }
  const newest = pairs.at(-1);
  const gamma = newest ? dot(newest.s, newest.y) / dot(newest.y, newest.y) : 1;
  const r = q.map((value) => gamma * value);
  const magnitude = gradient.map((value) => Math.abs(gamma * value));
  pairs.forEach(({ s, y }, i) => {
    const beta = dot(y, r) / dot(s, y);
    const weight = alphas[i]! - beta;
    s.forEach((value, k) => {
      r[k]! += weight * value;
      magnitude[k]! += Math.abs(weight * value) + Math.abs(gamma * alphas[i]! * y[k]!);
    });
  });
  return { direction: r, magnitude };
}

/** Where rounding of a gradient decides about a pair or a direction: what it may come to in so many tries. */
const TRIES = 6;

/**
 * L-BFGS (Nocedal 1980) as PyTorch's `LBFGS` steps without a line search, but s is what parameters changed by. Changes are
 * those that f32 holds: an inverse made of them takes up their roundings.
 */
export const lbfgs: ReferenceRule<LbfgsOptions> = {
  initial: () => ({}),
  arrays: ({ historySize: m }, shape) => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    return {
      old_stps: new Float64Array(m * count),
      old_dirs: new Float64Array(m * count),
      prev_parameter: new Float64Array(count),
      prev_flat_grad: new Float64Array(count),
      progress: new Float64Array(2),
      products: new Float64Array(4 * m * m),
    };
  },
  direct({ options: { historySize: m }, t, parameters, gradients, arrays }) {
    const count = parameters.length;
    const values = Float64Array.from(gradients, sum);
    const before = arrays.progress![1]!;
    const row = (name: string, place: number) => arrays[name]!.subarray(place * count, (place + 1) * count);
    const along = (gradient: Float64Array) => {
      const s = parameters.map((value, i) => (t > 1 ? Math.fround(value - arrays.prev_parameter![i]!) : 0));
      const y = gradient.map((value, i) => (t > 1 ? Math.fround(value - arrays.prev_flat_grad![i]!) : 0));
      const accepted = dot(s, y) > 1e-10;
      const after = before + Number(accepted);
      const pairs = Array.from({ length: Math.min(after, m) }, (_, age): Pair & { place: number } => {
        const number = after - 1 - age;
        const place = number % m;
        return number === before
          ? { s, y, place }
          : { s: row("old_stps", place), y: row("old_dirs", place), place };
      }).reverse();
      const { direction, magnitude } = twoLoop(gradient, pairs);
      const norm = gradient.reduce((so, value) => so + Math.abs(value), 0);
      const scale = t === 1 ? 1 / Math.max(1, norm) : 1;
      return {
        pairs,
        accepted,
        after,
        direction: direction.map((value) => scale * value),
        magnitude: magnitude.map((value) => scale * value),
      };
    };
    const { pairs, accepted, after, direction, magnitude } = along(values);
    // How far roundings of the gradient move the direction, which the pairs take up.
    const bounds = magnitude.map((value) => 4 * value);
    if (gradients.some((summands) => summands.length > 1))
      for (let attempt = 1; attempt <= TRIES; attempt += 1) {
        const turned = gradients.map(
          (summands, i) => sum(summands) + 2 * rounding * largest(summands) * Math.sin(attempt * (7 * i + 3)),
        );
        along(Float64Array.from(turned)).direction.forEach((value, i) => {
          bounds[i] = Math.max(bounds[i]!, (2 * Math.abs(value - direction[i]!)) / rounding);
        });
      }
    const kept: Record<string, Summands[]> = Object.fromEntries(
      Object.entries(arrays).map(([name, own]) => [name, Array.from(own, (value) => [value])]),
    );
    if (accepted) {
      const { s, y } = pairs.at(-1)!;
      const at = (before % m) * count;
      s.forEach((value, i) => {
        kept.old_stps![at + i] = [value];
        kept.old_dirs![at + i] = bounded(y[i]!, largest(gradients[i]!));
      });
      // Roundings of the gradient that are not the tensor's own are in the newest y.
      const off = gradients.map((summands) => (summands.length > 1 ? largest(summands) : 0));
      const put = (at: number, a: Float64Array) => {
        const value = dot(a, y);
        const high = Math.fround(value);
        const most = a.reduce((so, own, i) => so + 2 * Math.abs(own) * off[i]!, Math.abs(high));
        kept.products![at] = bounded(high, most);
        // What the first f32 lost is known once that is.
        kept.products![at + 1] = bounded(value - high, most);
      };
      const newest = before % m;
      for (const pair of pairs) {
        put(4 * (pair.place * m + newest), pair.s);
        put(4 * (pair.place * m + newest) + 2, pair.y);
        if (pair.place === newest) continue;
        const turned = 4 * (newest * m + pair.place);
        kept.products!.splice(turned, 2, [0], [0]);
        put(turned + 2, pair.y);
      }
    }
    kept.prev_parameter = Array.from(parameters, (value) => [value]);
    kept.prev_flat_grad = [...gradients];
    kept.progress = [[(t % 2 ** 23) + 1], [after]];
    return {
      directions: Array.from(direction, (value, i) => bounded(value, bounds[i]!)),
      arrays: kept as ArraySummands,
    };
  },
  step: ({ lr, gradient }) => ({ update: times(lr, gradient), state: {} }),
};
