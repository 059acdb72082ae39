// Rules with passes over whole tensors: what the engine does for them, and the adaptive natural gradient.
import { describe, expect, test } from "vitest";
import { defineRule } from "../../src/define-rule.js";
import { angd, createArena, createOptimizer, fromTextbook, type Rule, sgd } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { normals } from "../support/numbers.js";
import { bits } from "../support/tensors.js";

const watched = useDevice();

const destroy = (tensors: readonly { param: { buffer: GPUBuffer }; grad: { buffer: GPUBuffer } }[]) => {
  for (const { param, grad } of tensors) {
    param.buffer.destroy();
    grad.buffer.destroy();
  }
};
const tensorsOf = (device: GPUDevice, shapes: readonly (readonly number[])[]) =>
  shapes.map((shape, index) => {
    const count = shape.reduce((a, b) => a * b, 1);
    return {
      name: `t${index}`,
      shape,
      param: upload(device, normals(900 + index, count)),
      grad: upload(device, new Float32Array(count)),
    };
  });

/** The inverse of a symmetric matrix by elimination, in float64. */
function inverse(matrix: readonly (readonly number[])[]): number[][] {
  const n = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...Array.from({ length: n }, (_, k) => Number(i === k))]);
  for (let i = 0; i < n; i += 1) {
    const pivot = rows[i]!;
    const by = pivot[i]!;
    for (let k = 0; k < 2 * n; k += 1) pivot[k]! /= by;
    rows.forEach((row, other) => {
      if (other === i) return;
      const factor = row[i]!;
      for (let k = 0; k < 2 * n; k += 1) row[k]! -= factor * pivot[k]!;
    });
  }
  return rows.map((row) => row.slice(n));
}

