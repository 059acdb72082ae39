import {
  accumulated,
  blocksOf,
  type Estimate,
  exact,
  flat,
  matrixOf,
  productOf,
  put,
  taken,
  turned,
} from "./blocks.js";
import { eigen, frobenius, type Matrix, mapped, product, squareOf, transposed } from "./matrix.js";
import type { ArraySummands, ReferenceRule } from "./reference-rule.js";
import { averaged, bounded, largest, type Summands, sum, times } from "./summands.js";

type ShampooOptions = {
  momentum: number;
  accumulation: "sum" | "average";
  beta: number;
  start: number;
  eps: number;
  root: "fourth" | "square";
  every: number;
  block: number;
  grafting: "none" | "sgd" | "adagrad" | "rmsprop";
  graftBeta: number;
  graftEps: number;
};

type Sided = "left" | "right" | "left_root" | "right_root";

/** Height and width of blocks: those that up to `block` rows and columns leave the fewest, evenly. */
const sizeOf = (extent: number, block: number): number => Math.ceil(extent / Math.ceil(extent / block));

/** How many roundings of its largest element a matrix takes in an iteration that comes to its inverse root. */
const ITERATED = 8;

/** A root, and how far what rounds in its matrix moves it, as a kernel by pairs of eigenvectors (Daleckii & Krein 1965). */
interface Root {
  readonly estimate: Estimate;
  readonly vectors: Matrix;
  readonly slopes: Matrix;
}

/** (A + ridge·I)^(−1/p). */
function inverseRoot(matrix: Estimate, { eps, start, root }: ShampooOptions): Root {
  const { values, vectors } = eigen(matrix.value);
  const norm = matrix.value.reduce(
    (most, row) =>
      Math.max(
        most,
        row.reduce((all, value) => all + Math.abs(value), 0),
      ),
    0,
  );
  const ridge = Math.max(start, eps * norm);
  const p = root === "square" ? 2 : 4;
  const own = values.map((value) => Math.max(value, 0) + ridge);
  const roots = own.map((value) => (value > 0 ? value ** (-1 / p) : 0));
  const value = product(
    mapped(vectors, (one, _, k) => one * roots[k]!),
    transposed(vectors),
  );
  const rounds = ITERATED * Math.max(norm, frobenius(matrix.most));
  const slopes = mapped(matrix.value, (_, i, k) => {
    const [a, b] = [own[i]!, own[k]!];
    if (a === 0 || b === 0) return 0;
    const slope = Math.abs(a - b) > 1e-6 * a ? (roots[i]! - roots[k]!) / (a - b) : roots[i]! / (p * a);
    return Math.abs(slope) * rounds;
  });
  const doubt = frobenius(slopes);
  return {
    estimate: { value, most: mapped(value, (one) => Math.max(Math.abs(one), doubt)) },
    vectors,
    slopes,
  };
}

/** How far an uncertain root moves what it is multiplied with, each element. */
function moved({ vectors, slopes }: Root, image: Matrix): number {
  const inside = product(transposed(vectors), image).map((row) =>
    row.reduce((all, value) => all + value ** 2, 0),
  );
  const squares = slopes.reduce(
    (all, row) => row.reduce((so, slope, k) => so + slope * slope * inside[k]!, all),
    0,
  );
  return Math.sqrt(squares);
}

/** ‖x‖, and of its error what bounds it. */
const lengthOf = (values: readonly Summands[]): { readonly value: number; readonly most: number } => ({
  value: Math.sqrt(values.reduce((all, one) => all + sum(one) ** 2, 0)),
  most: Math.sqrt(values.reduce((all, one) => all + largest(one) ** 2, 0)),
});

