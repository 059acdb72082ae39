/**
 * The engine as an optimizer of TensorFlow.js: `model.compile({ optimizer })`, `minimize` and `applyGradients`, in place on
 * the buffers of tfjs's WebGPU backend.
 */
import {
  dispose,
  type NamedTensorMap,
  Optimizer,
  type Scalar,
  type serialization,
  type Tensor,
  engine as tfjsEngine,
  type Variable,
} from "@tensorflow/tfjs-core";
import {
  type CheckpointSource,
  createOptimizer,
  type Optimizer as Engine,
  type GroupPattern,
  type LoadOptions,
  type LoadResult,
  type NoOptions,
  OptimError,
  type OptimizerOptions,
  partition,
  type SaveOptions,
} from "../index.js";
import { type Backend, bufferOf, currentBackend, openEncoder } from "./tfjs/backend.js";
import { BoundVariable } from "./tfjs/bound-variable.js";
import type { NamedTensor, SavedWeights } from "./tfjs/weights.js";

/** A variable, or a weight of a layer (`model.trainableWeights`). */
export type TfjsVariable = Variable | { read(): Tensor };

/** Which variables a group takes, by `match` on their names or as a list, and its options. */
export type TfjsGroup<Own extends object = NoOptions> = GroupPattern<Own> & {
  readonly variables?: readonly TfjsVariable[] | undefined;
};

/** Options of {@link createTfjsOptimizer}: those of `createOptimizer`, with variables in the place of parameters. */
export type TfjsOptimizerOptions<Own extends object = NoOptions> = Omit<
  OptimizerOptions<Own>,
  "parameters" | "groups"
> & {
  /** What is stepped: live, float32. Left out, all that are registered with tfjs and trainable. */
  readonly variables?: readonly TfjsVariable[] | undefined;
  /** Each variable goes to the first group that takes it; end with `{}` for those that are left. */
  readonly groups?: readonly TfjsGroup<Own>[] | undefined;
};

interface Opened {
  readonly engine: Engine;
  readonly backend: Backend;
  readonly variables: ReadonlyMap<string, BoundVariable>;
  /** Whether the rule takes its gradient at another point. */
  readonly looksAhead: boolean;
}

/** Runs a rule over variables of tfjs. Made by {@link createTfjsOptimizer}, or by tfjs as it loads a model. */
export class TfjsOptimizer extends Optimizer {
  /** Under which tfjs serialises it. */
  static readonly className = "WebGPUOptim";
  readonly #config: serialization.ConfigDict;
  #opened: Opened | undefined;
  #saved: SavedWeights | undefined;

  /** @internal */
  constructor(config: serialization.ConfigDict = {}) {
    super();
    this.#config = config;
  }