describe("the adaptive natural gradient", () => {
  const n = 64;
  const STEPS = 200;

  test.each([
    ["a slow adaptation", { delta: 1e-6 }, 0],
    ["a fast one", { delta: 0.02 }, 0],
    ["a mean over all steps", { delta: 0.5, adaptation: "inverse" }, 0],
    ["outputs", { delta: 0.01, outputs: 3 }, 0],
    ["damping", { delta: 0.02, damping: 0.3 }, 0.3],
  ] as const)("%s: the inverse is that of the estimate after 200 steps", async (_, options, damping) => {
    const { device } = watched();
    const [x] = tensorsOf(device, [[n]]);
    const optimizer = await createOptimizer(device, {
      rule: angd({ ...options, lr: 1e-3 }),
      parameters: [x!],
    });
    let fisher = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, k) => Number(i === k)));
    const count = "outputs" in options ? options.outputs : 0;
    for (let t = 1; t <= STEPS; t += 1) {
      const vectors = Array.from({ length: Math.max(count, 1) }, (_, output) =>
        normals(10_000 * output + t, n),
      );
      write(device, x!.grad, count > 0 ? normals(77_000 + t, n) : vectors[0]!);
      optimizer.step();
      for (const vector of count > 0 ? vectors : []) {
        write(device, x!.grad, vector);
        optimizer.outputGradient();
      }
      const delta = "adaptation" in options ? options.delta / t : options.delta;
      fisher = fisher.map((row, i) =>
        row.map((value, k) => {
          const outer = vectors.reduce((sum, vector) => sum + vector[i]! * vector[k]!, 0);
          const turn =
            i === k && i === Math.floor((((t - 1) * 0.6180339887498949) % 1) * n) ? damping * n : 0;
          return (1 - delta) * value + delta * (outer + turn);
        }),
      );
    }
    const [got] = await read(device, [optimizer.state("t0", "inverse_fisher")]);
    const wanted = inverse(fisher).flat();
    const scale = Math.max(...wanted.map(Math.abs));
    const far = wanted.reduce((most, value, i) => Math.max(most, Math.abs(got![i]! - value)), 0);
    expect(far / scale).toBeLessThan(1e-4);
    // Symmetric to the last bit.
    const transposed = Float32Array.from(got!, (_, i) => got![(i % n) * n + Math.floor(i / n)]!);
    expect(bits([transposed])).toEqual(bits([got!]));
    optimizer.destroy();
    destroy([x!]);
  });

  test("needs a tenth of the steps of gradient descent where curvatures are from 1 to 10 000", async () => {
    const { device } = watched();
    const length = 8;
    // ½‖Ax‖² with outputs Ax, whose curvatures are 1 to 1e4 in directions that are no axes: x₂ᵢ ± x₂ᵢ₊₁.
    const rows = Array.from({ length }, (_, c) =>
      Array.from({ length }, (_, k) => {
        const even = c - (c % 2);
        const size = Math.sqrt(10 ** ((4 * c) / (length - 1)) / 2);
        return k === even ? size : k === even + 1 ? (c % 2 ? -size : size) : 0;
      }),
    );
    const outputs = (x: ArrayLike<number>) =>
      rows.map((row) => row.reduce((sum, value, k) => sum + value * x[k]!, 0));
    const loss = (x: ArrayLike<number>) => outputs(x).reduce((sum, y) => sum + 0.5 * y * y, 0);
    const gradient = (x: ArrayLike<number>) => {
      const y = outputs(x);
      return rows[0]!.map((_, k) => rows.reduce((sum, row, c) => sum + y[c]! * row[k]!, 0));
    };
    const start = Float32Array.from({ length }, (_, i) => (i % 2 === 0 ? 1 : 0.5));
    const wanted = 1e-4 * loss(start);
    // The best constant rate is 2/(smallest + largest curvature).
    let descent = 0;
    for (let x = [...start]; loss(x) > wanted; descent += 1) {
      const slope = gradient(x);
      x = x.map((value, k) => value - (2 / 10_001) * slope[k]!);
    }
    const param = upload(device, start);
    const grad = upload(device, start);
    const optimizer = await createOptimizer(device, {
      rule: angd({ lr: 0.2, delta: 0.1, outputs: length, start: 1e-3 }),
      parameters: [{ name: "x", param, grad }],
    });
    let natural = 0;
    for (let x: Float32Array = start; loss(x) > wanted && natural < 2000; natural += 1) {
      write(device, grad, gradient(x));
      optimizer.step();
      for (const row of rows) {
        write(device, grad, row);
        optimizer.outputGradient();
      }
      [x = start] = await read(device, [param]);
    }
    expect(descent).toBeGreaterThan(1000);
    expect(natural).toBeLessThanOrEqual(descent / 10);
    optimizer.destroy();
    param.buffer.destroy();
    grad.buffer.destroy();
  });

  test("is what the textbook's name says", () => {
    expect(fromTextbook("angd", { lr: 0.05, delta: 0.02 }).options).toMatchObject({
      delta: 0.02,
      outputs: 1,
    });
  });

  test("stays finite and goes down under gradients of any size", async () => {
    const { device } = watched();
    const [x] = tensorsOf(device, [[40]]);
    const optimizer = await createOptimizer(device, {
      rule: angd({ lr: 1e-3, delta: 0.05, block: 16 }),
      parameters: [x!],
    });
    for (let t = 1; t <= 60; t += 1) {
      const size = [1, 1e18, 1e-30, 1e30, 1e9][t % 5]!;
      write(
        device,
        x!.grad,
        normals(t % 4, 40).map((value) => value * size),
      );
      optimizer.step();
    }
    const [values, matrix] = await read(device, [x!.param, optimizer.state("t0", "inverse_fisher")]);
    expect([...values!, ...matrix!].every(Number.isFinite)).toBe(true);
    for (let tile = 0; tile < 3; tile += 1)
      for (let k = 0; k < (tile < 2 ? 16 : 8); k += 1)
        expect(matrix![tile * 256 + 17 * k]).toBeGreaterThan(0);
    optimizer.destroy();
    destroy([x!]);
  });
});

