// Rules made at run time, and through them what the engine does for rules that need more than one pass.
import { describe, expect, test } from "vitest";
import { defineRule, fraction } from "../../src/define-rule.js";
import { createArena, createOptimizer, sgd, sophia } from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { bits } from "../support/judge.js";
import { normals } from "../support/numbers.js";
import { plainRule } from "../support/plain-rule.js";

const watched = useDevice();
const UNIFORM = "@group(0) @binding(0) var<uniform> scalars: Scalars;";

/** The average of signs: one state, one hyperparameter. */
const signAverage = defineRule({
  name: "sign-average",
  wgsl: `struct Scalars { rate: f32, beta: f32, one_minus_beta: f32 }
${UNIFORM}
struct State { signs: vec4f }
fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  (*state).signs = scalars.beta * (*state).signs + scalars.one_minus_beta * sign(gradient);
  return scalars.rate * (*state).signs;
}`,
  defaults: { beta: fraction(0.5) },
  scalars: ({ beta }, _t, lr) => ({ rate: lr, beta, one_minus_beta: 1 - beta }),
});

/** Divides by the root of an average of ‖g‖², over a tensor or over all. */
const normalized = (scope: "tensor" | "all") =>
  defineRule({
    name: `normalized-${scope}`,
    wgsl: `struct Scalars { rate: f32, beta: f32 }
${UNIFORM}
struct State { last: vec4f }
struct Sums { squares: f32, first_moment: f32 }
struct Settled { norm: f32, mean: f32, steps: f32 }
fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums {
  return Sums(dot(gradient, gradient), dot(parameter, vec4f(1)));
}
fn settle(sums: Sums, settled: Settled) -> Settled {
  return Settled(scalars.beta * settled.norm + (1 - scalars.beta) * sums.squares, sums.first_moment, settled.steps + 1);
}
fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f {
  (*state).last = gradient;
  return scalars.rate * gradient / sqrt(settled.norm);
}`,
    defaults: { beta: fraction(0.75) },
    initial: () => ({ norm: 1 }),
    scope,
    scalars: ({ beta }, _t, lr) => ({ rate: lr, beta }),
  });

/** Newton's step with a diagonal that the caller hands in. */
const newton = defineRule({
  name: "newton",
  wgsl: `struct Scalars { rate: f32 }
${UNIFORM}
struct State { hessian: vec4f }
fn curvature(estimate: vec4f, state: ptr<function, State>) { (*state).hessian = 0.5 * (*state).hessian + estimate; }
fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  return scalars.rate * gradient / max((*state).hessian, vec4f(0.25));
}`,
  scalars: (_options, _t, lr) => ({ rate: lr }),
});

/** Gradient plainRule from θ₀ that keeps the mean of θ₀ and where it has come. */
const halfway = defineRule({
  name: "halfway",
  wgsl: `struct Scalars { rate: f32 }
${UNIFORM}
struct State { start: vec4f, half: vec4f }
fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  (*state).half = 0.5 * ((*state).start + parameter - scalars.rate * gradient);
  return scalars.rate * gradient;
}`,
  startsAtParameter: ["start", "half"],
  evaluate: "half",
  scalars: (_options, _t, lr) => ({ rate: lr }),
});

const tensorOf = (name: string, values: ArrayLike<number>, offset = 0) => ({
  name,
  param: upload(watched().device, values, { offset }),
  grad: upload(watched().device, new Float32Array(values.length), { offset }),
});
const free = (tensors: readonly { param: { buffer: GPUBuffer }; grad: { buffer: GPUBuffer } }[]) => {
  for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
};
const close = (got: ArrayLike<number>, expected: readonly number[], tolerance = 2e-6) => {
  expect(got.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs(got[i]! - value), `[${i}]: ${got[i]}, expected ${value}`).toBeLessThanOrEqual(
      tolerance * (1 + Math.abs(value)),
    );
  });
};

