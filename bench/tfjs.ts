// tfjs's own optimizers, and ours over its variables, on the bench's own device.
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { type Backend, openEncoder } from "../src/clients/tfjs/backend.js";
import { createTfjsOptimizer } from "../src/clients/tfjs.js";
import { adam, momentum, type Rule, rmsprop, sgd } from "../src/index.js";
import type { Contestant } from "./contestants.js";

const lr = 1e-3;
const eps = 1e-7;

/** What tfjs has too, with the same arithmetic. */
const pairs: readonly [theirs: () => tf.Optimizer, ours: Rule][] = [
  [() => tf.train.adam(lr, 0.9, 0.999, eps), adam({ lr, eps })],
  [() => tf.train.sgd(lr), sgd({ lr })],
  [() => tf.train.momentum(lr, 0.9), momentum({ lr, momentum: 0.9 })],
  [() => tf.train.rmsprop(lr, 0.9, 0, eps), rmsprop({ lr, alpha: 0.9, eps, epsInside: true })],
];

/** Each steps variables of these shapes by the same gradients. */
export async function makeTfjs(
  device: GPUDevice,
  shapes: Readonly<Record<string, readonly number[]>>,
  own: (made: { destroy(): void }) => unknown,
): Promise<Contestant[]> {
  if (tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
  tf.registerBackend("webgpu", () => new WebGPUBackend(device, device.adapterInfo));
  await tf.setBackend("webgpu");
  own({ destroy: () => tf.removeBackend("webgpu") });
  const backend = tf.engine().backend as unknown as Backend;
  const settled = async () => {
    openEncoder(backend);
    backend.submitQueue();
  };
  const gradients = Object.values(shapes).map((shape) => tf.randomNormal([...shape]));
  const contestants: Contestant[] = [];
  for (const engine of ["webgpu-optim-tfjs", "tfjs"])
    for (const [theirs, rule] of pairs) {
      const optimizer = rule.row.name;
      const variables = tf.tidy(() =>
        Object.entries(shapes).map(([name, shape]) =>
          tf.variable(tf.randomNormal([...shape]), true, `${engine} ${optimizer} ${name}`),
        ),
      );
      const stepped = engine === "tfjs" ? theirs() : await createTfjsOptimizer({ rule, variables });
      const given = Object.fromEntries(variables.map(({ name }, i) => [name, gradients[i]!]));
      own({
        destroy: () => {
          stepped.dispose();
          tf.dispose(variables);
        },
      });
      const rest = engine === "tfjs" ? 1000 : 0;
      contestants.push({ engine, optimizer, step: () => stepped.applyGradients(given), settled, rest });
    }
  own({ destroy: () => tf.dispose(gradients) });
  return contestants;
}
