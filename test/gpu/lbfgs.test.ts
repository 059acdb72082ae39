// L-BFGS: the two-loop recursion in float64, step by step and as a whole, however tensors lie.
import { describe, expect, test } from "vitest";
import { createOptimizer, lbfgs } from "../../src/index.js";
import { twoLoop } from "../../src/reference/lbfgs.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";

const watched = useDevice();

/** Rosenbrock's function in ten dimensions: Σ 100(x₂ᵢ − x₂ᵢ₋₁²)² + (1 − x₂ᵢ₋₁)² over neighbours. */
const rosenbrock = (x: ArrayLike<number>) => {
  const gradient = new Float64Array(x.length);
  let value = 0;
  for (let i = 0; i + 1 < x.length; i += 1) {
    const off = x[i + 1]! - x[i]! ** 2;
    value += 100 * off ** 2 + (1 - x[i]!) ** 2;
    gradient[i]! += -400 * x[i]! * off - 2 * (1 - x[i]!);
    gradient[i + 1]! += 200 * off;
  }
  return { value, gradient };
};
const start = Float32Array.from({ length: 10 }, (_, i) => (i % 2 ? 1 : -1.2));

describe("on Rosenbrock's function in ten dimensions", () => {
  test.each([
    [10, 0.1],
    [3, 0.2],
  ])("history %d, rate %d: 30 steps are those of float64 within 1e-4", async (historySize, lr) => {
    const { device } = watched();
    // Two tensors that no four lanes fit.
    const parts = [start.slice(0, 7), start.slice(7)];
    const tensors = parts.map((part, i) => ({
      name: `t${i}`,
      param: upload(device, part, { offset: 4 * i }),
      grad: upload(device, part, { offset: 8 * i }),
    }));
    const optimizer = await createOptimizer(device, {
      rule: lbfgs({ historySize, lr }),
      parameters: tensors,
    });
    let x = Float64Array.from(start);
    let got = Float64Array.from(start);
    const pairs: { s: Float64Array; y: Float64Array }[] = [];
    let last: { x: Float64Array; g: Float64Array } | undefined;
    let worst = 0;
    for (let t = 1; t <= 30; t += 1) {
      const own = rosenbrock(got).gradient;
      write(device, tensors[0]!.grad, own.slice(0, 7));
      write(device, tensors[1]!.grad, own.slice(7));
      optimizer.step();
      const values = await read(
        device,
        tensors.map(({ param }) => param),
      );
      got = Float64Array.from(values.flatMap((part) => [...part]));
      const g = rosenbrock(x).gradient;
      if (last) {
        const { x: x0, g: g0 } = last;
        const pair = { s: x.map((value, i) => value - x0[i]!), y: g.map((value, i) => value - g0[i]!) };
        if (pair.s.reduce((so, value, i) => so + value * pair.y[i]!, 0) > 1e-10) pairs.push(pair);
        if (pairs.length > historySize) pairs.shift();
      }
      last = { x, g };
      const norm = g.reduce((so, value) => so + Math.abs(value), 0);
      const rate = t === 1 ? lr * Math.min(1, 1 / norm) : lr;
      const { direction } = twoLoop(g, pairs);
      x = x.map((value, i) => value - rate * direction[i]!);
      worst = Math.max(worst, ...x.map((value, i) => Math.abs(value - got[i]!) / (1 + Math.abs(value))));
    }
    console.log("worst", worst, rosenbrock(x).value, rosenbrock(start).value, pairs.length);
    expect(worst).toBeLessThan(1e-4);
    expect(rosenbrock(got).value).toBeLessThan(0.1 * rosenbrock(start).value);
    optimizer.destroy();
    for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
  });
});
