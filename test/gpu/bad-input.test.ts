// Wrong input: a typed error before any GPU work, and nothing changed.
import { describe, expect, test } from "vitest";
import {
  adam,
  type BufferRange,
  createArena,
  createOptimizer,
  momentum,
  nesterovLookahead,
  type OptimErrorCode,
  type Optimizer,
  type OptimizerOptions,
  type Parameter,
  rules,
  type Schedule,
} from "../../src/index.js";
import { read, upload } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

/** Runs what must fail and checks that it made nothing. */
async function refused(run: () => unknown, code: OptimErrorCode, part?: string | RegExp) {
  const { counts, live } = watched();
  const [before, alive] = [{ ...counts }, live.size];
  const error = await expectError(run, code, part);
  expect(error.details.expected, error.message).toBeTruthy();
  expect(counts, "something was made before the error").toEqual(before);
  expect(live.size).toBe(alive);
}

/** A creation from untyped options, as JavaScript would pass them. */
const create = (options: unknown) => createOptimizer(watched().device, options as OptimizerOptions);

describe("parameters", () => {
  type Wrong = readonly [
    what: string,
    make: (good: TestTensor, other: TestTensor) => unknown,
    code: OptimErrorCode,
    part: string | RegExp,
  ];
  const range = ({ buffer }: BufferRange, offset: number, size: number, padding = 0) => ({
    buffer,
    offset,
    size,
    padding,
  });
  const wrong: readonly Wrong[] = [
    ["no list", () => undefined, "invalid-argument", "There are no parameters"],
    ["a record for a list", (good) => ({ x: good }), "invalid-argument", "There are no parameters"],
    ["an empty name", (good) => [{ ...good, name: "" }], "invalid-argument", "has no name"],
    ["no name", ({ param, grad }) => [{ param, grad }], "invalid-argument", "has no name"],
    ["a duplicate name", (good, other) => [good, { ...other, name: "x" }], "duplicate-name", "'x' twice"],
    ["no buffer", (good) => [{ ...good, param: undefined }], "invalid-buffer", "not a GPUBuffer"],
    ["null for a buffer", (good) => [{ ...good, grad: null }], "invalid-buffer", "Gradient of 'x'"],
    [
      "an array for a buffer",
      (good) => [{ ...good, param: new Float32Array(8) }],
      "invalid-buffer",
      "not a GPUBuffer",
    ],
    [
      "a range without a buffer",
      (good) => [{ ...good, grad: { buffer: {}, offset: 0, size: 4 } }],
      "invalid-buffer",
      "not a GPUBuffer",
    ],
    [
      "an offset of 2",
      (good) => [{ ...good, param: range(good.param, 2, 8) }],
      "invalid-buffer",
      "wrong offset",
    ],
    [
      "a negative offset",
      (good) => [{ ...good, param: range(good.param, -4, 8) }],
      "invalid-buffer",
      "got -4",
    ],
    [
      "an offset of NaN",
      (good) => [{ ...good, param: range(good.param, Number.NaN, 8) }],
      "invalid-buffer",
      "got NaN",
    ],
    ["a size of 6", (good) => [{ ...good, param: range(good.param, 0, 6) }], "invalid-buffer", "wrong size"],
    [
      "a padding of 3",
      (good) => [{ ...good, grad: range(good.grad, 0, 32, 3) }],
      "invalid-buffer",
      "wrong padding",
    ],
    [
      "a range past its buffer",
      (good) => [{ ...good, param: range(good.param, 48, 20) }],
      "invalid-buffer",
      "ends outside its buffer",
    ],
    [
      "a padding past its buffer",
      (good) => [{ ...good, param: range(good.param, 48, 16, 4) }],
      "invalid-buffer",
      "padding 4",
    ],
    [
      "a gradient shorter than its parameter",
      (good) => [{ ...good, grad: range(good.grad, 0, 28) }],
      "invalid-buffer",
      "expected at least 32 bytes, got 28 bytes",
    ],
    [
      "a parameter shorter than its shape",
      (good) => [{ ...good, shape: [3, 3] }],
      "invalid-buffer",
      "36 bytes for shape [3, 3]",
    ],
    [
      "a shape of no lengths",
      (good) => [{ ...good, shape: [1.5] }],
      "invalid-argument",
      "not a list of lengths",
    ],
    ["a number for a shape", (good) => [{ ...good, shape: 8 }], "invalid-argument", "got 8"],
    [
      "parameter and gradient in one buffer",
      (good) => [{ ...good, param: range(good.param, 0, 16), grad: range(good.param, 32, 16) }],
      "aliased-buffers",
      "share a GPUBuffer",
    ],
    [
      "the same parameter twice",
      (good, other) => [good, { ...other, param: good.param }],
      "aliased-buffers",
      "parameters of 'x' and 'y' overlap",
    ],
    [
      "overlapping parameters",
      (good, other) => [
        { ...good, param: range(good.param, 0, 20) },
        { ...other, param: range(good.param, 16, 20) },
      ],
      "aliased-buffers",
      "parameters of 'x' and 'y' overlap",
    ],
    [
      "a parameter in the padding of another",
      (good, other) => [
        { ...good, param: range(good.param, 0, 16, 16) },
        { ...other, param: range(good.param, 16, 16) },
      ],
      "aliased-buffers",
      "bytes 0 to 32 and from 16",
    ],
    [
      "a small parameter inside a large one",
      (good, other) => [
        { ...good, param: range(good.param, 0, 32) },
        { ...other, param: range(good.param, 8, 4) },
      ],
      "aliased-buffers",
      "overlap",
    ],
    [
      "overlapping gradients",
      (good, other) => [good, { ...other, grad: range(good.grad, 28, 32) }],
      "aliased-buffers",
      "gradients of 'x' and 'y' overlap",
    ],
  ];

  test.each(wrong)("%s", async (_what, make, code, part) => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8), tensor(device, "y", 8)];
    await refused(() => create({ rule: adam(), parameters: make(tensors[0]!, tensors[1]!) }), code, part);
    destroyTensors(tensors);
  });

  test("ranges that only touch are right", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const { param, grad } = tensors[0]!;
    const half = (name: string, offset: number): Parameter => ({
      name,
      param: range(param, offset, 16),
      grad: range(grad, offset, 16),
    });
    (await create({ rule: adam(), parameters: [half("a", 0), half("b", 16)] })).destroy();
    destroyTensors(tensors);
  });

  test.each(["param", "grad"] as const)("a %s without usage STORAGE", async (role) => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const wrong = device.createBuffer({ size: 32, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC });
    await refused(
      () => create({ rule: adam(), parameters: [{ ...tensors[0]!, [role]: wrong }] }),
      "invalid-buffer",
      "expected usage STORAGE, got usage 0xc",
    );
    wrong.destroy();
    destroyTensors(tensors);
  });

  test("zero-length tensors are legal and dropped", async () => {
    const { device, counts } = watched();
    const arena = createArena(device, [{ empty: [0, 5], full: [5] }, { nothing: [0] }]);
    const loose: Parameter = {
      name: "loose",
      param: { ...arena.get("full").param, offset: 0, size: 0, padding: 0 },
      grad: { ...arena.get("full").grad, offset: 0, size: 0, padding: 0 },
    };
    const optimizer = await create({
      rule: adam(),
      groups: [
        { parameters: [...arena.groups[0]!, loose] },
        { parameters: arena.groups[1]! },
        { parameters: [] },
      ],
    });
    expect(optimizer.groups.map(({ names }) => names)).toEqual([["empty", "full", "loose"], ["nothing"], []]);
    const before = counts.dispatches;
    optimizer.step();
    // One vec4 dispatch: five elements are padded to 256 bytes.
    expect(counts.dispatches - before).toBe(1);
    optimizer.destroy();
    arena.destroy();
  });
});

