// The shared tests of every rule, driven by the table.
import { describe, expect, test } from "vitest";
import { createOptimizer } from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { gradients, normals, ulp } from "../support/numbers.js";
import { variants } from "../support/variants.js";

const watched = useDevice();

/** A rate that changes in mid-run. */
const schedule = (step: number) => (step < 6 ? 1 : 0.25);
const LENGTH = 61;

describe.each(variants)("$name", ({ factory, options }) => {
  const rule = factory(options);
  const { name, shader } = rule.row;

  test("follows the float64 reference, free-running and from equal state", async () => {
    const { device, software } = watched();
    const initial = normals(1, LENGTH);
    const param = upload(device, initial);
    const grad = upload(device, new Float32Array(LENGTH));
    const optimizer = await createOptimizer(device, {
      rule,
      schedule,
      parameters: [{ name: "x", param, grad }],
    });
    const states = shader.states.map((state) => optimizer.state("x", state));

    let parameters: Float64Array = Float64Array.from(initial);
    let state = referenceState(name, rule.options, LENGTH);
    let before = { parameters, state };
    const largest = parameters.map(Math.abs);
    for (let t = 1; t <= 12; t += 1) {
      optimizer.lookahead();
      const values = gradients(2, t, LENGTH);
      write(device, grad, values);
      optimizer.step();
      const [after, ...afterStates] = (await read(device, [param, ...states])) as [
        Float32Array,
        ...Float32Array[],
      ];

      const at = { t, lr: optimizer.groups[0]!.rate };
      const gradient = Float64Array.from(values);
      const free = referenceStep(name, rule.options, at, parameters, gradient, state);
      ({ parameters, state } = free);
      parameters.forEach((value, i) => {
        largest[i] = Math.max(largest[i]!, Math.abs(value));
        // The bound of the vectors: f32 rounding of a dozen steps.
        expect(Math.abs(after[i]! - value), `θ[${i}] at step ${t}`).toBeLessThanOrEqual(
          2e-6 * (1 + largest[i]!),
        );
      });

      // 8 f32 ULP of the largest summand, 16 where division and square root are coarser than the software adapter's.
      const bound = software ? 8 : 16;
      const one = referenceStep(name, rule.options, at, before.parameters, gradient, before.state);
      after.forEach((value, i) => {
        const error = Math.abs(value - one.parameters[i]!) / ulp(one.largest.parameters[i]!);
        expect(error, `ULP of θ[${i}] in step ${t}`).toBeLessThanOrEqual(bound);
      });
      shader.states.forEach((kind, index) => {
        afterStates[index]!.forEach((value, i) => {
          const error = Math.abs(value - one.state[kind]![i]!) / ulp(one.largest.state[kind]![i]!);
          expect(error, `ULP of ${kind}[${i}] in step ${t}`).toBeLessThanOrEqual(bound);
        });
      });
      before = {
        parameters: Float64Array.from(after),
        state: Object.fromEntries(
          shader.states.map((kind, index) => [kind, Float64Array.from(afterStates[index]!)]),
        ),
      };
    }
    optimizer.destroy();
    param.buffer.destroy();
    grad.buffer.destroy();
  });
});
