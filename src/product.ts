// How passes over whole tensors multiply matrices: the text of their shader, and the work that it takes.
import { code, constants } from "./shaders/passes/product.wgsl?engine";
import type { WholeShader } from "./whole-tensor.js";

const tiles = (extent: number): number => Math.ceil(extent / constants.TILE!);

/** Workgroups that `multiply` takes for a result of some size. */
export const productWork = (rows: number, columns: number): number => tiles(rows) * tiles(columns);

/** Workgroups that `multiply` takes for a symmetric result of so many rows. */
export const symmetricWork = (rows: number): number => (tiles(rows) * (tiles(rows) + 1)) / 2;

/** vec4f that a matrix in `scratch` takes: its rows are whole ones. */
export const matrixLength = (rows: number, columns: number): number => rows * Math.ceil(columns / 4);

/** A shader of passes that multiply. */
export const withProduct = (passes: WholeShader): WholeShader => ({
  ...passes,
  code: `${passes.code}\n${code}`,
});
