import { neverCautious, nonNegative, ruleFactory, wholeNumber } from "../rule.js";
import shader from "../shaders/noisy-sgd.wgsl";
import * as passes from "../shaders/passes/noisy-sgd.wgsl?engine";

/** FNV-1a of the UTF-8 of a name, 32 bits. */
function keyOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

const halves = (value: number): readonly [low: number, high: number] => [
  value % 2 ** 16,
  Math.floor(value / 2 ** 16) % 2 ** 16,
];

/**
 * Gradient descent with normal noise, whose variance falls with the steps. The noise of an element follows from the seed, the
 * tensor's name, its steps and the element's index: how tensors lie and are grouped does not matter, and a resumed run goes on.
 */
export const noisySgd = /* @__PURE__ */ ruleFactory(() => ({
  name: "noisy-sgd",
  shader,
  options: {
    lr: nonNegative(1e-2),
    cautious: neverCautious(),
    /** Variance of the noise in the first step. */
    eta: nonNegative(0.01),
    /** How fast it falls. */
    gamma: nonNegative(0.55),
    /** Of the noise: another seed is another noise. */
    seed: { ...wholeNumber(0, 0), max: 2 ** 32 - 1 },
  },
  formula: "θ ← θ − η(g + n), n normal of variance eta/tᵞ",
  source: "Neelakantan et al. 2015; optax noisy_sgd",
  scalars({ eta, gamma, seed }, t) {
    const [step_low, step_high] = halves(t);
    const [seed_low, seed_high] = halves(seed);
    return { deviation: Math.sqrt(eta / t ** gamma), step_low, step_high, seed_low, seed_high };
  },
  whole: {
    shader: passes,
    fields: ({ name }) => ({ key: keyOf(name) }),
    passes: () => [{ run: "add_noise", workgroups: ({ count }) => Math.ceil(count / 256) }],
  },
}));
