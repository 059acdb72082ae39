/** A matrix, row by row. */
export type Matrix = readonly Float64Array[];

export const transposed = (matrix: Matrix): Matrix =>
  Array.from(matrix[0]!, (_, column) => Float64Array.from(matrix, (row) => row[column]!));

/** left·right. */
export const product = (left: Matrix, right: Matrix): Matrix =>
  left.map((row) => {
    const result = new Float64Array(right[0]!.length);
    row.forEach((factor, k) => {
      const other = right[k]!;
      for (let column = 0; column < result.length; column += 1) result[column]! += factor * other[column]!;
    });
    return result;
  });

/** Every element by a function. */
export const mapped = (matrix: Matrix, map: (value: number, row: number, column: number) => number): Matrix =>
  matrix.map((values, row) => values.map((value, column) => map(value, row, column)));

/** Square, of values one behind the other. */
export const squareOf = (values: Float64Array, first: number, size: number): Matrix =>
  Array.from({ length: size }, (_, row) => values.slice(first + row * size, first + (row + 1) * size));

/** The sum of all squares of elements, as a root. */
export const frobenius = (matrix: Matrix): number =>
  Math.sqrt(matrix.reduce((sum, row) => row.reduce((so, value) => so + value * value, sum), 0));

/** Eigenvalues of a symmetric matrix and its eigenvectors, as columns, by cyclic Jacobi rotations (Golub & Van Loan, 8.5). */
export function eigen(matrix: Matrix): { readonly values: Float64Array; readonly vectors: Matrix } {
  const a = matrix.map((row) => Float64Array.from(row));
  const n = a.length;
  const vectors = a.map((_, row) => Float64Array.from({ length: n }, (_, k) => Number(row === k)));
  const size = frobenius(a);
  for (let again = size > 0; again; ) {
    again = false;
    for (let p = 0; p < n; p += 1)
      for (let q = p + 1; q < n; q += 1) {
        const apq = a[p]![q]!;
        if (Math.abs(apq) <= 1e-17 * size) continue;
        again = true;
        const zeta = (a[q]![q]! - a[p]![p]!) / (2 * apq);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cosine = 1 / Math.hypot(1, t);
        const turn = (row: Float64Array) => {
          const [x, y] = [row[p]!, row[q]!];
          row[p] = cosine * (x - t * y);
          row[q] = cosine * (y + t * x);
        };
        for (const row of a) turn(row);
        const [x, y] = [a[p]!, a[q]!];
        for (let k = 0; k < n; k += 1) {
          const [one, other] = [x[k]!, y[k]!];
          x[k] = cosine * (one - t * other);
          y[k] = cosine * (other + t * one);
        }
        x[q] = 0;
        y[p] = 0;
        for (const row of vectors) turn(row);
      }
  }
  return { values: Float64Array.from(a, (row, k) => row[k]!), vectors };
}