  /**
   * Makes the engine of an optimizer that `tf.loadLayersModel` gave a model, and goes on from the weights in its file.
   * Before it, `tf.serialization.registerClass(TfjsOptimizer)`.
   * @param options as for {@link createTfjsOptimizer}
   * @throws OptimError as that does, `busy` where there is an engine, `invalid-checkpoint` for weights that do not fit
   */
  async open<Own extends object = NoOptions>(options: TfjsOptimizerOptions<Own>): Promise<void> {
    if (this.#opened)
      throw new OptimError("busy", "The optimizer has its engine", {
        expected: "one that tfjs loaded",
        got: "one that was opened",
        fix: "leave open() out",
      });
    const opened = await open(options as TfjsOptimizerOptions);
    try {
      if (this.#saved) await this.#load(opened, this.#saved);
    } catch (error) {
      close(opened);
      throw error;
    }
    this.#saved = undefined;
    this.#opened = opened;
  }

  /**
   * The engine's own optimizer: groups, rates, guards, reports, states. What it encodes goes through {@link run}; it is
   * destroyed by {@link dispose}.
   * @throws OptimError `busy` before {@link open}
   */
  get engine(): Engine {
    return this.#required.engine;
  }

  get #required(): Opened {
    if (this.#opened) return this.#opened;
    throw new OptimError("busy", "The optimizer has no engine yet", {
      expected: "open() before it is used",
      got: "an optimizer as tfjs loaded it",
      fix: "await optimizer.open({ rule: adamw(), variables: model.trainableWeights })",
    });
  }

  /** @throws OptimError before any work on the GPU */
  get #ready(): Opened {
    const opened = this.#required;
    // Its buffers are tfjs's again.
    if (this.#disposed)
      throw new OptimError("destroyed", "The optimizer was disposed", { fix: "make a new one" });
    currentBackend(opened.backend);
    return opened;
  }

  /**
   * One step. Variables whose gradient is missing or `null` are left out, with their states and step counts. Gradients are
   * float32, of the shapes of their variables; they stay the caller's. Before it throws nothing has changed.
   * @throws OptimError `unknown-name` for a variable that is not the optimizer's, `invalid-buffer` for one that was disposed or
   * made anew, `invalid-argument` for a gradient that does not fit or where tfjs has changed its backend; and what
   * `optimizer.engine.encode()` throws
   */
  override applyGradients(gradients: NamedTensorMap | NamedTensor[]): void {
    this.#step(gradients);
  }

  #step(gradients: NamedTensorMap | readonly NamedTensor[], value?: Tensor): void {
    const opened = this.#ready;
    const { engine, backend, variables } = opened;
    const given = check(opened, gradients);
    const without = [...variables.values()].filter((one) => !given.has(one)).map(({ name }) => name);
    encode(opened, [...given.keys()], given, (encoder) =>
      engine.encode(encoder, { without, loss: value && bufferOf(backend, value) }),
    );
    this.incrementIterations();
  }

  /**
   * As tfjs has it: gradients of `f()` and a step. Rules that look ahead (`nesterovLookahead()`) do so, and those that step
   * by the loss (`polyakSgd()`) are given it.
   * @throws OptimError as {@link applyGradients}; then loss and gradients are disposed
   */
  override minimize(f: () => Scalar, returnCost = false, varList?: Variable[]): Scalar | null {
    const { engine, looksAhead } = this.#ready;
    if (looksAhead) this.run((encoder) => engine.lookahead(encoder));
    let value: Scalar | undefined;
    let grads: NamedTensorMap = {};
    try {
      ({ value, grads } = this.computeGradients(f, varList));
      this.#step(grads, value);
    } catch (error) {
      value?.dispose();
      if (looksAhead) this.run((encoder) => engine.restore(encoder));
      throw error;
    } finally {
      dispose(grads);
    }
    if (returnCost) return value;
    value.dispose();
    return null;
  }

  /**
   * Encodes verbs of {@link engine} that take an encoder, after what tfjs has encoded, and submits both:
   * `optimizer.run((encoder) => optimizer.engine.accumulate({ samples: 32 }, encoder), gradients)`. After accumulations the
   * step is `optimizer.run((encoder) => optimizer.engine.encode(encoder))`.
   * @param gradients that the verb reads
   * @throws OptimError as {@link applyGradients}, and what the verb throws
   */
  run(verb: (encoder: GPUCommandEncoder) => void, gradients: NamedTensorMap | NamedTensor[] = {}): void {
    const opened = this.#ready;
    encode(opened, [...opened.variables.values()], check(opened, gradients), verb);
  }

  /** `optimizer.engine.save()`, of the variables as they are. @throws OptimError as that does */
  async save(options?: SaveOptions): Promise<Uint8Array<ArrayBuffer>> {
    this.run(() => {});
    return await this.engine.save(options);
  }

  /** `optimizer.engine.load()`; clones of variables keep their values. @throws OptimError as that does */
  async load(source: CheckpointSource, options?: LoadOptions): Promise<LoadResult> {
    this.run(() => {});
    return await this.engine.load(source, options);
  }

  /**
   * Iterations first; then rule, step counts and schedules as one string, and each state under the name of its variable. The
   * tensors are the optimizer's: they live until the next call.
   * @throws OptimError as `optimizer.engine.save()`
   */
  override async getWeights(): Promise<NamedTensor[]> {
    const { engine } = this.#ready;
    const { describe } = await import("./tfjs/weights.js");
    const weights = [await this.saveIterations(), ...describe(await engine.save({ parameters: false }))];
    dispose(this.#weights);
    this.#weights = weights.map(({ tensor }) => tensor);
    return weights;
  }

  #weights: Tensor[] = [];

  /**
   * Goes on from {@link getWeights}, bit for bit; hyperparameters and schedules stay the optimizer's. Names that tfjs has
   * numbered anew (`kernel_1` for `kernel`) are found. Before {@link open} the weights are kept for it.
   * @throws OptimError `invalid-checkpoint`; then nothing has changed
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    const saved = await (await import("./tfjs/weights.js")).read(weights);
    if (this.#opened) await this.#load(this.#opened, saved);
    else this.#saved = saved;
  }

  async #load({ engine }: Opened, { iterations, fileFor }: SavedWeights): Promise<void> {
    await engine.load(fileFor(engine.groups.flatMap(({ names }) => names)), {
      parameters: false,
      hyperparameters: "keep",
      schedules: "keep",
    });
    this.iterations_ = iterations;
  }

  /** Rule and hyperparameters of each group. Schedules and guards are for {@link open} to say again. */
  override getConfig(): serialization.ConfigDict {
    if (!this.#opened) return this.#config;
    const groups = this.#opened.engine.groups.map(({ rule, options }) => ({ rule, ...options }));
    return { groups };
  }

  /** Frees what the engine made. The variables keep their values, and are free for another optimizer. */
  override dispose(): void {
    dispose(this.#weights);
    this.#weights = [];
    if (this.#opened && !this.#disposed) close(this.#opened);
    this.#disposed = true;
  }

  #disposed = false;
}

/**
 * Makes an optimizer over variables of tfjs, for `model.compile({ optimizer })`, `minimize` and `applyGradients`. It takes
 * over the variables' buffers until {@link TfjsOptimizer.dispose}; other tensors that share one keep their values.
 * @throws OptimError as `createOptimizer`, `aliased-buffers` for a variable that has an optimizer, and `invalid-argument` where
 * tfjs is not on its WebGPU backend or a variable is none, disposed or not float32
 */
export async function createTfjsOptimizer<Own extends object = NoOptions>(
  options: TfjsOptimizerOptions<Own>,
): Promise<TfjsOptimizer> {
  const optimizer = new TfjsOptimizer();
  await optimizer.open(options);
  return optimizer;
}

const variableOf = (one: TfjsVariable): Variable =>
  (typeof (one as { read?: unknown })?.read === "function"
    ? (one as { read(): Tensor }).read()
    : one) as Variable;

/** @throws OptimError `invalid-argument` for what is no list */
function variablesOf(given: readonly TfjsVariable[] | undefined): Variable[] {
  if (given === undefined)
    return Object.values(tfjsEngine().registeredVariables).filter(
      ({ trainable, dtype, size }) => trainable && dtype === "float32" && size > 0,
    );
  if (Array.isArray(given)) return given.map(variableOf);
  throw new OptimError("invalid-argument", "There is no list of variables", {
    expected: "variables of tfjs, such as model.trainableWeights",
    got: typeof given,
    fix: "pass a list, or leave it out for all trainable ones",
  });
}

async function open(options: TfjsOptimizerOptions): Promise<Opened> {
  const backend = currentBackend();
  const { variables: listed, groups, ...rest } = options ?? {};
  if ("parameters" in rest)
    throw new OptimError("invalid-argument", "An optimizer of tfjs's variables has no option 'parameters'", {
      expected: "variables",
      got: "'parameters'",
      fix: "pass variables, or leave it out for all trainable ones",
    });
  const patterns = groups?.map(({ variables, ...pattern }) => {
    if (!variables) return pattern;
    const names = new Set(variablesOf(variables).map(({ name }) => name));
    return { ...pattern, match: (name: string) => names.has(name) };
  });
  const bound: BoundVariable[] = [];
  try {
    for (const variable of variablesOf(listed))
      if (variable?.size !== 0) bound.push(new BoundVariable(backend, variable));
    const parameters = bound.map(({ parameter }) => parameter);
    const sorted = patterns && partition(parameters, patterns);
    const engine = await createOptimizer(backend.device, {
      ...rest,
      ...(sorted ? { groups: sorted } : { parameters }),
    });
    for (const one of bound) one.releaseScratch();
    const rules = sorted?.map(({ rule }) => rule ?? rest.rule) ?? [rest.rule];
    return {
      engine,
      backend,
      variables: new Map(bound.map((one) => [one.name, one])),
      looksAhead: rules.some((rule) => rule?.row.shader.lookahead),
    };
  } catch (error) {
    for (const one of bound) one.release();
    throw error;
  }
}

function close({ engine, variables }: Opened): void {
  engine.destroy();
  for (const one of variables.values()) one.release();
}

/** Gradients by the variables that have one. @throws OptimError */
function check(
  { variables }: Opened,
  gradients: NamedTensorMap | readonly NamedTensor[],
): ReadonlyMap<BoundVariable, Tensor> {
  if (typeof gradients !== "object" || gradients === null)
    throw new OptimError("invalid-argument", "There are no gradients", {
      expected: "tensors by the names of variables",
      got: String(gradients),
      fix: "pass { name: tensor } or a list of { name, tensor }",
    });
  const given = new Map<BoundVariable, Tensor>();
  const pairs = Array.isArray(gradients)
    ? (gradients as readonly NamedTensor[]).map(({ name, tensor }) => [name, tensor] as const)
    : Object.entries(gradients);
  for (const [name, gradient] of pairs) {
    // tfjs has null for what is not trainable; of no elements there is nothing to step.
    if (!gradient || gradient.size === 0) continue;
    const one = variables.get(name);
    if (!one)
      throw new OptimError("unknown-name", `Variable '${name}' is not one of the optimizer's`, {
        expected: `one of ${[...variables.keys()].slice(0, 20).join(", ")}`,
        got: `'${name}'`,
        fix: "make the optimizer after all variables, or name its own to minimize()",
      });
    one.requireAlive();
    one.requireGradient(gradient);
    given.set(one, gradient);
  }
  return given;
}

/** Encodes a verb after tfjs's own commands, and submits. @param changed variables whose buffers it writes */
function encode(
  { engine, backend, variables }: Opened,
  changed: readonly BoundVariable[],
  given: ReadonlyMap<BoundVariable, Tensor>,
  verb: (encoder: GPUCommandEncoder) => void,
): void {
  for (const one of changed) one.claim();
  if (given.size > 0) {
    const taken = new Set<GPUBuffer>();
    const places = new Map<BoundVariable, GPUBuffer>();
    const put = (one: BoundVariable, buffer: GPUBuffer) => {
      taken.add(buffer);
      if (buffer !== one.gradient) places.set(one, buffer);
    };
    for (const [one, gradient] of given) put(one, one.place(gradient, taken));
    for (const one of variables.values()) if (!given.has(one)) put(one, one.park(taken));
    engine.setGradients(Object.fromEntries([...places].map(([{ name }, buffer]) => [name, buffer])));
    for (const [one, buffer] of places) one.gradient = buffer;
  }
  verb(openEncoder(backend));
  backend.submitQueue();
  engine.submitted();
}