test("a rule from text takes groups, guards, averages and checkpoints", async () => {
  const { device } = watched();
  const start = normals(1, 9);
  const tensors = [tensorOf("a", start), tensorOf("b", start, 4)];
  const create = () =>
    createOptimizer(device, {
      rule: signAverage({ lr: 0.5 }),
      groups: [{ parameters: [tensors[0]!] }, { parameters: [tensors[1]!], beta: 0, weightDecay: 0.1 }],
      guards: { clipValue: 1 },
      average: { decay: 0.5 },
    });
  const optimizer = await create();
  const gradients = [normals(2, 9), normals(3, 9).fill(Number.NaN, 4, 5), normals(4, 9)];
  for (const values of gradients) {
    for (const { grad } of tensors) write(device, grad, values);
    optimizer.step();
  }
  const file = await optimizer.save();
  expect(optimizer.groups[0]!.steps).toBe(2);
  const taken = [gradients[0]!, gradients[2]!];
  const [a, b, average] = await read(device, [
    ...tensors.map(({ param }) => param),
    optimizer.state("a", "signs"),
  ]);
  const state = [...start].map(() => 0);
  const [plain, decayed] = [[...start], [...start]];
  for (const values of taken)
    values.forEach((g, i) => {
      state[i] = 0.5 * state[i]! + 0.5 * Math.sign(g);
      plain[i]! -= 0.5 * state[i]!;
      decayed[i]! -= 0.5 * Math.sign(Math.max(-1, Math.min(1, g)) + 0.1 * decayed[i]!);
    });
  close(a!, plain);
  close(b!, decayed);
  close(average!, state);
  optimizer.destroy();
  const again = await create();
  await again.load(file);
  expect(again.groups.map(({ steps }) => steps)).toEqual([2, 2]);
  const [loaded] = await read(device, [again.state("a", "signs")]);
  expect(bits(loaded!)).toEqual(bits(average!));
  again.destroy();
  free(tensors);
});