describe("options of createOptimizer", () => {
  const cases: readonly (readonly [
    what: string,
    make: (parameters: readonly Parameter[]) => unknown,
    code: OptimErrorCode,
    part: string | RegExp,
  ])[] = [
    ["none", () => undefined, "invalid-argument", "There are no parameters"],
    [
      "both parameters and groups",
      (p) => ({ rule: adam(), parameters: p, groups: [{ parameters: p }] }),
      "invalid-argument",
      "got both",
    ],
    ["no groups", () => ({ rule: adam(), groups: [] }), "invalid-argument", "no parameter group"],
    [
      "a group without parameters",
      () => ({ rule: adam(), groups: [{}] }),
      "invalid-argument",
      "Group 0 has no list",
    ],
    [
      "a group that is null",
      () => ({ rule: adam(), groups: [null] }),
      "invalid-argument",
      "Group 0 has no list",
    ],
    [
      "an unknown option",
      (p) => ({ rule: adam(), parameters: p, lr: 0.1 }),
      "invalid-argument",
      "has no option 'lr'",
    ],
    ["no rule", (p) => ({ parameters: p }), "invalid-argument", "Group 0 has no rule"],
    [
      "a rule missing in a group",
      (p) => ({ groups: [{ rule: adam(), parameters: [] }, { parameters: p }] }),
      "invalid-argument",
      "Group 1 has no rule",
    ],
    ["a name for a rule", (p) => ({ rule: "adam", parameters: p }), "invalid-argument", "got 'adam'"],
    [
      "an object for a rule",
      (p) => ({ rule: { lr: 1 }, parameters: p }),
      "invalid-argument",
      "expected a rule from a factory",
    ],
    ["null for a rule", (p) => ({ rule: null, parameters: p }), "invalid-argument", "got null"],
    ["a factory for a rule", (p) => ({ rule: adam, parameters: p }), "invalid-argument", "got a function"],
    [
      "a factory for a group's rule",
      (p) => ({ groups: [{ rule: momentum, parameters: p }] }),
      "invalid-argument",
      "got a function",
    ],
    [
      "an unknown hyperparameter in a group",
      (p) => ({ rule: adam(), groups: [{ parameters: p, momentum: 0.9 }] }),
      "invalid-option",
      "adam has no option 'momentum'",
    ],
    [
      "a hyperparameter out of range in a group",
      (p) => ({ rule: adam(), groups: [{ parameters: p, beta1: 1 }] }),
      "invalid-option",
      "expected a finite number in [0, 1), got 1",
    ],
    [
      "stepsInFlight 0",
      (p) => ({ rule: adam(), parameters: p, stepsInFlight: 0 }),
      "invalid-argument",
      "got 0",
    ],
    [
      "stepsInFlight 1.5",
      (p) => ({ rule: adam(), parameters: p, stepsInFlight: 1.5 }),
      "invalid-argument",
      "got 1.5",
    ],
    [
      "a number for a schedule",
      (p) => ({ rule: adam(), parameters: p, schedule: 0.1 }),
      "invalid-schedule",
      "got 0.1",
    ],
    [
      "a number for a group's schedule",
      (p) => ({ rule: adam(), groups: [{ parameters: p, schedule: 0.1 }] }),
      "invalid-schedule",
      "got 0.1",
    ],
  ];
  test.each(cases)("%s", async (_what, make, code, part) => {
    const tensors = [tensor(watched().device, "x", 8)];
    await refused(() => create(make(tensors)), code, part);
    destroyTensors(tensors);
  });
});

