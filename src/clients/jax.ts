import { type Array as DeviceArray, getWebGPUDevice, type JsTree } from "@jax-js/jax";
import {
  type BufferRange,
  createOptimizer,
  type GroupPattern,
  type NoOptions,
  OptimError,
  type Optimizer,
  type OptimizerOptions,
  partition,
  type StepOptions,
} from "../index.js";
import { checkArray, checkGradientTree, checkParameterTree, type Leaf, rangeOf } from "./jax/tree.js";

export { realize } from "./jax/tree.js";

/** Options of {@link createJaxOptimizer}: those of `createOptimizer`, and groups by the paths of the tree. */
export type JaxOptimizerOptions<Own extends object = NoOptions> = Omit<
  OptimizerOptions<Own>,
  "parameters" | "groups"
> & {
  /**
   * Each array goes to the first group whose `match` fits its path, such as `layers.0.w`, or is true of path and shape:
   * `[{ match: /bias|norm/, weightDecay: 0 }, {}]`. Left out, all are one group.
   */
  readonly groups?: readonly GroupPattern<Own>[] | undefined;
};

/** Options of a step. */
export interface JaxStepOptions extends Pick<StepOptions, "without"> {
  /**
   * The loss where the gradients were taken, one f32, for rules that step by it (`polyakSgd()`). It is started before the
   * parameters change; consumed.
   */
  readonly loss?: DeviceArray | undefined;
}

/** Buffers of arrays that an optimizer has. */
const taken = new WeakSet<GPUBuffer>();

/**
 * An optimizer over a tree of jax-js arrays. It changes them in place, in the GPU buffers that jax-js keeps them in, so
 * what reads a parameter later, jitted or not, sees the new value. jax-js takes arrays for immutable; so:
 * - arrays that share a parameter's storage (by `.ref`, `reshape`, as a constant of a jitted function) change with it;
 * - what was computed from parameters and still waits is to be started before they change: gradients and `loss` are, by
 *   the calls that take them; other arrays by {@link realize}, or by awaiting their data.
 *
 * Trees and arrays handed in are consumed, as by jax-js's own functions; where a call throws, they are still the caller's.
 * The parameters stay the caller's.
 */
export class JaxOptimizer<Tree extends JsTree<DeviceArray> = JsTree<DeviceArray>> {
  /**
   * What it steps with: groups and their rates, `lookahead()`, `swapAverage()`, `save()`, `load()`, `state()`, `reports`,
   * `freeze()` … What takes gradients, and `restore()` and `destroy()`, are to be called here instead.
   */
  readonly engine: Optimizer;
  /** Paths of the parameters, in the order of `tree.leaves()`: the names in groups, states and checkpoints. */
  readonly paths: readonly string[];
  readonly #parameters: readonly Leaf[];
  /** Arrays of our own over the parameters' storage, which keep it where the caller's are consumed. */
  readonly #kept: readonly DeviceArray[];
  readonly #buffers: ReadonlySet<GPUBuffer>;
  /** Gradients to begin with, until there are others. */
  #first: readonly GPUBuffer[];
  /** Copies of gradients that share storage with a parameter or with each other. */
  readonly #copies = new Map<string, GPUBuffer>();
  #accumulated = false;
  #destroyed = false;

  /** @internal */
  constructor(engine: Optimizer, claim: Claim, first: readonly GPUBuffer[]) {
    this.engine = engine;
    this.paths = claim.leaves.map(({ path }) => path);
    this.#parameters = claim.leaves;
    this.#kept = claim.kept;
    this.#buffers = claim.buffers;
    this.#first = first;
  }

