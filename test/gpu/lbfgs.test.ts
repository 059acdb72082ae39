// L-BFGS: PyTorch's own runs in float64, step by step and as a whole, however tensors lie.
import { describe, expect, test } from "vitest";
import { createArena, createOptimizer, lbfgs, type OptimizerOptions } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { difference, useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { normals } from "../support/numbers.js";
import { rosenbrock } from "../support/rosenbrock.js";
import { bits } from "../support/tensors.js";
import recorded from "../vectors/pytorch/lbfgs.json";

const watched = useDevice();

/** Tensors whose gradients are those of Σ½cᵢ(xᵢ − 1)², with curvatures from 1 to 10. */
function bowl(device: GPUDevice, lengths: readonly number[]) {
  const arena = createArena(device, [Object.fromEntries(lengths.map((length, i) => [`t${i}`, [length]]))]);
  const [tensors] = arena.groups;
  const values = () =>
    read(
      device,
      tensors.map(({ param }) => param),
    );
  tensors.forEach(({ param }, i) => {
    write(device, param, normals(60 + i, lengths[i]!));
  });
  return {
    tensors,
    values,
    async slope() {
      for (const [i, own] of (await values()).entries())
        write(
          device,
          tensors[i]!.grad,
          own.map((x, k) => (1 + ((k + i) % 10)) * (x - 1)),
        );
    },
    destroy: () => arena.destroy(),
  };
}

/** So many steps on a bowl, and where they end. */
async function descend(
  device: GPUDevice,
  lengths: readonly number[],
  steps: number,
  options: Omit<OptimizerOptions, "rule" | "parameters" | "groups"> = {},
) {
  const made = bowl(device, lengths);
  const optimizer = await createOptimizer(device, {
    rule: lbfgs({ historySize: 5 }),
    parameters: made.tensors,
    ...options,
  });
  for (let t = 0; t < steps; t += 1) {
    await made.slope();
    optimizer.step();
  }
  return { ...made, optimizer, device };
}
type Run = Awaited<ReturnType<typeof descend>>;
const end = ({ optimizer, destroy }: Run) => {
  optimizer.destroy();
  destroy();
};

const start = Float32Array.from(recorded.initial);

test.each(recorded.cases.filter(({ config }) => config.line_search_fn === null))(
  "30 steps are those of PyTorch within 1e-4: $config",
  async ({ config, steps, expected }) => {
    const { device } = watched();
    // Two tensors that no four lanes fit.
    const parts = [start.slice(0, 7), start.slice(7)];
    const tensors = parts.map((part, i) => ({
      name: `t${i}`,
      param: upload(device, part, { offset: 4 * i }),
      grad: upload(device, part, { offset: 8 * i }),
    }));
    const rule = lbfgs({ historySize: config.history_size, lr: config.lr });
    const optimizer = await createOptimizer(device, { rule, parameters: tensors });
    let got = Float64Array.from(start);
    let worst = 0;
    for (let t = 0; t < steps; t += 1) {
      const { gradient } = rosenbrock(got);
      write(device, tensors[0]!.grad, gradient.slice(0, 7));
      write(device, tensors[1]!.grad, gradient.slice(7));
      optimizer.step();
      const values = await read(
        device,
        tensors.map(({ param }) => param),
      );
      got = Float64Array.from(values.flatMap((part) => [...part]));
      const errors = expected[t]!.map((value, i) => Math.abs(value - got[i]!) / (1 + Math.abs(value)));
      worst = Math.max(worst, ...errors);
    }
    expect(worst).toBeLessThan(1e-4);
    expect(rosenbrock(got).value).toBeLessThan(0.1 * rosenbrock(start).value);
    optimizer.destroy();
    for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
  },
);

test("reaches the minimum of a bowl in as many dispatches for 3 tensors as for 100", async () => {
  const { device, counts } = watched();
  const taken: number[] = [];
  for (const lengths of [[7, 1, 1100], Array.from({ length: 100 }, (_, i) => 1 + (i % 9))]) {
    const run = await descend(device, lengths, 20);
    const before = { ...counts };
    const encoder = device.createCommandEncoder();
    run.optimizer.encode(encoder);
    const { buffers, bindGroups, dispatches } = difference(counts, before);
    expect([buffers, bindGroups]).toEqual([0, 0]);
    taken.push(dispatches);
    run.optimizer.abandon();
    for (const values of await run.values())
      for (const x of values) expect(Math.abs(x - 1)).toBeLessThan(1e-4);
    end(run);
  }
  expect(taken[1]).toBe(taken[0]);
  expect(taken[0]).toBeLessThan(11);
});

test("a step that is skipped leaves no trace", async () => {
  const { device } = watched();
  const run = await descend(device, [9, 5], 4, { guards: { nonFinite: "skip" } });
  const { optimizer, tensors } = run;
  const all = () =>
    read(
      device,
      tensors.flatMap(({ name, param }) => [
        param,
        ...["old_stps", "old_dirs", "prev_parameter", "prev_flat_grad", "progress", "products"].map((state) =>
          optimizer.state(name, state),
        ),
      ]),
    );
  const before = await all();
  write(device, tensors[1]!.grad, [Number.NaN]);
  optimizer.step();
  expect(bits(await all())).toEqual(bits(before));
  await run.slope();
  optimizer.step();
  expect(bits(await all())).not.toEqual(bits(before));
  end(run);
});

test("tensors that are left out have no part in the pairs of the others, and go on after", async () => {
  const { device } = watched();
  const run = await descend(device, [6, 5, 4], 3);
  const { optimizer } = run;
  const [, left] = await run.values();
  for (let t = 0; t < 4; t += 1) {
    await run.slope();
    optimizer.step({ without: ["t1"] });
  }
  expect(bits([(await run.values())[1]!])).toEqual(bits([left!]));
  await run.slope();
  optimizer.step();
  const [dirs, progress] = await read(device, [
    optimizer.state("t1", "old_dirs"),
    optimizer.state("t1", "progress"),
  ]);
  const [other] = await read(device, [optimizer.state("t0", "progress")]);
  expect([...progress!]).toEqual([...other!]);
  // Of the pairs that it had no part in nothing is left.
  const place = (pair: number) => [...dirs!.subarray((pair % 5) * 5, ((pair % 5) + 1) * 5)];
  const pairs = progress![1]!;
  expect(place(pairs - 1)).toEqual([0, 0, 0, 0, 0]);
  expect(place(pairs - 2)).toEqual([0, 0, 0, 0, 0]);
  for (let t = 0; t < 20; t += 1) {
    await run.slope();
    optimizer.step();
  }
  for (const values of await run.values()) for (const x of values) expect(Math.abs(x - 1)).toBeLessThan(1e-4);
  end(run);
});

test("two groups, and a history past its cap, are refused", async () => {
  const { device } = watched();
  const { tensors, destroy } = bowl(device, [3, 4]);
  const groups = tensors.map((tensor) => ({ parameters: [tensor] }));
  await expectError(
    () => createOptimizer(device, { rule: lbfgs(), groups }),
    "invalid-argument",
    "tensors of one group",
  );
  await expectError(
    () => createOptimizer(device, { rule: lbfgs({ memoryLimit: 0.001 }), parameters: tensors }),
    "limit-exceeded",
    "its history",
  );
  await expectError(() => lbfgs({ historySize: 513 }), "invalid-option", "historySize");
  destroy();
});

describe("where limits cut the group into batches", () => {
  const limited = useDevice({ maxStorageBufferBindingSize: 2 ** 16, maxBufferSize: 2 ** 20 });

  test("its steps are those of one batch", async () => {
    // 12 floats of each of 1 000 elements and the products come to 49 kB a tensor.
    const lengths = [1000, 1000, 1000];
    const [whole, cut] = [
      await descend(watched().device, lengths, 8),
      await descend(limited().device, lengths, 8),
    ];
    expect(cut.optimizer.state("t0", "old_dirs").buffer).not.toBe(
      cut.optimizer.state("t1", "old_dirs").buffer,
    );
    const [one, other] = [await whole.values(), await cut.values()];
    one.forEach((values, i) => {
      values.forEach((x, k) => {
        expect(Math.abs(x - other[i]![k]!)).toBeLessThan(1e-5);
      });
    });
    end(whole);
    end(cut);
  });
});