describe.each(rules.map((rule) => ({ name: rule.row.name, rule })))(
  "hyperparameters of $name",
  ({ rule }) => {
    const specs = Object.entries(rule.row.options);
    const wrong = specs.flatMap(([name, spec]) => {
      const values: unknown[] = [undefined, null, [], {}, "", "0.1", Number.NaN];
      if (spec.kind === "flag") values.push(0, 1, "true");
      else if (spec.kind === "choice") values.push(0, true, "other", spec.values[0]!.toUpperCase());
      else {
        const { min, max, exclusiveMin, exclusiveMax } = spec;
        values.push(true, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, min - 1e-9);
        if (exclusiveMin) values.push(min);
        if (max !== Number.POSITIVE_INFINITY) values.push(max + 1e-9 * Math.max(1, max));
        if (exclusiveMax) values.push(max);
      }
      return values.map((value) => ({ name, value }));
    });

    test("wrong types and values are refused by the factory and in a group", async () => {
      expect(wrong.length).toBeGreaterThanOrEqual(7 * specs.length);
      const tensors = [tensor(watched().device, "x", 8)];
      for (const { name, value } of wrong) {
        const options = { [name]: value } as Record<string, number>;
        await refused(() => rule(options), "invalid-option", `Option '${name}' of ${rule.row.name}`);
        await refused(
          () => create({ rule: rule(), groups: [{ parameters: tensors, ...options }] }),
          "invalid-option",
          `Option '${name}'`,
        );
      }
      destroyTensors(tensors);
    });

    test("unknown names and no object are refused", async () => {
      await refused(() => rule({ learningRate: 1 }), "invalid-option", "no option 'learningRate'");
      // Names of every object are no options.
      await refused(() => rule({ toString: 1 }), "invalid-option", "no option 'toString'");
      for (const options of [null, 0.1, "lr", [0.1]])
        await expectError(() => rule(options as unknown as object), "invalid-option", "not an object");
    });

    test("the bounds themselves are right", () => {
      for (const [name, spec] of specs) {
        if (spec.kind !== "number") continue;
        if (!spec.exclusiveMin && spec.min !== Number.NEGATIVE_INFINITY)
          expect(rule({ [name]: spec.min }).options[name]).toBe(spec.min);
        if (!spec.exclusiveMax && spec.max !== Number.POSITIVE_INFINITY)
          expect(rule({ [name]: spec.max }).options[name]).toBe(spec.max);
      }
    });
  },
);