describe("gradients of outputs", () => {
  const create = async (options: object = {}) => {
    const { device } = watched();
    const tensors = tensorsOf(device, [[5, 3], [7]]);
    const optimizer = await createOptimizer(device, {
      rule: angd({ delta: 0.1, outputs: 2, block: 8 }),
      parameters: tensors,
      ...options,
    });
    for (const { grad, param } of tensors) write(device, grad, normals(5, param.size / 4));
    return { device, tensors, optimizer };
  };
  const end = ({ tensors, optimizer }: Awaited<ReturnType<typeof create>>) => {
    optimizer.destroy();
    destroy(tensors);
  };

  test("come in the number that the rule was made for, or not at all", async () => {
    const made = await create();
    const { optimizer } = made;
    optimizer.step();
    optimizer.outputGradient();
    await expectError(() => optimizer.step(), "invalid-argument", "another number of outputs");
    await expectError(() => optimizer.save(), "invalid-argument", "another number of outputs");
    optimizer.outputGradient();
    await expectError(() => optimizer.outputGradient(), "invalid-argument", "one more");
    optimizer.step();
    optimizer.step();
    end(made);
    const { device } = watched();
    const [x] = tensorsOf(device, [[4]]);
    for (const rule of [sgd(), angd()]) {
      const other = await createOptimizer(device, { rule, parameters: [x!] });
      await expectError(() => other.outputGradient(), "invalid-argument", "takes no gradients of outputs");
      other.destroy();
    }
    destroy([x!]);
  });

  test("on an encoder that is given up were never handed over", async () => {
    const made = await create();
    const { device, optimizer } = made;
    optimizer.step();
    optimizer.outputGradient(device.createCommandEncoder());
    optimizer.abandon();
    optimizer.outputGradient();
    optimizer.outputGradient();
    optimizer.step();
    end(made);
  });

  test("that are not finite change nothing", async () => {
    const made = await create({ guards: {} });
    const { device, optimizer, tensors } = made;
    optimizer.step();
    const state = () =>
      read(
        device,
        tensors.map(({ name }) => optimizer.state(name, "inverse_fisher")),
      );
    const before = await state();
    write(device, tensors[0]!.grad, [Number.NaN, ...normals(1, 14)]);
    write(device, tensors[1]!.grad, [Number.POSITIVE_INFINITY, ...normals(1, 6)]);
    optimizer.outputGradient();
    const after = await state();
    // The tile beside the one with the NaN takes its own part.
    expect(bits([after[0]!.slice(0, 64)])).toEqual(bits([before[0]!.slice(0, 64)]));
    expect(bits([after[0]!.slice(64)])).not.toEqual(bits([before[0]!.slice(64)]));
    expect(bits([after[1]!])).toEqual(bits([before[1]!]));
    end(made);
  });
});

/** Centres each row, and keeps how often it did. */
const centred = defineRule({
  name: "centred",
  wgsl: `struct Scalars { rate: f32, beta: f32, one_minus_beta: f32 }
struct State { exp_avg: vec4f }
fn direct(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  (*state).exp_avg = averaged((*state).exp_avg, gradient, scalars.beta, scalars.one_minus_beta);
  return (*state).exp_avg;
}
fn update(parameter: vec4f, gradient: vec4f) -> vec4f { return scalars.rate * gradient; }`,
  defaults: { beta: 0.5 },
  whole: {
    wgsl: `struct Tensor { first: u32, rows: u32, columns: u32, count: u32, times: u32, means: u32 }
fn find(tensor: Tensor, work: u32, lane: u32) {
  let row = work * 64u + lane;
  if (row >= tensor.rows) { return; }
  var sum = 0.0;
  for (var k = 0u; k < tensor.columns; k++) { sum += directions[tensor.first + row * tensor.columns + k]; }
  scratch[tensor.means + row] = vec4f(sum / f32(tensor.columns));
  kept[tensor.times + row] += 1.0;
}
fn take(tensor: Tensor, work: u32, lane: u32, round: u32) {
  let i = work * 64u + lane;
  if (i < tensor.count && round == 3u) { directions[tensor.first + i] -= scratch[tensor.means + i / tensor.columns].x; }
}`,
    shaped: true,
    refuse: (shape) => (shape.length < 2 ? "a matrix" : undefined),
    kept: ({ rows }) => ({ times: [rows] }),
    scratch: ({ rows }) => ({ means: rows }),
    passes: () => [
      { run: "find", workgroups: ({ rows }) => Math.ceil(rows / 64) },
      { run: "take", round: 3, workgroups: ({ count }) => Math.ceil(count / 64) },
    ],
  },
});

