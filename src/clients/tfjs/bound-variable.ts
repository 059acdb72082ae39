import { engine, type Tensor, tensor, type Variable } from "@tensorflow/tfjs-core";
import { OptimError, type Parameter } from "../../index.js";
import { acquire, type Backend, bufferOf, openEncoder, TENSOR_USAGE, type TensorData } from "./backend.js";

/** Variables that some optimizer steps. */
const bound = new WeakSet<Variable>();

/** Of a variable, how many buffers its gradients are read from in place. The pool may give one of hundreds each step. */
const MOST_BUFFERS = 8;

/** Takes the data's buffer out of tfjs's pool. Its values, which steps change, are not to be kept on the CPU. */
function hold(data: TensorData): void {
  data.external = true;
  Object.defineProperty(data, "values", { configurable: true, get: () => null, set: () => {} });
}

/** Gives the data a buffer that is tfjs's. */
function letGo(data: TensorData, buffer: GPUBuffer): void {
  data.external = false;
  data.resource = buffer;
  Object.defineProperty(data, "values", { configurable: true, writable: true, value: null });
}

/** @throws OptimError `invalid-argument`, or `aliased-buffers` for one that an optimizer steps already */
function check(variable: Variable): void {
  const refuse = (problem: string, expected: string, got: string, fix: string): never => {
    throw new OptimError("invalid-argument", `Variable '${variable?.name}' ${problem}`, {
      expected,
      got,
      fix,
    });
  };
  if (typeof variable?.assign !== "function" || typeof variable.name !== "string")
    refuse("is none", "a tf.Variable or a weight of a layer", typeof variable, "pass model.trainableWeights");
  if (variable.isDisposed) refuse("is disposed", "a live one", "one that is not", "leave it out");
  if (variable.dtype !== "float32")
    refuse("cannot be stepped", "dtype float32", variable.dtype, "leave it out");
  if (bound.has(variable))
    throw new OptimError("aliased-buffers", `Variable '${variable.name}' has an optimizer`, {
      expected: "one optimizer for a variable",
      got: "a second one",
      fix: "dispose() the first, or name other variables",
    });
}

/** A variable whose values stay in one buffer, which its optimizer owns. */
export class BoundVariable {
  readonly variable: Variable;
  readonly name: string;
  readonly #backend: Backend;
  readonly #bytes: number;
  readonly #buffer: GPUBuffer;
  /** What tfjs has of the variable's data. */
  #held: TensorData;
  /** A gradient's place of its own, where it needs one. */
  #scratch: GPUBuffer | undefined;
  readonly #seen: GPUBuffer[] = [];
  /** Where the engine reads the gradient. */
  gradient: GPUBuffer;

  /** @throws OptimError `invalid-argument` or `aliased-buffers` */
  constructor(backend: Backend, variable: Variable) {
    check(variable);
    this.#backend = backend;
    this.variable = variable;
    this.name = variable.name;
    this.#bytes = variable.size * 4;
    const buffer = bufferOf(backend, variable);
    const data = backend.tensorMap.get(variable.dataId);
    const alone = data.refCount === 1 && !data.external;
    if (alone && buffer.size === this.#bytes && buffer.usage === TENSOR_USAGE) {
      this.#buffer = buffer;
      this.#held = data;
      hold(data);
    } else {
      this.#buffer = acquire(backend, this.#bytes);
      this.#held = this.#takeIn(buffer);
    }
    this.gradient = this.#ownGradient();
    bound.add(variable);
  }