describe("what fails at a step changes nothing", () => {
  /** Runs two steps, the failing call, two steps: as if it had not been. */
  async function harmless(
    options: Omit<OptimizerOptions, "parameters" | "groups">,
    fail: (optimizer: Optimizer, encoder: GPUCommandEncoder) => unknown,
  ): Promise<void> {
    const { device } = watched();
    const results = [];
    for (const failing of [false, true]) {
      const tensors = [tensor(device, "x", 9), tensor(device, "y", 4)];
      const optimizer = await createOptimizer(device, {
        ...options,
        groups: [{ parameters: [tensors[0]!] }, { parameters: [tensors[1]!], rule: momentum() }],
      });
      optimizer.step();
      optimizer.step();
      if (failing) {
        const encoder = device.createCommandEncoder();
        await fail(optimizer, encoder);
        device.queue.submit([encoder.finish()]);
      }
      optimizer.step();
      optimizer.step();
      expect(optimizer.groups.map(({ steps }) => steps)).toEqual([4, 4]);
      const ranges = [tensors[0]!.param, tensors[1]!.param, optimizer.state("x", "exp_avg")];
      results.push(bits(await read(device, ranges)));
      optimizer.destroy();
      destroyTensors(tensors);
    }
    expect(results[1]).toEqual(results[0]);
  }

  const factors: readonly (readonly [what: string, factor: unknown])[] = [
    ["NaN", Number.NaN],
    ["a negative number", -0.5],
    ["infinity", Number.POSITIVE_INFINITY],
    ["a string", "0.1"],
    ["nothing", undefined],
    ["null", null],
    ["a bigint", 1n],
    ["a rate past f32", 1e42],
  ];
  test.each(factors)("a schedule that gives %s", async (_what, factor) => {
    // The second group fails, after the first was worked out.
    await harmless({ rule: adam() }, async (optimizer, encoder) => {
      const group = optimizer.groups[1]!;
      const { schedule } = group;
      group.schedule = () => factor as number;
      await refused(() => optimizer.encode(encoder), "invalid-schedule", "fails at step 2");
      await expectError(() => optimizer.step(), "invalid-schedule");
      group.schedule = schedule;
    });
  });

  test("a schedule that throws", async () => {
    const failure = new Error("from the schedule");
    await harmless({ rule: adam() }, (optimizer, encoder) => {
      const group = optimizer.groups[1]!;
      const { schedule } = group;
      group.schedule = () => {
        throw failure;
      };
      const before = { ...watched().counts };
      expect(() => optimizer.encode(encoder)).toThrow(failure);
      expect(watched().counts).toEqual(before);
      expect(() => optimizer.step()).toThrow(failure);
      group.schedule = schedule;
    });
  });

  test("a rate that overflows f32, by hand", async () => {
    await harmless({ rule: adam() }, async (optimizer, encoder) => {
      const group = optimizer.groups[1]!;
      const { lr, schedule } = group;
      await refused(
        () => {
          group.lr = 1e39;
        },
        "invalid-option",
        "1e+39",
      );
      group.lr = 1e38;
      group.schedule = () => 1e5;
      await refused(() => optimizer.encode(encoder), "invalid-schedule", "1e+38");
      group.lr = lr;
      group.schedule = schedule;
    });
  });

  test("a scalar that overflows f32 although the rate does not", async () => {
    await harmless({ rule: adam() }, async (optimizer, encoder) => {
      const { lr, beta1 } = optimizer.groups[0]!.options;
      optimizer.groups[0]!.set({ lr: 1e36, beta1: 0.9999 });
      await refused(() => optimizer.encode(encoder), "invalid-option", "step_size");
      optimizer.groups[0]!.set({ lr, beta1: Number(beta1) });
    });
  });

  test("wrong hyperparameters by hand", async () => {
    await harmless({ rule: adam() }, async (optimizer) => {
      const group = optimizer.groups[0]!;
      const { options } = group;
      for (const lr of [Number.NaN, -1, Number.POSITIVE_INFINITY, undefined, "0.1"])
        await refused(
          () => {
            group.lr = lr as number;
          },
          "invalid-option",
          "Option 'lr'",
        );
      await refused(() => group.set({ lr: 1e-40 }), "invalid-option", "at least 1.2e-38");
      await refused(() => group.set({ beta1: 1 - 2 ** -26 }), "invalid-option", "at most 0.99999994");
      await refused(() => group.set({ beta1: 0.5, beta2: 1 }), "invalid-option", "beta2");
      await refused(() => group.set({ beta: 0.5 }), "invalid-option", "no option 'beta'");
      await refused(
        () => {
          group.schedule = 1 as unknown as Schedule;
        },
        "invalid-schedule",
        "no function",
      );
      expect(group.options).toEqual(options);
    });
  });

  test("unknown names of state() and setGradients()", async () => {
    await harmless({ rule: adam() }, async (optimizer) => {
      await refused(() => optimizer.state("z", "exp_avg"), "unknown-name", "one of x, y");
      const state = await expectError(() => optimizer.state("x", "momentum_buffer"), "unknown-name");
      expect(state.message).toContain("expected exp_avg, exp_avg_sq");
      const gradient = upload(watched().device, new Float32Array(9));
      await refused(
        () => optimizer.setGradients({ x: gradient, z: gradient }),
        "unknown-name",
        "one of x, y",
      );
      gradient.buffer.destroy();
    });
  });

  test("setGradients with a wrong range", async () => {
    await harmless({ rule: adam() }, async (optimizer) => {
      const { device } = watched();
      const good = upload(device, new Float32Array(9).fill(5), { after: 16 });
      const [x, y] = [upload(device, new Float32Array(9)), upload(device, new Float32Array(3))];
      const wrong: readonly (readonly [Record<string, unknown>, OptimErrorCode])[] = [
        [{ x: good, y }, "invalid-buffer"],
        [{ x: good, y: { buffer: good.buffer, offset: 8, size: 16 } }, "aliased-buffers"],
        [{ x: good, y: { buffer: x.buffer, offset: 2, size: 16 } }, "invalid-buffer"],
        [{ x: good, y: { buffer: x.buffer, offset: 24, size: 16 } }, "invalid-buffer"],
        [{ x: good, y: undefined }, "invalid-buffer"],
        [{ x: good, y: new Float32Array(4) }, "invalid-buffer"],
      ];
      for (const [gradients, code] of wrong)
        await refused(() => optimizer.setGradients(gradients as Record<string, GPUBuffer>), code);
      for (const { buffer } of [good, x, y]) buffer.destroy();
    });
  });

  test("accumulation that was not asked for", async () => {
    await harmless({ rule: adam() }, (optimizer, encoder) =>
      refused(() => optimizer.accumulate({}, encoder), "invalid-argument", "accumulation: true"),
    );
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e39, "3", null])(
    "a micro-batch of %s samples",
    async (samples) => {
      await harmless({ rule: adam(), accumulation: true }, (optimizer, encoder) =>
        refused(
          () => optimizer.accumulate({ samples: samples as number }, encoder),
          "invalid-argument",
          "size of a micro-batch",
        ),
      );
    },
  );

  test("no encoder", async () => {
    await harmless({ rule: adam(), accumulation: true, stepsInFlight: 1 }, async (optimizer) => {
      for (const encoder of [undefined, {}] as unknown as GPUCommandEncoder[]) {
        await refused(() => optimizer.encode(encoder), "invalid-argument", "expected a GPUCommandEncoder");
      }
      // Without one, it is the optimizer's own.
      for (const encoder of [null, {}] as unknown as GPUCommandEncoder[])
        await refused(() => optimizer.accumulate({}, encoder), "invalid-argument", "GPUCommandEncoder");
    });
  });
});