describe("a rule of the caller's with passes over whole tensors", () => {
  const shapes = [
    [3, 5],
    [70, 2],
    [4, 4],
  ];
  const centre = (values: Float32Array, columns: number) =>
    values.map((value, i) => {
      const row = values.slice(Math.floor(i / columns) * columns, (Math.floor(i / columns) + 1) * columns);
      return value - row.reduce((a, b) => a + b, 0) / columns;
    });

  test.each([
    ["plain", {}],
    ["guarded, by tensor and reported", { guards: { clipNorm: 1e6 }, telemetry: { perTensor: true } }],
    ["with what f32 loses", { compensated: true }],
  ])("%s: steps along what the passes leave, and keeps their arrays", async (_, options) => {
    const { device, counts } = watched();
    const tensors = tensorsOf(device, shapes);
    const starts = await read(
      device,
      tensors.map(({ param }) => param),
    );
    const optimizer = await createOptimizer(device, {
      rule: centred({ lr: 0.5 }),
      parameters: tensors,
      ...options,
    });
    const gradients = tensors.map(({ param }, index) => normals(40 + index, param.size / 4));
    tensors.forEach(({ grad }, index) => {
      write(device, grad, gradients[index]!);
    });
    optimizer.step();
    const before = { ...counts };
    optimizer.step();
    expect(counts.buffers - before.buffers).toBe(0);
    expect(counts.bindGroups - before.bindGroups).toBe(0);
    const values = await read(
      device,
      tensors.map(({ param }) => param),
    );
    const times = await read(
      device,
      tensors.map(({ name }) => optimizer.state(name, "times")),
    );
    tensors.forEach(({ shape }, index) => {
      const directions = centre(gradients[index]!, shape[1]!);
      values[index]!.forEach((value, i) => {
        // Averages of 1/2 and 3/4 of the gradient.
        expect(value).toBeCloseTo(starts[index]![i]! - 0.5 * 1.25 * directions[i]!, 5);
      });
      expect([...times[index]!]).toEqual(new Array(shape[0]).fill(2));
    });
    optimizer.destroy();
    destroy(tensors);
  });

  test("a skipped step leaves no trace, and tensors that are left out keep theirs", async () => {
    const { device } = watched();
    const tensors = tensorsOf(device, shapes);
    const optimizer = await createOptimizer(device, {
      rule: centred(),
      parameters: tensors,
      guards: { nonFinite: "skip" },
    });
    const all = () =>
      read(
        device,
        tensors.flatMap(({ name, param }) => [
          param,
          optimizer.state(name, "times"),
          optimizer.state(name, "exp_avg"),
        ]),
      );
    for (const { grad, param } of tensors) write(device, grad, normals(3, param.size / 4));
    optimizer.step();
    const before = await all();
    write(device, tensors[1]!.grad, [Number.NaN]);
    optimizer.step();
    expect(bits(await all())).toEqual(bits(before));
    write(device, tensors[1]!.grad, [1]);
    optimizer.step({ without: ["t0"] });
    const after = await all();
    expect(bits(after.slice(0, 3))).toEqual(bits(before.slice(0, 3)));
    expect([...after[4]!]).toEqual(new Array(70).fill(2));
    optimizer.destroy();
    destroy(tensors);
  });

  test("goes on from a checkpoint with the same bits, arrays under their shapes", async () => {
    const { device } = watched();
    const tensors = tensorsOf(device, shapes);
    const create = () =>
      createOptimizer(device, { rule: angd({ delta: 0.05, block: 6 }), parameters: tensors });
    const run = async (optimizer: Awaited<ReturnType<typeof create>>, from: number, to: number) => {
      for (let t = from; t < to; t += 1) {
        tensors.forEach(({ grad, param }, index) => {
          write(device, grad, normals(100 * t + index, param.size / 4));
        });
        optimizer.step();
      }
      return read(
        device,
        tensors.flatMap(({ name, param }) => [param, optimizer.state(name, "inverse_fisher")]),
      );
    };
    const first = await create();
    await run(first, 0, 3);
    const file = await first.save();
    const header = new TextDecoder().decode(file.subarray(8, 4000));
    expect(header).toContain('"t0.inverse_fisher":{"dtype":"F32","shape":[3,6,6]');
    const wanted = await run(first, 3, 6);
    first.destroy();
    const second = await create();
    await second.load(file);
    expect(bits(await run(second, 3, 6))).toEqual(bits(wanted));
    second.destroy();
    // Passes of another kind were made for the gradients of outputs.
    const other = await createOptimizer(device, {
      rule: angd({ delta: 0.05, block: 6, outputs: 2 }),
      parameters: tensors,
    });
    await expectError(() => other.load(file, { hyperparameters: "file" }), "invalid-checkpoint", "compiled");
    other.destroy();
    destroy(tensors);
  });

  test("takes as many dispatches for a thousand tensors as for one, over an arena and apart", async () => {
    const { device, counts } = watched();
    const dispatches = async (many: number, arena: boolean) => {
      const shape = [4, 16];
      const names = Object.fromEntries(Array.from({ length: many }, (_, index) => [`t${index}`, shape]));
      const one = createArena(device, [names]);
      const optimizer = await createOptimizer(device, {
        rule: centred(),
        parameters: arena
          ? one.groups[0]!
          : one.groups[0]!.map((tensor) => ({ ...tensor, param: { ...tensor.param, padding: 0 } })),
      });
      const before = counts.dispatches;
      optimizer.step();
      const taken = counts.dispatches - before;
      optimizer.destroy();
      one.destroy();
      return taken;
    };
    expect(await dispatches(1, true)).toBe(4);
    expect(await dispatches(1000, true)).toBe(4);
  });

  test("refuses what it cannot take before there is any memory", async () => {
    const { device, counts } = watched();
    const tensors = tensorsOf(device, [[6], [2, 3], [0, 3]]);
    const before = counts.buffers;
    const create = (parameters: readonly object[], rule: Rule = centred()) =>
      createOptimizer(device, { rule, parameters: parameters as never });
    const [vector, matrix, nothing] = tensors;
    await expectError(() => create([vector!]), "invalid-argument", "expected a matrix");
    await expectError(
      () => create([{ ...matrix!, shape: undefined }]),
      "invalid-argument",
      "expected a shape",
    );
    await expectError(() => create([nothing!]), "invalid-argument", "no dimension of 0");
    await expectError(
      () => create([vector!], angd({ memoryLimit: 1e-5 })),
      "limit-exceeded",
      "would keep too much",
    );
    expect(counts.buffers).toBe(before);
    const optimizer = await create([vector!], angd());
    for (const options of [{ block: 8 }, { outputs: 1 }, { damping: 1 }])
      await expectError(() => optimizer.groups[0]!.set(options as never), "invalid-option", "after creation");
    optimizer.destroy();
    await expectError(
      () => defineRule({ wgsl: "", whole: { wgsl: "struct Tensor { first: u32 }", passes: () => [] } }),
      "invalid-shader",
    );
    destroy(tensors);
  });
});

