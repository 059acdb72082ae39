// SAM's ascent (Foret et al. 2021, algorithm 1) around rules, against the same in float64.
import { describe, expect, test } from "vitest";
import { adam, adan, createOptimizer, nesterovLookahead, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { normals } from "../support/numbers.js";

const watched = useDevice();
const lengths = [30, 7];

function tensors() {
  const { device } = watched();
  return lengths.map((length, index) => ({
    name: `x${index}`,
    param: upload(device, normals(index, length)),
    grad: upload(device, new Float32Array(length), { offset: 4 * index }),
  }));
}
type Tensors = ReturnType<typeof tensors>;
const destroy = (given: Tensors) => {
  for (const { param, grad } of given) for (const { buffer } of [param, grad]) buffer.destroy();
};
const parametersOf = (given: Tensors) =>
  read(
    watched().device,
    given.map(({ param }) => param),
  );

/** Gradient of Σ½a(x − 1)² with a curvature by element. */
const gradientAt = (x: ArrayLike<number>) => Array.from(x, (value, i) => (1 + (i % 5)) * (value - 1));

async function feedGradients(given: Tensors) {
  const now = await parametersOf(given);
  given.forEach(({ grad }, index) => {
    write(watched().device, grad, gradientAt(now[index]!));
  });
}

describe.each([
  ["plain", {}],
  ["with a loss scale", { guards: { lossScale: 8 } }],
])("%s", (_, options) => {
  test("the gradient is taken at θ + ρg/‖g‖ over all groups, and the step starts from θ", async () => {
    const { device } = watched();
    const given = tensors();
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 0.05 }),
      groups: given.map((tensor) => ({ parameters: [tensor] })),
      sam: { rho: 0.3 },
      ...options,
    });
    const scale = "guards" in options ? 8 : 1;
    const expected = given.map((__, index) => Array.from(normals(index, lengths[index]!)));
    for (let t = 0; t < 5; t += 1) {
      const scaled = async () => {
        const now = await parametersOf(given);
        given.forEach(({ grad }, index) => {
          write(
            device,
            grad,
            gradientAt(now[index]!).map((value) => value * scale),
          );
        });
      };
      await scaled();
      optimizer.ascend();
      const first = expected.map(gradientAt);
      const norm = Math.sqrt(first.flat().reduce((sum, value) => sum + value * value, 0));
      const ascended = expected.map((x, index) =>
        x.map((value, i) => value + (0.3 / norm) * first[index]![i]!),
      );
      (await parametersOf(given)).forEach((x, index) => {
        x.forEach((value, i) => {
          // The norm is a sum of squares in f32, relative error below 1e-6; the rest is rounding.
          expect(Math.abs(value - ascended[index]![i]!)).toBeLessThanOrEqual(2e-6);
        });
      });
      await scaled();
      optimizer.step();
      expected.forEach((x, index) => {
        const gradient = gradientAt(ascended[index]!);
        x.forEach((value, i) => {
          x[i] = value - 0.05 * gradient[i]!;
        });
      });
    }
    (await parametersOf(given)).forEach((x, index) => {
      x.forEach((value, i) => {
        expect(Math.abs(value - expected[index]![i]!)).toBeLessThanOrEqual(2e-6);
      });
    });
    optimizer.destroy();
    destroy(given);
  });
});

test("with radius 0 it is the inner rule, bit for bit", async () => {
  const { device } = watched();
  const run = async (sam: boolean) => {
    const given = tensors();
    const optimizer = await createOptimizer(device, {
      rule: adam({ lr: 0.1 }),
      parameters: given,
      ...(sam ? { sam: { rho: 0 } } : { guards: {} }),
    });
    for (let t = 0; t < 6; t += 1) {
      await feedGradients(given);
      if (sam) optimizer.ascend();
      optimizer.step();
    }
    const result = await parametersOf(given);
    optimizer.destroy();
    destroy(given);
    return result;
  };
  expect(await run(true)).toEqual(await run(false));
});

test("a gradient that is zero or not finite moves nothing; a skipped step restores the parameters", async () => {
  const { device } = watched();
  const given = tensors();
  const before = await parametersOf(given);
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    parameters: given,
    sam: {},
    guards: { nonFinite: "skip" },
  });
  optimizer.ascend();
  expect(await parametersOf(given)).toEqual(before);
  optimizer.restore();
  await feedGradients(given);
  write(device, given[1]!.grad, [Number.NaN]);
  optimizer.ascend();
  expect(await parametersOf(given)).toEqual(before);
  optimizer.restore();
  await feedGradients(given);
  optimizer.ascend();
  expect(await parametersOf(given)).not.toEqual(before);
  write(device, given[0]!.grad, [Number.POSITIVE_INFINITY]);
  optimizer.step();
  expect(await parametersOf(given)).toEqual(before);
  await optimizer.settled();
  expect(optimizer.groups[0]!.steps).toBe(0);
  await feedGradients(given);
  optimizer.ascend();
  optimizer.restore();
  expect(await parametersOf(given)).toEqual(before);
  optimizer.destroy();
  destroy(given);
});

test("misuse is refused", async () => {
  const { device } = watched();
  const given = tensors();
  const create = (options: object) => createOptimizer(device, { parameters: given, rule: sgd(), ...options });
  await expectError(() => create({ sam: { rho: -1 } }), "invalid-argument");
  await expectError(() => create({ sam: { radius: 1 } }), "invalid-argument");
  await expectError(() => create({ sam: {}, rule: nesterovLookahead() }), "invalid-argument");
  const plain = await create({});
  await expectError(() => plain.ascend(), "invalid-argument");
  plain.destroy();
  const optimizer = await create({ sam: {}, accumulation: true });
  await expectError(() => optimizer.step(), "lookahead-order");
  optimizer.ascend();
  await expectError(() => optimizer.ascend(), "lookahead-order");
  optimizer.step();
  optimizer.accumulate();
  await expectError(() => optimizer.ascend(), "lookahead-order");
  optimizer.restore();
  optimizer.destroy();
  destroy(given);
});

test("slow weights around an ascent begin at θ, not at the point of the ascent", async () => {
  const { device } = watched();
  const given = tensors();
  const optimizer = await createOptimizer(device, {
    rule: sgd({ lr: 0.1 }),
    parameters: given,
    sam: { rho: 5 },
    slowWeights: { every: 1, alpha: 0.5 },
  });
  const start = await parametersOf(given);
  await feedGradients(given);
  optimizer.ascend();
  const steps = given.map(({ grad, param }, index) => {
    const values = normals(20 + index, param.size / 4);
    write(device, grad, values);
    return values;
  });
  optimizer.step();
  (await parametersOf(given)).forEach((values, index) => {
    values.forEach((value, i) => {
      expect(value).toBeCloseTo(start[index]![i]! - 0.05 * steps[index]![i]!, 5);
    });
  });
  optimizer.destroy();
  destroy(given);
});

test("a rule of four states goes into SAM where the device has nine storage buffers a stage", async () => {
  const { device } = watched();
  const given = tensors();
  const create = () => createOptimizer(device, { rule: adan(), parameters: given, sam: {} });
  if (device.limits.maxStorageBuffersPerShaderStage >= 9) {
    const optimizer = await create();
    await feedGradients(given);
    optimizer.ascend();
    optimizer.step();
    const moved = await parametersOf(given);
    expect(moved[0]![0]).not.toBe(normals(0, lengths[0]!)[0]);
    optimizer.destroy();
  } else await expectError(create, "limit-exceeded", "maxStorageBuffersPerShaderStage");
  destroy(given);
});
