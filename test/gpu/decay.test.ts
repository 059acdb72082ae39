// The styles of weight decay at an ηλ so large that none passes for another, against their closed forms.
import { expect, test } from "vitest";
import { createOptimizer, nesterovLookahead, type RuleFactory, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";

const watched = useDevice();
const lr = 0.5;
const weightDecay = 0.4;

// Every pair of signs of parameter and update, zeros too, and a tail.
const start = Float32Array.of(1, 1, 1, -2, -2, -2, 0, 0, 0, 3, -3);
const gradient = Float32Array.of(0.5, -0.5, 0, 0.25, -0.25, 0, 1, -1, 0, 1e-3, 1e-3);

/** θ after a step of update u. */
const styles = {
  // In the gradient already.
  coupled: (parameter: number, u: number) => parameter - u,
  decoupled: (parameter: number, u: number) => parameter - u - lr * weightDecay * parameter,
  independent: (parameter: number, u: number) => parameter - u - weightDecay * parameter,
  proximal: (parameter: number, u: number) => (parameter - u) / (1 + lr * weightDecay),
  cautious: (parameter: number, u: number) =>
    parameter - u - (u * parameter >= 0 ? lr * weightDecay * parameter : 0),
} as const;

const rules = { sgd, "nesterov-lookahead": nesterovLookahead } as unknown as Record<string, RuleFactory>;

test.each(
  Object.entries(styles).flatMap(([decay, after]) =>
    Object.keys(rules).flatMap((rule) =>
      [false, true].flatMap((guards) =>
        [false, true].map((maximize) => ({ decay, after, rule, guards, maximize })),
      ),
    ),
  ),
)("$decay of $rule, guards $guards, maximize $maximize", async ({ decay, after, rule, guards, maximize }) => {
  const { device } = watched();
  const param = upload(device, start, { offset: 4, after: 8 });
  const grad = upload(device, new Float32Array(start.length), { offset: 8 });
  const optimizer = await createOptimizer(device, {
    rule: rules[rule]!({ lr, weightDecay, decay, maximize }),
    parameters: [{ name: "x", param, grad }],
    ...(guards && { guards: {} }),
  });
  let expected = [...start];
  let velocity = expected.map(() => 0);
  for (let t = 1; t <= 3; t += 1) {
    optimizer.lookahead();
    const factor = 1 / t;
    write(
      device,
      grad,
      gradient.map((value) => factor * value),
    );
    optimizer.step();
    velocity = velocity.map((before, i) => {
      const momentum = rule === "sgd" ? 0 : 0.9;
      // Coupled decay is of the point where the gradient is taken.
      const coupled = decay === "coupled" ? weightDecay * (expected[i]! - momentum * before) : 0;
      return momentum * before + lr * (factor * gradient[i]! * (maximize ? -1 : 1) + coupled);
    });
    expected = expected.map((value, i) => after(value, velocity[i]!));
    const [got] = await read(device, [param]);
    // Some roundings of f32 a step.
    got!.forEach((value, i) => {
      expect(
        Math.abs(value - expected[i]!),
        `θ[${i}] after step ${t}: ${value}, expected ${expected[i]}`,
      ).toBeLessThanOrEqual(1e-6 * (1 + Math.abs(expected[i]!)));
    });
  }
  optimizer.destroy();
  param.buffer.destroy();
  grad.buffer.destroy();
});
