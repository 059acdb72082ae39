import type { RuleOptions, RuleRow } from "./rule.js";

/** WGSL of passes over whole tensors, as the build reads it. */
export interface WholeShader {
  readonly code: string;
  /** `Tensor` among them: `first`, `rows`, `columns` and `count`, and for each array its first element. */
  readonly structs: Readonly<Record<string, Readonly<Record<string, "f32" | "u32">>>>;
}

/** A tensor as passes see it: matrices of as many rows and columns, one behind the other. */
export interface WholeShape {
  readonly name: string;
  readonly shape: readonly number[];
  readonly rows: number;
  readonly columns: number;
  /** Elements of all. */
  readonly count: number;
}

/**
 * One pass: `fn RUN(tensor: Tensor, work: u32, lane: u32)`, with `round: u32` behind where it is repeated; or `together`,
 * `fn RUN(batch: u32, tensors: u32, work: u32, lane: u32)`, of tensors `tensor_at(k)`.
 */
export interface WholePass {
  readonly run: string;
  /** Which repetition it is. */
  readonly round?: number;
  /** Whether it goes over all tensors at once, those bound at a time as a batch. */
  readonly together?: true;
  /** How many workgroups of 64 invocations a tensor needs; `work` counts them. */
  readonly workgroups: (tensor: WholeShape) => number;
}

/**
 * What a rule does to whole tensors before its update. The gradient of every element goes through the rule's `direct`, where
 * it has one, into `directions`; the passes make a direction of it there, and `update` sees that as the gradient.
 */
export interface WholeTensor<O = RuleOptions> {
  readonly shader: WholeShader;
  /** Whether tensors are matrices or have dimensions that count, so that a shape must be given. */
  readonly shaped?: true;
  /** Whether passes read the parameters, as `parameters`. */
  readonly parameters?: true;
  /** What the rule expects in the place of a tensor that it cannot take. */
  readonly refuse?: (shape: readonly number[], options: O) => string | undefined;
  /** Rows and columns; left out, the first dimension and the others, and for a vector one row. */
  readonly matrix?: (shape: readonly number[], options: O) => readonly [rows: number, columns: number];
  /** Shapes of what is kept of a tensor in `kept` and in checkpoints; zero before the first step. */
  readonly kept?: (tensor: WholeShape, options: O) => Readonly<Record<string, readonly number[]>>;
  /** Lengths in vec4f of what a step needs of a tensor in `scratch`. */
  readonly scratch?: (tensor: WholeShape, options: O) => Readonly<Record<string, number>>;
  /** Lengths in vec4f of what a step needs once, in `scratch`: for rules of scope `all`, which have one group. */
  readonly shared?: (options: O) => Readonly<Record<string, number>>;
  /** Other fields of `Tensor`, by their names. */
  readonly fields?: (tensor: WholeShape, options: O) => Readonly<Record<string, number>>;
  /** Bytes that may be kept of all tensors of a group. */
  readonly limit?: (options: O) => number;
  readonly passes: (options: O) => readonly WholePass[];
  /** How many gradients of outputs `outputGradient()` hands over after a step, and what it does with each, from 0. */
  readonly outputs?: (options: O) => number;
  readonly outputPasses?: (options: O, output: number) => readonly WholePass[];
  /** What of the options memory and passes are made by, and so cannot change. */
  readonly fixed?: (options: O) => unknown;
}

/** A tensor as the passes of a rule see it. */
export function wholeShape(
  whole: WholeTensor,
  shape: readonly number[],
  options: RuleOptions,
  name = "",
): WholeShape {
  const count = elements(shape);
  const [first = 1, ...others] = shape.length < 2 ? [1, ...shape] : shape;
  const [rows, columns] = whole.matrix?.(shape, options) ?? [first, elements(others)];
  return { name, shape, rows, columns, count };
}

/** Elements of a shape. */
export const elements = (shape: readonly number[]): number =>
  shape.reduce((product, extent) => product * extent, 1);

/** Shapes of the arrays that a rule keeps of a whole tensor. */
export const keptOf = (
  { whole }: Pick<RuleRow, "whole">,
  shape: readonly number[],
  options: RuleOptions,
): Readonly<Record<string, readonly number[]>> => {
  if (!whole || shape.includes(0)) return {};
  return whole.kept?.(wholeShape(whole, shape, options), options) ?? {};
};