describe("rules with sums", () => {
  const shapes = { a: [3], b: [300, 31], c: [1], d: [70] };

  test.each(["tensor", "all"] as const)(
    "scope %s, in an arena, in loose buffers and cut at odd offsets",
    async (scope) => {
      const { device, counts } = watched();
      const arena = createArena(device, [shapes]);
      const loose = Object.entries(shapes).map(([name, shape], index) =>
        tensorOf(name, new Float32Array(shape.reduce((a, b) => a * b)), index % 2 ? 4 : 0),
      );
      for (const tensors of [arena.groups[0]!, loose]) {
        const initial = tensors.map(({ param }, index) => normals(10 + index, param.size / 4));
        tensors.forEach(({ param }, index) => {
          write(device, param, initial[index]!);
        });
        const optimizer = await createOptimizer(device, {
          rule: normalized(scope)({ lr: 0.1 }),
          groups: [{ parameters: tensors.slice(0, 2) }, { parameters: tensors.slice(2), beta: 0.5 }],
        });
        const expected = initial.map((values) => [...values]);
        const norms = tensors.map(() => 1);
        // Sums of the parameters as the last step found them.
        let found: number[] = [];
        for (let t = 1; t <= 3; t += 1) {
          found = expected.map((values) => values.reduce((sum, value) => sum + value, 0));
          const gradients = tensors.map(({ param }, index) => normals(100 * t + index, param.size / 4));
          tensors.forEach(({ grad }, index) => {
            write(device, grad, gradients[index]!);
          });
          const before = counts.dispatches;
          optimizer.step();
          // Of two groups in an arena: measures, two levels of sums and decision of the engine; measures, two levels of
          // sums (for all also sums of tensors and two levels of these), and what is settled, of the rule; steps.
          if (tensors === arena.groups[0])
            expect(counts.dispatches - before).toBe(2 + 2 + 1 + 2 + (scope === "all" ? 5 : 2) + 2 + 2);
          const squares = gradients.map((values) => values.reduce((sum, g) => sum + g * g, 0));
          const all = squares.reduce((sum, value) => sum + value, 0);
          tensors.forEach((_, index) => {
            const beta = index < 2 ? 0.75 : 0.5;
            norms[index] = beta * norms[index]! + (1 - beta) * (scope === "all" ? all : squares[index]!);
            gradients[index]!.forEach((g, i) => {
              expected[index]![i]! -= (0.1 * g) / Math.sqrt(norms[index]!);
            });
          });
        }
        const values = await read(
          device,
          tensors.map(({ param }) => param),
        );
        values.forEach((got, index) => {
          close(got, expected[index]!);
        });
        const settled = await read(
          device,
          tensors.flatMap(({ name }) => [optimizer.state(name, "norm"), optimizer.state(name, "steps")]),
        );
        close(
          settled.filter((_, i) => i % 2 === 0).map(([norm]) => norm!),
          norms,
          1e-5,
        );
        expect(settled.filter((_, i) => i % 2).map(([steps]) => steps)).toEqual([3, 3, 3, 3]);
        const means = await read(
          device,
          tensors.map(({ name }) => optimizer.state(name, "mean")),
        );
        const whole = found.reduce((sum, value) => sum + value, 0);
        // Hundreds of summands, rounded one by one.
        close(
          means.map(([mean]) => mean!),
          found.map((sum) => (scope === "all" ? whole : sum)),
          1e-4,
        );
        optimizer.destroy();
      }
      arena.destroy();
      free(loose);
    },
  );

  test("a skipped step settles nothing; freezing, thawing and a checkpoint keep what is settled", async () => {
    const { device } = watched();
    const tensors = ["a", "b"].map((name, index) => tensorOf(name, normals(20 + index, 40)));
    const create = () =>
      createOptimizer(device, { rule: normalized("tensor")({ lr: 0.1 }), parameters: tensors, guards: {} });
    const optimizer = await create();
    const settled = async (from = optimizer) =>
      (
        await read(
          device,
          tensors.map(({ name }) => from.state(name, "norm")),
        )
      ).map(([norm]) => norm!);
    const step = (seed: number, bad = false) => {
      tensors.forEach(({ grad }, index) => {
        const values = normals(seed + index, 40);
        write(device, grad, bad ? values.fill(Number.POSITIVE_INFINITY, 7, 8) : values);
      });
      optimizer.step();
    };
    step(30);
    const one = await settled();
    expect(one.every((norm) => norm > 1)).toBe(true);
    step(40, true);
    expect(await settled()).toEqual(one);
    await optimizer.freeze("a");
    step(50);
    const two = await settled();
    expect(two[0]).toBe(one[0]);
    expect(two[1]).not.toBe(one[1]);
    await optimizer.thaw("a");
    expect(await settled()).toEqual(two);
    const file = await optimizer.save();
    step(60);
    const after = await read(
      device,
      tensors.map(({ param }) => param),
    );
    expect(await settled()).not.toEqual(two);
    const again = await create();
    await again.load(file);
    expect(await settled(again)).toEqual(two);
    tensors.forEach(({ grad }, index) => {
      write(device, grad, normals(60 + index, 40));
    });
    again.step();
    const same = await read(
      device,
      tensors.map(({ param }) => param),
    );
    expect(same.map(bits)).toEqual(after.map(bits));
    again.destroy();
    optimizer.destroy();
    free(tensors);
  });

  test("under accumulation, telemetry and SAM's ascent the sums are of the gradients that the rule sees", async () => {
    const { device } = watched();
    const tensors = [tensorOf("a", normals(40, 300)), tensorOf("b", normals(41, 5), 4)];
    const optimizer = await createOptimizer(device, {
      rule: normalized("all")({ lr: 0.1, beta: 0 }),
      parameters: tensors,
      accumulation: true,
      // All three: the norm by which the rule divides is that of clipped gradients.
      guards: { clipValue: 0.5, clipNorm: 1.5, clipGlobalNorm: 1 },
      telemetry: {},
      sam: { rho: 0.1 },
    });
    const set = (seed: number) =>
      tensors.map(({ grad, param }, index) => {
        const values = normals(seed + index, param.size / 4);
        write(device, grad, values);
        return values;
      });
    const clip = (g: number) => Math.max(-0.5, Math.min(0.5, g));
    const expected = [
      ...(await read(
        device,
        tensors.map(({ param }) => param),
      )),
    ].map((values) => [...values]);
    let found = 0;
    for (let t = 1; t <= 4; t += 1) {
      found = expected.flat().reduce((sum, value) => sum + value, 0);
      set(100 * t);
      optimizer.ascend();
      let parts = [set(100 * t + 10)];
      // Every other step accumulates.
      if (t % 2 === 0) {
        optimizer.accumulate({ samples: 1 });
        parts = [...parts, set(100 * t + 20)];
        optimizer.accumulate({ samples: 3 });
      }
      optimizer.step();
      const seen = tensors.map((_, index) => {
        const values = parts[0]![index]!.map((g, i) =>
          clip(parts[1] ? 0.25 * g + 0.75 * parts[1][index]![i]! : g),
        );
        const factor = Math.min(1, 1.5 / (Math.hypot(...values) + 1e-6));
        return values.map((g) => factor * g);
      });
      const norm = Math.sqrt(
        seen.reduce((sum, values) => sum + values.reduce((all, g) => all + g * g, 0), 0),
      );
      seen.forEach((values, index) => {
        values.forEach((g, i) => {
          expected[index]![i]! -= (0.1 * g) / norm;
        });
      });
    }
    const values = await read(
      device,
      tensors.map(({ param }) => param),
    );
    values.forEach((got, index) => {
      close(got, expected[index]!);
    });
    // The parameters that the rule sees are those before the ascent.
    const means = await read(
      device,
      tensors.map(({ name }) => optimizer.state(name, "mean")),
    );
    close(
      means.map(([mean]) => mean!),
      [found, found],
      1e-5,
    );
    await optimizer.settled();
    optimizer.destroy();
    free(tensors);
  });

  test("sums over all leave out tensors of another rule", async () => {
    const { device } = watched();
    const tensors = ["a", "b"].map((name, index) => tensorOf(name, normals(index, 9)));
    const optimizer = await createOptimizer(device, {
      groups: [
        { parameters: tensors.slice(0, 1), rule: normalized("all")({ beta: 0 }) },
        { parameters: tensors.slice(1), rule: normalized("tensor")({ beta: 0 }) },
      ],
    });
    for (const { grad } of tensors) write(device, grad, new Float32Array(9).fill(2));
    optimizer.step();
    const norms = await read(
      device,
      tensors.map(({ name }) => optimizer.state(name, "norm")),
    );
    expect(norms.map(([norm]) => norm)).toEqual([36, 36]);
    optimizer.destroy();
    free(tensors);
  });

  test("such a group joins an optimizer with guards, and is refused without", async () => {
    const { device } = watched();
    const tensors = ["a", "b"].map((name) => tensorOf(name, normals(5, 12)));
    for (const guards of [undefined, {}]) {
      const optimizer = await createOptimizer(device, {
        rule: sgd({ lr: 0.1 }),
        parameters: [tensors[0]!],
        ...(guards && { guards }),
      });
      const joins = optimizer.addGroup({ rule: normalized("all")(), parameters: [tensors[1]!] });
      if (guards) {
        await joins;
        for (const { grad } of tensors) write(device, grad, normals(6, 12));
        optimizer.step();
        // The sum is over tensors of this rule alone.
        const [[norm]] = (await read(device, [optimizer.state("b", "norm")])) as [Float32Array];
        const squares = normals(6, 12).reduce((sum, g) => sum + g * g, 0);
        close([norm!], [0.75 + 0.25 * squares]);
      } else await expectError(() => joins, "invalid-argument");
      optimizer.destroy();
    }
    free(tensors);
  });
});

