// How passes over whole tensors keep a matrix for each side of a tensor's blocks: the text of their shader, and its work.
import { matrixLength, productWork, symmetricWork, withProduct } from "./product.js";
import { code } from "./shaders/passes/sides.wgsl?engine";
import type { WholeShader } from "./whole-tensor.js";

/** A tensor in blocks of one size, as many as cover it. */
export interface Sides {
  readonly blocks: number;
  /** Rows and columns of a block. */
  readonly height: number;
  readonly width: number;
  /** Rows of the matrix on the left, and on the right; 0 where there is none. */
  readonly left: number;
  readonly right: number;
}

const both =
  (work: (size: number) => number) =>
  ({ blocks, left, right }: Sides): number =>
    blocks * (work(left) + work(right));

/** vec4f in `scratch` of a matrix for each side. */
export const matrices = both((size) => matrixLength(size, size));
/** Workgroups that take four elements of such a matrix an invocation. */
export const matrixWork = both((size) => Math.ceil(matrixLength(size, size) / 64));
/** Workgroups that multiply to a symmetric matrix for each side, and one each. */
export const symmetricSides = both(symmetricWork);
export const singleSides = both((size) => Math.min(size, 1));

/** vec4f in `scratch` of the cells of all blocks. */
export const cells = ({ blocks, height, width }: Sides): number => blocks * matrixLength(height, width);
/** Workgroups that take four cells an invocation, and that multiply to all. */
export const cellWork = (sides: Sides): number => Math.ceil(cells(sides) / 64);
export const cellProducts = ({ blocks, height, width }: Sides): number => blocks * productWork(height, width);

/** Shapes of what is kept of the sides under two names. */
export const keptSides = ({ blocks, left, right }: Sides, names: readonly [string, string]) =>
  Object.fromEntries(
    [left, right].flatMap((size, side) => (size > 0 ? [[names[side]!, [blocks, size, size]] as const] : [])),
  );

/** Fields of `Tensor` that the shader needs. */
export const sideFields = ({ height, width, left, right }: Sides) => ({
  height,
  width,
  left_size: left,
  right_size: right,
});

/** A shader of passes over sides, which multiply. */
export const withSides = (passes: WholeShader): WholeShader => {
  const product = withProduct(passes);
  return { ...product, code: `${product.code}\n${code}` };
};
