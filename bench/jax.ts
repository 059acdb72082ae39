// jax-js: each rule by its own operations, as they are and jitted, and ours over its arrays. On jax-js's own device.
import {
  type Array as DeviceArray,
  defaultDevice,
  getWebGPUDevice,
  init,
  jit,
  numpy as np,
  random,
  tree,
} from "@jax-js/jax";
import { createJaxOptimizer, realize } from "../src/clients/jax.js";
import { adam, adamw, momentum, type Rule, rmsprop, sgd } from "../src/index.js";
import type { Contestant } from "./contestants.js";

const lr = 1e-3;
const beta1 = 0.9;
const beta2 = 0.999;
const alpha = 0.99;
const eps = 1e-8;
const decay = 0.01;

/** The parameter and its state after a step; all is consumed. @param corrections 1/(1−β1ᵗ) and 1/(1−β2ᵗ) */
type Update = (own: DeviceArray[], gradient: DeviceArray, corrections: DeviceArray) => DeviceArray[];

const descend: Update = ([p], g, corrections) => {
  corrections.dispose();
  return [p!.sub(g.mul(lr))];
};
const roll: Update = ([p, buffer], g, corrections) => {
  corrections.dispose();
  const next = buffer!.mul(0.9).add(g);
  return [p!.sub(next.ref.mul(lr)), next];
};
const scale: Update = ([p, average], g, corrections) => {
  corrections.dispose();
  const next = average!.mul(alpha).add(np.square(g.ref).mul(1 - alpha));
  return [p!.sub(g.div(np.sqrt(next.ref).add(eps)).mul(lr)), next];
};
const adapt =
  (shrink: number): Update =>
  ([p, m, v], g, corrections) => {
    const first = corrections.ref.slice(0);
    const second = corrections.slice(1);
    const nextM = m!.mul(beta1).add(g.ref.mul(1 - beta1));
    const nextV = v!.mul(beta2).add(np.square(g).mul(1 - beta2));
    const root = np.sqrt(nextV.ref.mul(second)).add(eps);
    const step = nextM.ref.mul(first).div(root).mul(lr);
    return [(shrink === 1 ? p! : p!.mul(shrink)).sub(step), nextM, nextV];
  };

/** Each with as many arrays a tensor. */
const updates: readonly [rule: Rule, arrays: number, update: Update][] = [
  [adam({ lr }), 3, adapt(1)],
  [adamw({ lr, weightDecay: decay }), 3, adapt(1 - lr * decay)],
  [sgd({ lr }), 1, descend],
  [momentum({ lr, momentum: 0.9 }), 2, roll],
  [rmsprop({ lr, alpha, eps }), 2, scale],
];

/** Each steps tensors of these shapes by the same gradients. */
export async function makeJax(
  shapes: Readonly<Record<string, readonly number[]>>,
  own: (made: { destroy(): void }) => unknown,
): Promise<Contestant[]> {
  if (!(await init("webgpu")).includes("webgpu")) throw new Error("jax-js finds no WebGPU.");
  defaultDevice("webgpu");
  const device = getWebGPUDevice();
  const settled = async () => {};
  const made = (seed: number) =>
    Object.values(shapes).map((shape, i) => realize(random.normal(random.key(seed + i), [...shape])));
  const gradients = made(1);
  own({ destroy: () => tree.dispose(gradients) });
  const contestants: Contestant[] = [];
  for (const [rule, arrays, update] of updates) {
    const optimizer = rule.row.name;
    for (const [engine, run] of [
      ["jax-js", update],
      ["jax-js-jit", jit(update) as Update],
    ] as const) {
      const start = made(1000);
      let state = start.map((p) => [
        p,
        ...Array.from({ length: arrays - 1 }, () => realize(np.zeros(p.shape))),
      ]);
      let t = 0;
      own({ destroy: () => tree.dispose(state) });
      const step = () => {
        t += 1;
        const corrections = np.array([1 / (1 - beta1 ** t), 1 / (1 - beta2 ** t)]);
        state = state.map((one, i) => realize(run(one, gradients[i]!.ref, corrections.ref)));
        corrections.dispose();
      };
      contestants.push({ engine, optimizer, step, settled, device });
    }
    const parameters = made(1000);
    const ours = await createJaxOptimizer(parameters, { rule });
    own({
      destroy: () => {
        ours.destroy();
        tree.dispose(parameters);
      },
    });
    const step = () => ours.step(gradients.map((gradient) => gradient.ref));
    contestants.push({ engine: "webgpu-optim-jax", optimizer, step, settled, device });
  }
  return contestants;
}
