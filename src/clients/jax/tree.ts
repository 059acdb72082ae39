// Trees of jax-js arrays: paths, checks, buffers.
import { Array as DeviceArray, type JsTree } from "@jax-js/jax";
import { OptimError, type OptimErrorCode } from "../../index.js";

/** An array of a tree and its place there, such as `layers.0.w`. */
export interface Leaf {
  readonly path: string;
  readonly array: DeviceArray;
}

/** The path of a tree that is one array. */
const ALONE = "parameter";

/** Leaves in jax-js's order: lists and plain objects are nodes, all else is a leaf. */
export function leavesOf(tree: unknown): { readonly path: string; readonly leaf: unknown }[] {
  const found: { path: string; leaf: unknown }[] = [];
  const walk = (node: unknown, path: string): void => {
    if (Array.isArray(node) || (node as object | null | undefined)?.constructor === Object)
      for (const [key, child] of Object.entries(node as object)) walk(child, path ? `${path}.${key}` : key);
    else found.push({ path: path || ALONE, leaf: node });
  };
  walk(tree, "");
  return found;
}

/** What is there instead of an array that can be used. */
const kindOf = (leaf: unknown): string =>
  typeof leaf === "object" && leaf !== null ? leaf.constructor?.name || "an object" : `${leaf}`;

const fail = (code: OptimErrorCode, what: string, expected: string, got: string, fix: string): never => {
  throw new OptimError(code, what, { expected, got, fix });
};

/**
 * An array that is alive, on the GPU and of f32.
 * @param times how often it is about to be consumed
 * @throws OptimError `invalid-argument` or `invalid-buffer`
 */
export function checkArray(what: string, leaf: unknown, times = 1): DeviceArray {
  if (!(leaf instanceof DeviceArray))
    return fail(
      "invalid-argument",
      `${what} is no array of jax-js`,
      "an Array that has a value, outside of jit and grad",
      kindOf(leaf),
      "pass a tree whose leaves are arrays of the one copy of @jax-js/jax that is loaded",
    );
  if (leaf.refCount < times)
    fail(
      "invalid-buffer",
      `${what} was consumed`,
      times > 1 ? `${times} references, one for each place in the tree` : "an array with a reference",
      `reference count ${leaf.refCount}`,
      "pass .ref, or tree.ref(), to functions that are to leave it alive",
    );
  if (leaf.device !== "webgpu")
    fail(
      "invalid-buffer",
      `${what} is not on the WebGPU backend`,
      "device 'webgpu'",
      `device '${leaf.device}'`,
      'await init("webgpu"), then defaultDevice("webgpu") before arrays are made, or devicePut(array, "webgpu")',
    );
  if (leaf.dtype !== "float32")
    fail(
      "invalid-buffer",
      `${what} is not float32`,
      "dtype float32",
      `dtype ${leaf.dtype}`,
      "cast it by astype()",
    );
  return leaf;
}

/** @throws OptimError `invalid-argument`, `invalid-buffer` or `duplicate-name` */
export function checkParameterTree(parameters: unknown): Leaf[] {
  const paths = new Set<string>();
  return leavesOf(parameters).map(({ path, leaf }) => {
    const array = checkArray(`Parameter '${path}'`, leaf);
    if (paths.has(path))
      fail(
        "duplicate-name",
        `Two parameters have the path '${path}'`,
        "one each",
        "two",
        "rename a key that has a dot",
      );
    paths.add(path);
    return { path, array };
  });
}

/**
 * The gradients, in the order of the parameters.
 * @throws OptimError `invalid-argument` for another structure or shape, `invalid-buffer`
 */
export function checkGradientTree(
  what: string,
  parameters: readonly Leaf[],
  gradients: unknown,
): DeviceArray[] {
  const given = new Map(leavesOf(gradients).map(({ path, leaf }) => [path, leaf]));
  const missing = parameters.find(({ path }) => !given.has(path));
  const known = new Set(parameters.map(({ path }) => path));
  const other = [...given.keys()].find((path) => !known.has(path));
  if (missing || other !== undefined)
    fail(
      "invalid-argument",
      `The tree of ${what} is not that of the parameters`,
      missing ? `an array at '${missing.path}'` : `${parameters.length} arrays, those of the parameters`,
      other === undefined ? "none" : `one at '${other}'`,
      "pass the tree that grad() or valueAndGrad() gave, whole",
    );
  const times = new Map<unknown, number>();
  for (const leaf of given.values()) times.set(leaf, (times.get(leaf) ?? 0) + 1);
  return parameters.map(({ path, array }) => {
    const leaf = given.get(path);
    const gradient = checkArray(`'${path}' of the ${what}`, leaf, times.get(leaf));
    if (`${gradient.shape}` !== `${array.shape}`)
      fail(
        "invalid-argument",
        `'${path}' of the ${what} has another shape than its parameter`,
        `shape [${array.shape}]`,
        `shape [${gradient.shape}]`,
        "pass the tree that grad() or valueAndGrad() gave, whole",
      );
    return gradient;
  });
}

/** Starts what an array waits for, and gives where it lies. Not consumed. */
export const rangeOf = (array: DeviceArray) => ({
  buffer: array.ref.gpuBufferSync(),
  offset: 0,
  // A slice may lie at the start of a longer buffer.
  size: 4 * array.size,
});

/**
 * Starts what these arrays wait for, so that it reads the parameters as they are now. jax-js runs operations when their
 * value is asked for: what was computed from the parameters and is still waiting would read them as a later step leaves
 * them. Outputs of one jitted call start together.
 * @param values arrays on the WebGPU backend
 * @returns the same tree, still the caller's
 */
export function realize<Tree extends JsTree<DeviceArray>>(values: Tree): Tree {
  for (const { leaf } of leavesOf(values)) if (leaf instanceof DeviceArray) leaf.ref.gpuBufferSync();
  return values;
}
