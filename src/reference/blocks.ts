import { type Matrix, mapped, product, transposed } from "./matrix.js";
import { bounded, largest, type Summands, sum } from "./summands.js";

/** A matrix of f32 arithmetic, and for each element what bounds its error: a magnitude whose rounding is as large. */
export interface Estimate {
  readonly value: Matrix;
  readonly most: Matrix;
}

/** A matrix that is what it is. */
export const exact = (value: Matrix): Estimate => ({ value, most: mapped(value, Math.abs) });

/** left·right. Where many are added up in a row, as many of them round. */
export const productOf = (left: Estimate, right: Estimate): Estimate => ({
  value: product(left.value, right.value),
  most: mapped(
    product(left.most, right.most),
    (most) => most * Math.max(1, Math.sqrt(right.most.length) / 2),
  ),
});

export const turned = ({ value, most }: Estimate): Estimate => ({
  value: transposed(value),
  most: transposed(most),
});

/** Where the elements of a block lie in its tensor; those beyond it are left out. */
interface Block {
  readonly height: number;
  readonly width: number;
  at(row: number, column: number): number | undefined;
}

/** Blocks of one size that cover a matrix, from left to right and then down. */
export function blocksOf(
  [rows, columns]: readonly [number, number],
  height: number,
  width: number,
): readonly Block[] {
  const [down, across] = [Math.ceil(rows / height), Math.ceil(columns / width)];
  return Array.from({ length: down * across }, (_, block) => {
    const top = Math.floor(block / across) * height;
    const begin = (block % across) * width;
    return {
      height,
      width,
      at: (row, column) =>
        top + row < rows && begin + column < columns ? (top + row) * columns + begin + column : undefined,
    };
  });
}

/** A tensor's values in a block, zero beyond the tensor. */
export function taken({ height, width, at }: Block, values: readonly Summands[]): Estimate {
  const matrix = (of: (summands: Summands) => number): Matrix =>
    Array.from({ length: height }, (_, row) =>
      Float64Array.from({ length: width }, (_, column) => {
        const place = at(row, column);
        return place === undefined ? 0 : of(values[place]!);
      }),
    );
  return { value: matrix(sum), most: matrix(largest) };
}

/** Puts them back. */
export function put({ at }: Block, { value, most }: Estimate, result: Summands[]): void {
  value.forEach((row, i) => {
    row.forEach((one, k) => {
      const place = at(i, k);
      if (place !== undefined) result[place] = bounded(one, most[i]![k]!);
    });
  });
}

/** Rows and columns of a shape: dimensions behind the first are one. */
export const matrixOf = ([rows = 1, ...others]: readonly number[]): readonly [number, number] => [
  rows,
  others.reduce((all, extent) => all * extent, 1),
];

/** Values of an array, one behind the other. */
export const flat = ({ value, most }: Estimate): Summands[] =>
  value.flatMap((row, i) => Array.from(row, (one, k) => bounded(one, most[i]![k]!)));

/** What was kept, and GGᵀ on the left or GᵀG on the right. */
export function accumulated(kept: Matrix, gradient: Estimate, weight: number, forgets: boolean): Estimate {
  const entering = productOf(gradient, turned(gradient));
  const keeps = forgets ? 1 - weight : 1;
  return {
    value: mapped(kept, (before, i, k) => keeps * before + weight * entering.value[i]![k]!),
    most: mapped(kept, (before, i, k) => Math.max(Math.abs(before), entering.most[i]![k]!)),
  };
}