describe("under lower limits", () => {
  const cut = useDevice({
    maxStorageBufferBindingSize: 4096,
    maxBufferSize: 8192,
    maxComputeWorkgroupsPerDimension: 3,
  });

  test("batches give the bits of the whole", async () => {
    const results = [];
    for (const { device, counts } of [watched(), cut()]) {
      const tensors = tensorsOf(
        device,
        Array.from({ length: 9 }, (_, index) => [20 + index, 9]),
      );
      const optimizer = await createOptimizer(device, {
        rule: angd({ delta: 0.05, block: 4 }),
        parameters: tensors,
        stepsInFlight: 4,
      });
      const before = counts.dispatches;
      for (let t = 0; t < 3; t += 1) {
        tensors.forEach(({ grad, param }, index) => {
          write(device, grad, normals(100 * t + index, param.size / 4));
        });
        optimizer.step();
      }
      results.push({
        dispatches: counts.dispatches - before,
        values: await read(
          device,
          tensors.flatMap(({ name, param }) => [param, optimizer.state(name, "inverse_fisher")]),
        ),
      });
      optimizer.destroy();
      destroy(tensors);
    }
    const [all, some] = results;
    expect(some!.dispatches).toBeGreaterThan(all!.dispatches);
    expect(bits(some!.values)).toEqual(bits(all!.values));
  });
});
