// TensorFlow.js under the judge: every optimizer of tf.train.
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-webgpu";
import {
  getBackend,
  type Optimizer,
  setBackend,
  tensor1d,
  train,
  variable,
  version_core,
} from "@tensorflow/tfjs-core";
import type { Subject, SubjectOptimizer, SubjectRun } from "../../../src/conformance/index.js";
import {
  adadelta,
  adagrad,
  adam,
  adamax,
  momentum,
  nesterov,
  type Rule,
  rmsprop,
  rmspropCentered,
  rmspropCenteredMomentum,
  rmspropMomentum,
  sgd,
} from "../../../src/index.js";

/** tfjs keeps variables by name in one list of the page. */
let runs = 0;

async function run(make: () => Optimizer, { initial, gradients }: SubjectRun): Promise<Float32Array[]> {
  const name = `conformance ${runs++}`;
  const start = tensor1d(initial);
  const parameters = variable(start, true, name);
  const optimizer = make();
  const after: Float32Array[] = [];
  for (const values of gradients) {
    const gradient = tensor1d(values);
    optimizer.applyGradients({ [name]: gradient });
    after.push(Float32Array.from(await parameters.data()));
    gradient.dispose();
  }
  optimizer.dispose();
  parameters.dispose();
  start.dispose();
  return after;
}

/** So large that what an update is off by counts beside θ. */
const lr = 1;
const eps = 1e-7;

/** The rules of the paper and of the library's dialect; the same, where one is given. */
const optimizer = (
  name: string,
  config: SubjectOptimizer["config"],
  make: () => Optimizer,
  paper: Rule,
  dialect = paper,
): SubjectOptimizer => ({ name, config, paper, dialect, run: (given) => run(make, given) });

const optimizers = (): SubjectOptimizer[] => [
  optimizer("sgd", { learningRate: lr }, () => train.sgd(lr), sgd({ lr })),
  optimizer(
    "momentum",
    { learningRate: lr, momentum: 0.9 },
    () => train.momentum(lr, 0.9),
    momentum({ lr, momentum: 0.9, form: "velocity" }),
    momentum({ lr, momentum: 0.9 }),
  ),
  optimizer(
    "momentum",
    { learningRate: lr, momentum: 0.9, useNesterov: true },
    () => train.momentum(lr, 0.9, true),
    nesterov({ lr, momentum: 0.9, form: "velocity" }),
    nesterov({ lr, momentum: 0.9 }),
  ),
  // Duchi et al. add δ to the root; tfjs has its backend's ε inside.
  optimizer(
    "adagrad",
    { learningRate: lr, initialAccumulatorValue: 0 },
    () => train.adagrad(lr, 0),
    adagrad({ lr, eps }),
    adagrad({ lr, eps, epsInside: true }),
  ),
  optimizer(
    "adadelta",
    { learningRate: 1, rho: 0.95, epsilon: 1e-6 },
    () => train.adadelta(1, 0.95, 1e-6),
    adadelta({ lr: 1, rho: 0.95, eps: 1e-6 }),
  ),
  optimizer(
    "rmsprop",
    { learningRate: lr, decay: 0.9, epsilon: eps },
    () => train.rmsprop(lr, 0.9, 0, eps),
    rmsprop({ lr, alpha: 0.9, eps, epsInside: true }),
  ),
  optimizer(
    "rmsprop",
    { learningRate: lr, decay: 0.9, momentum: 0.9, epsilon: eps },
    () => train.rmsprop(lr, 0.9, 0.9, eps),
    rmspropMomentum({ lr, alpha: 0.9, momentum: 0.9, eps, epsInside: true, rateInside: true }),
  ),
  optimizer(
    "rmsprop",
    { learningRate: lr, decay: 0.9, epsilon: eps, centered: true },
    () => train.rmsprop(lr, 0.9, 0, eps, true),
    rmspropCentered({ lr, alpha: 0.9, eps, epsInside: true }),
  ),
  optimizer(
    "rmsprop",
    { learningRate: lr, decay: 0.9, momentum: 0.9, epsilon: eps, centered: true },
    () => train.rmsprop(lr, 0.9, 0.9, eps, true),
    rmspropCenteredMomentum({ lr, alpha: 0.9, momentum: 0.9, eps, epsInside: true, rateInside: true }),
  ),
  optimizer(
    "adam",
    { learningRate: lr, beta1: 0.9, beta2: 0.999, epsilon: eps },
    () => train.adam(lr, 0.9, 0.999, eps),
    adam({ lr, eps }),
  ),
  // Algorithm 2 of the paper has no ε.
  optimizer(
    "adamax",
    { learningRate: lr, beta1: 0.9, beta2: 0.999, epsilon: eps },
    () => train.adamax(lr, 0.9, 0.999, eps),
    adamax({ lr, eps: 0 }),
    adamax({ lr, eps, epsOutside: true }),
  ),
];

/** tfjs on its WebGPU backend, or on the CPU where that does not start. */
export async function tfjs(): Promise<Subject> {
  const started = await setBackend("webgpu").catch(() => false);
  if (!started) await setBackend("cpu");
  return { name: "tfjs", version: version_core, backend: getBackend(), optimizers: optimizers() };
}