/** Shampoo: θ ← θ − η·L^(−1/4)·G·R^(−1/4), L ← L + GGᵀ, R ← R + GᵀG (Gupta et al. 2018, algorithm 1), block by block. */
export const shampoo: ReferenceRule<ShampooOptions> = {
  initial: () => ({}),
  arrays({ block, momentum, grafting }, shape) {
    const [rows, columns] = matrixOf(shape);
    const [height, width] = [sizeOf(rows, block), sizeOf(columns, block)];
    const { length } = blocksOf([rows, columns], height, width);
    const matrices = (size: number) => new Float64Array(length * size * size);
    return {
      left: matrices(height),
      right: matrices(width),
      left_root: matrices(height),
      right_root: matrices(width),
      ...(momentum > 0 && { momentum_buffer: new Float64Array(rows * columns) }),
      ...(grafting !== "none" && grafting !== "sgd" && { graft_sq: new Float64Array(rows * columns) }),
    };
  },
  direct({ options, t, shape, gradients, arrays }) {
    const { momentum, accumulation, beta, every, block, grafting, graftBeta, graftEps } = options;
    const [rows, columns] = matrixOf(shape);
    const [height, width] = [sizeOf(rows, block), sizeOf(columns, block)];
    const entering =
      momentum > 0 ? gradients.map((g, i) => averaged(momentum, arrays.momentum_buffer![i]!, g)) : gradients;
    const after: Record<Sided, Summands[]> = { left: [], right: [], left_root: [], right_root: [] };
    const directions: Summands[] = gradients.map(() => [0]);
    const forgets = accumulation === "average";
    blocksOf([rows, columns], height, width).forEach((place, index) => {
      const gradient = taken(place, gradients);
      const [left, right] = (["left", "right"] as const).map((side) => {
        const size = side === "left" ? height : width;
        const kept = (name: Sided) => squareOf(arrays[name]!, index * size * size, size);
        const own = side === "left" ? gradient : turned(gradient);
        const matrix = accumulated(kept(side), own, forgets ? 1 - beta : 1, forgets);
        after[side].push(...flat(matrix));
        const root = (t - 1) % every === 0 ? inverseRoot(matrix, options) : undefined;
        const estimate = root?.estimate ?? exact(kept(`${side}_root`));
        after[`${side}_root`].push(...flat(estimate));
        return { root, value: exact(estimate.value) };
      });
      const image = productOf(left!.value, taken(place, entering));
      const direction = productOf(image, right!.value);
      const doubts = [
        left!.root && moved(left!.root, product(taken(place, entering).value, right!.value.value)),
        right!.root && moved(right!.root, transposed(image.value)),
      ];
      const doubt = doubts.reduce<number>((all, one) => all + (one ?? 0), 0);
      put(place, { ...direction, most: mapped(direction.most, (most) => Math.max(most, doubt)) }, directions);
    });
    const arraysAfter: Record<string, readonly Summands[]> = {
      ...after,
      ...(momentum > 0 && { momentum_buffer: entering }),
    };
    return grafted(directions);

    /** The direction in the length of another step. */
    function grafted(own: readonly Summands[]): {
      directions: readonly Summands[];
      arrays: ArraySummands;
    } {
      if (grafting === "none") return { directions: own, arrays: arraysAfter };
      let other = entering;
      if (grafting !== "sgd") {
        const squares = gradients.map((g, i): Summands => {
          const before = arrays.graft_sq![i]!;
          const entered = sum(g) ** 2;
          return grafting === "rmsprop" ? [graftBeta * before, (1 - graftBeta) * entered] : [before, entered];
        });
        arraysAfter.graft_sq = squares.map((all, i) => bounded(sum(all), largest(gradients[i]!) ** 2));
        other = entering.map((g, i) => times(1 / (Math.sqrt(sum(squares[i]!)) + graftEps), g));
      }
      const [wanted, got] = [lengthOf(other), lengthOf(own)];
      const ratio = got.value > 0 ? wanted.value / got.value : 0;
      // Both lengths are off by as much as their elements are.
      const apart = got.value > 0 ? wanted.most / (wanted.value || 1) + got.most / got.value : 0;
      return {
        directions: own.map((summands) => {
          const value = ratio * sum(summands);
          return bounded(value, ratio * largest(summands) + apart * Math.abs(value));
        }),
        arrays: arraysAfter,
      };
    }
  },
  step: ({ lr, gradient }) => ({ update: times(lr, gradient), state: {} }),
};