test("an estimate of curvature moves the state and nothing else; what is not finite is left out", async () => {
  const { device } = watched();
  const tensor = tensorOf("x", [1, 2, 3, 4, 5]);
  const optimizer = await createOptimizer(device, { rule: newton({ lr: 1 }), parameters: [tensor] });
  for (const estimate of [
    [2, 4, 8, 0, 1],
    [1, Number.NaN, Number.POSITIVE_INFINITY, 0, 1],
  ]) {
    write(device, tensor.grad, estimate);
    optimizer.curvature();
  }
  write(device, tensor.grad, [1, 1, 1, 1, 1]);
  expect(optimizer.groups[0]!.steps).toBe(0);
  optimizer.step();
  const [x, hessian] = await read(device, [tensor.param, optimizer.state("x", "hessian")]);
  expect([...hessian!]).toEqual([2, 4, 8, 0, 1.5]);
  close(x!, [0.5, 1.75, 2.875, 0, 5 - 1 / 1.5]);
  const plain = await createOptimizer(device, { rule: sgd(), parameters: [tensor] });
  expect(() => plain.curvature()).toThrow(/curvature/);
  plain.destroy();
  optimizer.destroy();
  free([tensor]);
});

test("an estimate of curvature goes by the group's own scalars, wherever it lies, and past frozen tensors", async () => {
  const { device } = watched();
  const decays = [0.75, 0.5];
  const length = 37;
  const tensors = ["a", "b", "c", "d"].map((name, index) => ({
    name,
    param: upload(device, normals(index, length), { offset: 4 * index }),
    grad: upload(device, new Float32Array(length), { offset: 4 * (5 - index) }),
  }));
  const optimizer = await createOptimizer(device, {
    groups: [
      { parameters: tensors.slice(0, 1), rule: sophia({ beta2: decays[0]! }) },
      { parameters: tensors.slice(1, 3), rule: sophia({ beta2: decays[1]! }) },
      // One that takes no estimate.
      { parameters: tensors.slice(3), rule: sgd() },
    ],
    average: { decay: 0.5 },
  });
  await optimizer.freeze("c");
  const expected = tensors.map(() => new Float64Array(length));
  // More often than there are slots, so that each is some call's.
  for (let t = 0; t < 5; t += 1) {
    tensors.forEach(({ grad }, index) => {
      const estimate = normals(10 * t + index, length);
      write(device, grad, estimate);
      const decay = decays[index];
      estimate.forEach((value, i) => {
        if (decay !== undefined) expected[index]![i] = decay * expected[index]![i]! + (1 - decay) * value;
      });
    });
    optimizer.curvature();
  }
  const got = await read(
    device,
    ["a", "b", "c"].map((name) => optimizer.state(name, "hessian")),
  );
  optimizer.step();
  optimizer.swapAverage();
  expect(() => optimizer.curvature()).toThrow(/average/);
  got.forEach((values, index) => {
    close(values, [...expected[index]!]);
  });
  optimizer.destroy();
  free(tensors);
});