  get parameter(): Parameter {
    const { name, gradient, variable } = this;
    return { name, param: this.#buffer, grad: gradient, shape: variable.shape };
  }

  /** @throws OptimError `invalid-buffer` where the variable is not the one that is stepped any more */
  requireAlive(): void {
    const { name, variable } = this;
    const now = engine().registeredVariables[name];
    if (!variable.isDisposed && now === variable) return;
    throw new OptimError("invalid-buffer", `Variable '${name}' was disposed after its optimizer was made`, {
      expected: `the variable of shape [${variable.shape}]`,
      got: now ? `another of shape [${now.shape}]` : "none",
      fix: "dispose() the optimizer and make one for the new variables",
    });
  }

  /** @throws OptimError `invalid-argument` for what is no gradient of the variable */
  requireGradient(gradient: Tensor): void {
    const { name, variable } = this;
    const { isDisposed, shape, dtype } = gradient;
    const expected = `a live tensor of shape [${variable.shape}], float32`;
    if (isDisposed === false && dtype === "float32" && String(shape) === String(variable.shape)) return;
    throw new OptimError("invalid-argument", `The gradient of '${name}' does not fit`, {
      expected,
      got: isDisposed ? "a disposed one" : shape ? `shape [${shape}], ${dtype}` : typeof gradient,
      fix: "pass the variable's own gradient",
    });
  }

  #copy(from: GPUBuffer, to: GPUBuffer): void {
    openEncoder(this.#backend).copyBufferToBuffer(from, 0, to, 0, this.#bytes);
  }

  /** Whether some tensor has the data in the buffer. */
  get #isHeld(): boolean {
    return this.#held.refCount > 0 && this.#held.resource === this.#buffer;
  }

  /** Sees that the buffer holds the variable's values, and is no other tensor's. */
  claim(): void {
    const { variable } = this;
    if (variable.isDisposed) return;
    const data = this.#backend.tensorMap.get(variable.dataId);
    const same = data === this.#held;
    if (same && data.refCount === 1) return;
    if (this.#isHeld) {
      // Clones keep what they are clones of.
      const copy = acquire(this.#backend, this.#bytes);
      this.#copy(this.#buffer, copy);
      letGo(this.#held, copy);
    }
    // Otherwise the variable was assigned other values, or was on another backend meanwhile.
    this.#held = this.#takeIn(same ? this.#buffer : bufferOf(this.#backend, variable));
  }

  /** Makes the buffer that of the variable alone, with values from another. */
  #takeIn(from: GPUBuffer): TensorData {
    const { variable } = this;
    if (from !== this.#buffer) this.#copy(from, this.#buffer);
    const own = tensor({ buffer: this.#buffer, zeroCopy: true }, variable.shape, "float32");
    const data = this.#backend.tensorMap.get(own.dataId);
    hold(data);
    variable.assign(own);
    own.dispose();
    return data;
  }

  /** Where to read a gradient: in its buffer, or in a copy where others read that or there have been too many. */
  place(gradient: Tensor, taken: ReadonlySet<GPUBuffer>): GPUBuffer {
    const buffer = bufferOf(this.#backend, gradient);
    const seen = this.#seen;
    const known = seen.includes(buffer);
    if (!taken.has(buffer) && (known || seen.length < MOST_BUFFERS)) {
      if (!known) seen.push(buffer);
      return buffer;
    }
    const own = this.#ownGradient();
    this.#copy(buffer, own);
    return own;
  }

  /** Where no gradient is read while the variable has none. */
  park(taken: ReadonlySet<GPUBuffer>): GPUBuffer {
    return taken.has(this.gradient) ? this.#ownGradient() : this.gradient;
  }

  #ownGradient(): GPUBuffer {
    this.#scratch ??= acquire(this.#backend, this.#bytes);
    return this.#scratch;
  }

  /** Gives the place that there was for creation to tfjs's pool, for its gradients. */
  releaseScratch(): void {
    if (this.#scratch) this.#backend.bufferManager.releaseBuffer(this.#scratch);
    this.#scratch = undefined;
  }

  /** Gives all buffers back to tfjs. The variable keeps its values. */
  release(): void {
    if (this.#isHeld) letGo(this.#held, this.#buffer);
    else this.#backend.bufferManager.releaseBuffer(this.#buffer);
    this.releaseScratch();
    bound.delete(this.variable);
  }
}
