import { transformerShapes } from "./transformer.js";

/** Tensors to step. */
export interface Workload {
  readonly name: string;
  readonly shapes: () => Readonly<Record<string, readonly number[]>>;
  /** Whether it is measured in buffers of its own for each tensor, too. */
  readonly loose: boolean;
  /** Whether other libraries step it, too, where they are asked for. */
  readonly peers?: boolean;
  /** Rows and columns of matrices that are multiplied; then nothing is stepped. */
  readonly product?: number;
}

const many = (count: number, length: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, [length]]));

/** Lengths are multiples of 64, so that an arena holds no padding and every engine moves the same values. */
export const workloads: readonly Workload[] = [
  // Alone in an arena, a tensor is what it is in two buffers.
  ...[10, 14, 18, 22, 24].map((power) => ({
    name: `1x2^${power}`,
    shapes: () => ({ x: [2 ** power] }),
    loose: false,
  })),
  { name: "148", shapes: () => transformerShapes(256), loose: true, peers: true },
  { name: "1000x64", shapes: () => many(1000, 64), loose: true, peers: true },
  { name: "10000x64", shapes: () => many(10_000, 64), loose: true },
  { name: "product", shapes: () => ({}), loose: false, product: 256 },
];
