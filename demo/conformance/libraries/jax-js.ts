// jax-js under the judge: every optimizer of @jax-js/optax, its port of optax, which is judged where it is installed.
import { type Array as DeviceArray, defaultDevice, init, type JsTree, numpy as np, tree } from "@jax-js/jax";
import type { Subject, SubjectOptimizer, SubjectRun } from "../../../src/conformance/index.js";
import {
  adam,
  adamw,
  fromOptax,
  momentum,
  nadam,
  nesterov,
  OptimError,
  type Rule,
  sgd,
} from "../../../src/index.js";

type State = JsTree<DeviceArray>;

interface Transformation {
  init(parameters: DeviceArray): State;
  update(gradients: DeviceArray, state: State, parameters: DeviceArray): [DeviceArray, State];
}

/** What is used of the package. */
interface Optax {
  sgd(rate: number, options?: { momentum?: number; nesterov?: boolean }): Transformation;
  adam(rate: number, options?: AdamOptions): Transformation;
  adamw(rate: number, options?: AdamOptions & { weightDecay?: number }): Transformation;
  applyUpdates(parameters: DeviceArray, updates: DeviceArray): DeviceArray;
}

interface AdamOptions {
  b1?: number;
  b2?: number;
  eps?: number;
  epsRoot?: number;
  nesterov?: boolean;
}

// A pattern finds nothing where an import would not build.
const installed = import.meta.glob<Optax>("../../../node_modules/@jax-js/optax/dist/index.js");
const versions = import.meta.glob<string>("../../../node_modules/@jax-js/{jax,optax}/package.json", {
  import: "version",
});

/** jax-js frees an array where a function takes it; `.ref` keeps it for another use. */
async function run(
  optax: Optax,
  optimizer: Transformation,
  { initial, gradients }: SubjectRun,
): Promise<Float32Array[]> {
  let parameters = np.array(initial);
  let state = optimizer.init(parameters.ref);
  const after: Float32Array[] = [];
  for (const values of gradients) {
    const [updates, next] = optimizer.update(np.array(values), state, parameters.ref);
    state = next;
    parameters = optax.applyUpdates(parameters, updates);
    after.push(Float32Array.from(await parameters.ref.data()));
  }
  tree.dispose([parameters, state]);
  return after;
}

/** So large that what an update is off by counts beside θ. */
const lr = 1;
const mu = 0.9;
const moments = { b1: 0.9, b2: 0.999, eps: 1e-8 };
/** The same by the names of the rules, and by optax's. */
const own = { lr, beta1: moments.b1, beta2: moments.b2, eps: moments.eps };
const kwargs = { learning_rate: lr, ...moments };
const epsRoot = 1e-8;
const weightDecay = 0.1;
// Algorithm 2 of Loshchilov & Hutter has no rate at λ: optax's λ is the paper's over the rate.
const paperDecay = { weightDecay: lr * weightDecay, decay: "independent" } as const;

function optimizers(optax: Optax): SubjectOptimizer[] {
  const optimizer = (
    name: string,
    config: SubjectOptimizer["config"],
    transformation: Transformation,
    paper: Rule,
    dialect: Rule,
  ): SubjectOptimizer => ({
    name,
    config: { learningRate: lr, ...config },
    paper,
    dialect,
    run: (given) => run(optax, transformation, given),
  });
  return [
    optimizer("sgd", {}, optax.sgd(lr), sgd({ lr }), fromOptax("sgd", { learning_rate: lr })),
    optimizer(
      "sgd",
      { momentum: mu },
      optax.sgd(lr, { momentum: mu }),
      momentum({ lr, momentum: mu, form: "velocity" }),
      fromOptax("sgd", { learning_rate: lr, momentum: mu }),
    ),
    optimizer(
      "sgd",
      { momentum: mu, nesterov: true },
      optax.sgd(lr, { momentum: mu, nesterov: true }),
      nesterov({ lr, momentum: mu, form: "velocity" }),
      fromOptax("sgd", { learning_rate: lr, momentum: mu, nesterov: true }),
    ),
    optimizer("adam", moments, optax.adam(lr, moments), adam(own), fromOptax("adam", kwargs)),
    // The paper has one ε, outside the root.
    optimizer(
      "adam",
      { ...moments, epsRoot },
      optax.adam(lr, { ...moments, epsRoot }),
      adam(own),
      fromOptax("adam", { ...kwargs, eps_root: epsRoot }),
    ),
    // Algorithm 2 of Dozat takes any μ_t; here it is b1 throughout.
    optimizer(
      "adam",
      { ...moments, nesterov: true },
      optax.adam(lr, { ...moments, nesterov: true }),
      nadam({ ...own, form: "constant" }),
      fromOptax("adam", { ...kwargs, nesterov: true }),
    ),
    optimizer(
      "adamw",
      { ...moments, weightDecay },
      optax.adamw(lr, { ...moments, weightDecay }),
      adamw({ ...own, ...paperDecay }),
      fromOptax("adamw", { ...kwargs, weight_decay: weightDecay }),
    ),
    optimizer(
      "adamw",
      { ...moments, weightDecay, nesterov: true },
      optax.adamw(lr, { ...moments, weightDecay, nesterov: true }),
      nadam({ ...own, ...paperDecay, form: "constant" }),
      fromOptax("adamw", { ...kwargs, weight_decay: weightDecay, nesterov: true }),
    ),
  ];
}

/**
 * jax-js on its WebGPU backend, or on the CPU where that does not start.
 * @throws OptimError `unknown-name` where @jax-js/optax is not installed
 */
export async function jaxJs(): Promise<Subject> {
  const [load] = Object.values(installed);
  if (!load)
    throw new OptimError(
      "unknown-name",
      "The optimizers of jax-js are in @jax-js/optax, which is not installed",
      {
        fix: "npm install --no-save @jax-js/optax",
      },
    );
  const optax = await load();
  const [jaxVersion, optaxVersion] = await Promise.all(Object.values(versions).map((version) => version()));
  const backend = (await init("webgpu")).includes("webgpu") ? "webgpu" : "cpu";
  defaultDevice(backend);
  return {
    name: "jax-js",
    version: `${jaxVersion}, optax ${optaxVersion}`,
    backend,
    optimizers: optimizers(optax),
  };
}