test("states that begin at the parameter, and evaluation elsewhere", async () => {
  const { device } = watched();
  const tensors = ["x", "y"].map((name) => tensorOf(name, new Float32Array(6)));
  const optimizer = await createOptimizer(device, { rule: halfway({ lr: 1 }), parameters: [tensors[0]!] });
  // Weights that are written after the optimizer was made.
  const start = normals(7, 6);
  for (const { param } of tensors) write(device, param, start);
  expect(() => optimizer.swapAverage()).toThrow(/no average/);
  for (const { grad } of tensors) write(device, grad, new Float32Array(6).fill(1));
  optimizer.step();
  await optimizer.addParameters(optimizer.groups[0]!, [tensors[1]!]);
  optimizer.step();
  const trained = await read(
    device,
    tensors.map(({ param }) => param),
  );
  optimizer.swapAverage();
  expect(() => optimizer.step()).toThrow(/average/);
  const evaluated = await read(
    device,
    tensors.map(({ param }) => param),
  );
  close(
    evaluated[0]!,
    [...start].map((value) => value - 1),
  );
  close(
    evaluated[1]!,
    [...start].map((value) => value - 0.5),
  );
  optimizer.swapAverage();
  const back = await read(
    device,
    tensors.map(({ param }) => param),
  );
  expect(back.map(bits)).toEqual(trained.map(bits));
  optimizer.destroy();
  free(tensors);
});

test("frozen tensors are evaluated at what the rule names, too; an average goes before it", async () => {
  const { device } = watched();
  const tensors = ["x", "y"].map((name) => tensorOf(name, [4, 8, 12]));
  const run = async (options: object) => {
    for (const { param, grad } of tensors) {
      write(device, param, [4, 8, 12]);
      write(device, grad, [1, 1, 1]);
    }
    const optimizer = await createOptimizer(device, {
      rule: halfway({ lr: 1 }),
      parameters: tensors,
      ...options,
    });
    optimizer.step();
    await optimizer.freeze("y");
    optimizer.step();
    optimizer.swapAverage();
    const evaluated = await read(
      device,
      tensors.map(({ param }) => param),
    );
    optimizer.destroy();
    return evaluated.map((values) => [...values]);
  };
  expect(await run({})).toEqual([
    [3, 7, 11],
    [3.5, 7.5, 11.5],
  ]);
  // 4 → 3 → 2; the average begins with the first step.
  expect(await run({ average: { decay: 0.75 } })).toEqual([
    [2.75, 6.75, 10.75],
    [3, 7, 11],
  ]);
  free(tensors);
});

