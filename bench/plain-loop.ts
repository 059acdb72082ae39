import type { Contestant } from "./contestants.js";

/** Adam as one writes it in plain JavaScript, on the CPU. */
export function makeLoop(shapes: Readonly<Record<string, readonly number[]>>): Contestant {
  const tensors = Object.values(shapes).map((shape) => {
    const length = shape.reduce((product, extent) => product * extent, 1);
    const [p, g, m, v] = [0, 1, 2, 3].map(() => new Float32Array(length)) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    g.forEach((_, i) => {
      g[i] = Math.sin(i);
    });
    return { p, g, m, v };
  });
  let t = 0;
  const step = () => {
    t += 1;
    const rate = 1e-3 / (1 - 0.9 ** t);
    const correction = 1 / (1 - 0.999 ** t);
    for (const { p, g, m, v } of tensors)
      for (let i = 0; i < p.length; i += 1) {
        m[i] = 0.9 * m[i]! + 0.1 * g[i]!;
        v[i] = 0.999 * v[i]! + 0.001 * g[i]! * g[i]!;
        p[i]! -= (rate * m[i]!) / (Math.sqrt(v[i]! * correction) + 1e-8);
      }
  };
  const bytesMoved = 7 * 4 * tensors.reduce((sum, { p }) => sum + p.length, 0);
  return { engine: "plain-loop", optimizer: "adam", step, settled: async () => {}, bytesMoved };
}