  /**
   * One step. The gradients are started, handed over on the GPU and consumed; nothing waits and nothing is read back.
   * @param gradients as `grad` and `valueAndGrad` give them; left out after {@link accumulate}
   * @throws OptimError `invalid-argument` for a tree of other structure or shapes, or none; `invalid-buffer` for an array that
   * is consumed, not float32 or not on the WebGPU backend, a parameter's included; and as `Optimizer.step`. Then nothing has
   * changed.
   */
  step(gradients?: Tree, options: JaxStepOptions = {}): void {
    const { loss, ...rest } = options;
    if ((gradients === undefined) !== this.#accumulated)
      throw new OptimError("invalid-argument", `'${this.engine.label}' steps once for all its gradients`, {
        expected: this.#accumulated
          ? "step(), with each micro-batch accumulated"
          : "gradients, or accumulate() before",
        got: this.#accumulated ? "gradients beside those accumulated" : "none",
        fix: this.#accumulated ? "hand them to accumulate()" : "pass the tree of gradients",
      });
    if (loss !== undefined) checkScalar(loss);
    const consumed =
      gradients === undefined ? this.#requireParameters() : this.#handIn("gradients", gradients);
    this.engine.step({ ...rest, ...(loss && { loss: rangeOf(loss) }) });
    this.#accumulated = false;
    dispose(consumed);
    loss?.dispose();
  }

  /**
   * Adds the gradients of a micro-batch, which are consumed; then `step()` without gradients. See `Optimizer.accumulate`.
   * @param batch.samples its size, default 1
   * @throws OptimError as {@link step} and `Optimizer.accumulate`; then nothing has changed
   */
  accumulate(gradients: Tree, batch: { readonly samples?: number } = {}): void {
    const consumed = this.#handIn("gradients", gradients);
    this.engine.accumulate(batch);
    this.#accumulated = true;
    dispose(consumed);
  }

  /** Hands in an estimate of the Hessian's diagonal, which is consumed. Before the gradients. See `Optimizer.curvature`. */
  curvature(estimate: Tree): void {
    const consumed = this.#handIn("curvature", estimate);
    this.engine.curvature();
    dispose(consumed);
  }

  /**
   * Hands over the gradients of one of the model's outputs, which are consumed: after the step, but computed before it, where
   * the step's own were ({@link realize} them). See `Optimizer.outputGradient`.
   */
  outputGradient(gradients: Tree): void {
    const consumed = this.#handIn("gradients", gradients);
    this.engine.outputGradient();
    dispose(consumed);
  }

  /** SAM's ascent along these gradients, which are consumed. See `Optimizer.ascend`. */
  ascend(gradients: Tree): void {
    const consumed = this.#handIn("gradients", gradients);
    this.engine.ascend();
    dispose(consumed);
  }

  /** Gives up a step after its look-ahead or ascent, and what was accumulated for it. */
  restore(): void {
    this.engine.restore();
    this.#accumulated = false;
  }

  /** Frees what was made for it. The parameters stay the caller's. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.engine.destroy();
    for (const buffer of [...this.#first, ...this.#copies.values()]) buffer.destroy();
    release(this.#kept, this.#buffers);
  }

  /** Makes the engine read these gradients. @returns what is to be disposed of once that is submitted */
  #handIn(what: string, tree: Tree): readonly DeviceArray[] {
    this.#requireParameters();
    const gradients = checkGradientTree(what, this.#parameters, tree);
    const seen = new Set(this.#buffers);
    const ranges: Record<string, BufferRange> = {};
    const copied: { readonly from: BufferRange; readonly to: GPUBuffer }[] = [];
    this.#parameters.forEach(({ path }, index) => {
      const range = rangeOf(gradients[index]!);
      // Such as of a·b, which are b and a: what is written may not be read in one dispatch.
      const shared = range.size > 0 && seen.has(range.buffer);
      seen.add(range.buffer);
      const to = shared ? this.#copyOf(path, range.size) : range.buffer;
      if (shared) copied.push({ from: range, to });
      ranges[path] = { ...range, buffer: to };
    });
    if (copied.length > 0) {
      const { device } = this.engine;
      const encoder = device.createCommandEncoder();
      for (const { from, to } of copied) encoder.copyBufferToBuffer(from.buffer, 0, to, 0, from.size);
      device.queue.submit([encoder.finish()]);
    }
    this.engine.setGradients(ranges);
    for (const buffer of this.#first) buffer.destroy();
    this.#first = [];
    return gradients;
  }

  #copyOf(path: string, size: number): GPUBuffer {
    const made = this.#copies.get(path) ?? makeGradient(this.engine.device, `gradient of ${path}`, size);
    this.#copies.set(path, made);
    return made;
  }