test("copies begin at the parameters, not at the point of a look-ahead", async () => {
  const { device } = watched();
  const ahead = defineRule({
    name: "ahead",
    wgsl: `struct Scalars { rate: f32 }
${UNIFORM}
struct State { start: vec4f }
fn lookahead(parameter: vec4f, state: State) -> vec4f { return parameter + 1; }
fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
  return scalars.rate * gradient;
}`,
    startsAtParameter: ["start"],
    scalars: (_options, _t, lr) => ({ rate: lr }),
  });
  const tensor = tensorOf("x", [1, 2, 3]);
  const optimizer = await createOptimizer(device, { rule: ahead({ lr: 1 }), parameters: [tensor] });
  optimizer.lookahead();
  const [point] = await read(device, [tensor.param]);
  expect([...point!]).toEqual([2, 3, 4]);
  optimizer.step();
  const [x, start] = await read(device, [tensor.param, optimizer.state("x", "start")]);
  expect([...x!, ...start!]).toEqual([1, 2, 3, 1, 2, 3]);
  optimizer.destroy();
  free([tensor]);
});

test.each([
  ["coupled", (parameter: number) => parameter - 0.5 * (1 + 0.25 * parameter)],
  ["decoupled", (parameter: number) => 0.75 * parameter - 0.5],
  ["independent", (parameter: number) => 0.75 * parameter - 0.5],
  ["proximal", (parameter: number) => (parameter - 0.5) / (1 + 0.5 * 0.25)],
] as const)("a rule with a decay of its own leaves other styles to the engine: %s", async (decay, after) => {
  const ownDecay = defineRule({
    wgsl: `struct Scalars { rate: f32, decay: f32 }
${UNIFORM}
fn update(parameter: vec4f, gradient: vec4f) -> vec4f { return scalars.rate * gradient + scalars.decay * parameter; }`,
    ownDecay: true,
    // Of another size than the engine's, so that neither passes for the other.
    scalars: ({ decay, weightDecay }, _t, lr) => ({
      rate: lr,
      decay: decay === "decoupled" ? weightDecay : 0,
    }),
  });
  const tensor = tensorOf("a", [1, -2, 3]);
  write(watched().device, tensor.grad, [1, 1, 1]);
  const optimizer = await createOptimizer(watched().device, {
    rule: ownDecay({ lr: 0.5, weightDecay: 0.25, decay }),
    parameters: [tensor],
  });
  optimizer.step();
  const [stepped] = await read(watched().device, [tensor.param]);
  close(stepped!, [1, -2, 3].map(after));
  optimizer.destroy();
  free([tensor]);
});

test("scalars that fail in mid-run are named", async () => {
  const { device } = watched();
  const tensor = tensorOf("x", [1]);
  const rule = defineRule({
    ...plainRule,
    wgsl: plainRule.wgsl.replaceAll("rate", "step_size"),
    scalars: (_: unknown, t: number, lr: number) => (t === 1 ? { step_size: lr } : (undefined as never)),
  });
  const optimizer = await createOptimizer(device, { rule: rule(), parameters: [tensor] });
  optimizer.step();
  await expectError(() => optimizer.step(), "invalid-option", "'step_size'");
  optimizer.destroy();
  free([tensor]);
});

test("what only the compiler finds comes with line and column", async () => {
  const { device } = watched();
  const tensor = tensorOf("x", [1]);
  const rule = defineRule({
    ...plainRule,
    wgsl: plainRule.wgsl.replace("scalars.rate *", "scalars.rate * missing *"),
  });
  await expect(createOptimizer(device, { rule: rule(), parameters: [tensor] })).rejects.toThrow(
    /plain\.wgsl:3:\d+: error: unresolved value 'missing'/,
  );
  free([tensor]);
});