test("a rule with look-ahead needs parameters that can be written back", async () => {
  const { device } = watched();
  const param = device.createBuffer({ size: 32, usage: GPUBufferUsage.STORAGE });
  const grad = upload(device, new Float32Array(8));
  const parameters = [{ name: "x", param, grad }];
  await refused(
    () => create({ rule: nesterovLookahead(), parameters }),
    "invalid-buffer",
    "STORAGE | COPY_DST",
  );
  (await create({ rule: adam(), parameters })).destroy();
  param.destroy();
  grad.buffer.destroy();
});

test("an option compiled into the kernel cannot change later", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 8)];
  const rmsprop = rules.find(({ row }) => row.name === "rmsprop")!;
  const optimizer = await create({ rule: rmsprop(), parameters: tensors });
  const group = optimizer.groups[0]!;
  await refused(() => group.set({ epsInside: true }), "invalid-option", "after creation");
  group.set({ epsInside: false, alpha: 0.5 });
  expect(group.options.alpha).toBe(0.5);
  optimizer.destroy();
  destroyTensors(tensors);
});

describe("arena", () => {
  test.each([
    ["a duplicate name", [{ a: [1] }, { a: [2] }], "duplicate-name"],
    ["a negative length", [{ a: [-1] }], "invalid-argument"],
    ["a fraction", [{ a: [1.5] }], "invalid-argument"],
    ["a number for a shape", [{ a: 3 }], "invalid-argument"],
  ] as const)("%s", async (_what, groups, code) => {
    const { device, counts } = watched();
    const before = { ...counts };
    let thrown: { code?: string } = {};
    try {
      createArena(device, groups as unknown as Parameters<typeof createArena>[1]);
    } catch (error) {
      thrown = error as { code?: string };
    }
    expect(thrown.code).toBe(code);
    expect(counts).toEqual(before);
  });

  test("an unknown tensor", async () => {
    const { device } = watched();
    const arena = createArena(device, [{ a: [1] }]);
    expect(() => arena.get("b")).toThrowError(expect.objectContaining({ code: "unknown-name" }));
    expect(arena.get("a").shape).toEqual([1]);
    arena.destroy();
  });
});