  /** @throws OptimError `invalid-buffer` for a parameter that the caller has no more */
  #requireParameters(): readonly DeviceArray[] {
    if (!this.#destroyed)
      for (const { path, array } of this.#parameters) checkArray(`Parameter '${path}'`, array);
    return [];
  }
}

/**
 * Makes an optimizer over a tree of jax-js arrays, which it changes in place. The tree stays the caller's: until
 * `destroy()`, pass `tree.ref(parameters)` to functions that consume it.
 * @param parameters float32 arrays on the WebGPU backend, in lists and plain objects; states bear their paths
 * @throws OptimError `invalid-argument` for a leaf that is no array; `invalid-buffer` for one that is consumed, not float32 or
 * not on the WebGPU backend; `aliased-buffers` for arrays that share storage with each other or with those of another
 * optimizer; and as `createOptimizer`
 */
export async function createJaxOptimizer<Tree extends JsTree<DeviceArray>, Own extends object = NoOptions>(
  parameters: Tree,
  options: JaxOptimizerOptions<Own>,
): Promise<JaxOptimizer<Tree>> {
  const { groups = [{}], ...rest } = options ?? {};
  const claim = claimStorage(checkParameterTree(parameters));
  const first: GPUBuffer[] = [];
  try {
    if (claim.leaves.length === 0)
      throw new OptimError("invalid-argument", "The tree of parameters is empty", {
        expected: "at least one array",
        got: "none",
        fix: "pass the tree that the gradients are taken of",
      });
    const device = getWebGPUDevice();
    const tensors = claim.leaves.map(({ path, array }) => {
      const grad = makeGradient(device, `first gradient of ${path}`, 4 * array.size);
      first.push(grad);
      return { name: path, shape: array.shape, param: rangeOf(array), grad };
    });
    const engine = await createOptimizer<Own>(device, {
      ...rest,
      groups: partition<Own>(tensors, groups),
    } as OptimizerOptions<Own>);
    return new JaxOptimizer<Tree>(engine, claim, first);
  } catch (error) {
    for (const buffer of first) buffer.destroy();
    release(claim.kept, claim.buffers);
    throw error;
  }
}

/** Parameters, and what keeps their storage for one optimizer. */
interface Claim {
  readonly leaves: readonly Leaf[];
  readonly kept: readonly DeviceArray[];
  readonly buffers: ReadonlySet<GPUBuffer>;
}

/** @throws OptimError `aliased-buffers` */
function claimStorage(leaves: readonly Leaf[]): Claim {
  const owners = new Map<GPUBuffer, string>();
  for (const { path, array } of leaves) {
    const { buffer, size } = rangeOf(array);
    if (size === 0) continue; // All empty arrays share a buffer.
    const owner = owners.get(buffer);
    if (owner !== undefined || taken.has(buffer))
      throw new OptimError("aliased-buffers", `Parameter '${path}' shares its storage`, {
        expected: "storage of its own: it is changed in place",
        got: owner === undefined ? "that of another optimizer" : `that of '${owner}'`,
        fix:
          owner === undefined ? "destroy() the other optimizer" : "leave one of them out, or make it a copy",
      });
    owners.set(buffer, path);
  }
  for (const buffer of owners.keys()) taken.add(buffer);
  return {
    leaves,
    kept: leaves.map(({ array }) => array.ref.reshape([...array.shape, 1])),
    buffers: new Set(owners.keys()),
  };
}

function release(kept: readonly DeviceArray[], buffers: ReadonlySet<GPUBuffer>): void {
  for (const buffer of buffers) taken.delete(buffer);
  dispose(kept);
}

function dispose(arrays: readonly DeviceArray[]): void {
  for (const array of arrays) array.dispose();
}

const makeGradient = (device: GPUDevice, label: string, size: number): GPUBuffer =>
  device.createBuffer({
    label,
    size: Math.max(4, size),
    // STORAGE, COPY_SRC, COPY_DST
    usage: 0x80 | 0x4 | 0x8,
  });

/** @throws OptimError `invalid-argument` or `invalid-buffer` */
function checkScalar(loss: unknown): void {
  const { size, shape } = checkArray("The loss", loss);
  if (size !== 1)
    throw new OptimError("invalid-argument", "The loss is not one number", {
      expected: "an array of one element",
      got: `shape [${shape}]`,
      fix: "pass the mean over the batch",
    });
}
