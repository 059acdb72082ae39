// Fits a small network to a sine: jax-js computes loss and gradients, webgpu-optim steps its parameters in place.
import {
  type Array as DeviceArray,
  defaultDevice,
  init,
  jit,
  numpy as np,
  random,
  tree,
  valueAndGrad,
} from "@jax-js/jax";
import { adamw, cosine, warmup } from "webgpu-optim";
import { createJaxOptimizer } from "webgpu-optim/jax";

const STEPS = 120;

await init("webgpu");
defaultDevice("webgpu");

type Layer = { weight: DeviceArray; bias: DeviceArray };
const dense = (key: number, inputs: number, outputs: number): Layer => ({
  weight: random.normal(random.key(key), [inputs, outputs]).mul(Math.sqrt(1 / inputs)),
  bias: np.zeros([outputs]),
});
const parameters = { layers: [dense(1, 1, 32), dense(2, 32, 32), dense(3, 32, 1)] };

/** The mean squared error. jax-js consumes what a function is handed. */
function loss({ layers }: typeof parameters, x: DeviceArray, y: DeviceArray): DeviceArray {
  const [first, second, last] = layers as [Layer, Layer, Layer];
  const apply = (x: DeviceArray, { weight, bias }: Layer) => np.dot(x, weight).add(bias);
  const hidden = np.tanh(apply(np.tanh(apply(x, first)), second));
  return np.square(apply(hidden, last).sub(y)).mean();
}
const lossAndGradients = jit(valueAndGrad(loss));

const optimizer = await createJaxOptimizer(parameters, {
  rule: adamw({ lr: 0.02, weightDecay: 0.01 }),
  schedule: warmup(20, cosine({ steps: STEPS - 20 })),
  groups: [{ match: /bias/, weightDecay: 0 }, {}], // by paths such as layers.0.bias
  guards: { clipGlobalNorm: 1 },
});

const x = np.linspace(-3, 3, 128).reshape([128, 1]);
const y = np.sin(x.ref);
const losses: DeviceArray[] = [];
for (let step = 0; step < STEPS; step += 1) {
  const [value, gradients] = lossAndGradients(tree.ref(parameters), x.ref, y.ref);
  optimizer.step(gradients); // consumes them, and changes the parameters' own buffers
  losses.push(value); // read later: reading now would wait for the GPU
}
/** Losses of the first and of the last step. */
export const [first, last] = await Promise.all(
  [losses.at(0)!, losses.at(-1)!].map(async (value) => Number((await value.data())[0])),
);
console.log(`The loss fell from ${first} to ${last}.`);

const checkpoint = await optimizer.engine.save(); // safetensors; load() goes on with the same bits
console.log(`${checkpoint.byteLength} bytes hold parameters, moments, steps and schedule.`);
optimizer.destroy();
tree.dispose([parameters, losses.slice(1, -1), x, y]);
