// Adaptive clipping and centralization: guards of the units of a tensor, held against float64.
import { describe, expect, test } from "vitest";
import {
  adafactor,
  adam,
  createArena,
  createOptimizer,
  type GuardOptions,
  lamb,
  momentum,
  muon,
  nesterovLookahead,
  type Optimizer,
  type OptimizerOptions,
  type Rule,
  type UnitwiseGuards,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { difference, useDevice, watchedDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients, normals } from "../support/numbers.js";
import { bits, destroyTensors, type TestTensor } from "../support/tensors.js";
import { adaptiveClip, centralize, unitsOf } from "../support/unitwise.js";

const watched = useDevice();

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  scalar: [],
  vector: [7],
  row: [1, 9],
  column: [5, 1],
  wide: [3, 70],
  tall: [70, 3],
  matrix: [20, 33],
  kernel: [4, 3, 3, 5],
  // In parts: along memory and across.
  parted: [3, 5000],
  long: [600, 18],
  bias: [4099],
};
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Parameters, of whose first unit most are zero and the norm is small. */
function thetaOf(seed: number, shape: readonly number[]): Float32Array {
  const values = normals(seed, sizeOf(shape));
  for (const [i, at] of shape.length > 1 ? unitsOf(shape, "first")[0]!.entries() : [])
    values[at]! *= i === 0 ? 1e-5 : 0;
  return values;
}

/** Tensors of shapes, each in buffers of its own; odd ones where no vec4 reaches. */
function loose(device: GPUDevice, shapes = SHAPES): TestTensor[] {
  return Object.entries(shapes).map(([name, shape], i) => ({
    name,
    shape,
    param: upload(device, thetaOf(i + 1, shape), { offset: 4 * (i % 3), label: name }),
    grad: upload(device, new Float32Array(sizeOf(shape)), { offset: 4 * (i % 2), label: `${name} gradient` }),
  }));
}

/** Gradients whose units are some below and some above the clip, some tiny and some huge. */
function gradientOf(seed: number, shape: readonly number[]): Float32Array {
  const values = normals(seed, sizeOf(shape));
  for (const [index, unit] of unitsOf(shape, "first").entries()) {
    const scale = [1e-3, 1, 1e-25, 1e30][index % 4]!;
    for (const i of unit) values[i]! *= scale;
  }
  return values;
}

/** PyTorch's momentum keeps the first gradient that it sees: what is behind guards, or all of it with what goes before. */
const keeps = momentum({ lr: 0 });
const seenBy = (optimizer: Optimizer, tensors: readonly { name: string }[]) =>
  read(
    watched().device,
    tensors.map(({ name }) => optimizer.state(name, "momentum_buffer")),
  );

/** What guards make of gradients. */
async function guarded(
  device: GPUDevice,
  tensors: readonly TestTensor[],
  given: readonly Float32Array[],
  guards: GuardOptions,
  rule: Rule = keeps,
): Promise<Float32Array[]> {
  for (const [i, { grad }] of tensors.entries()) write(device, grad, given[i]!);
  const optimizer = await createOptimizer(device, { rule, parameters: tensors, guards });
  optimizer.step();
  const seen = await read(
    device,
    tensors.map(({ name }) => optimizer.state(name, "momentum_buffer")),
  );
  await optimizer.settled();
  optimizer.destroy();
  return seen;
}

/** The largest error of a unit beside its largest element, in float32 ULP of that. */
function worst(
  got: Float32Array,
  right: readonly number[],
  given: readonly number[],
  units: readonly (readonly number[])[],
) {
  return Math.max(
    ...units.map((unit) => {
      const error = Math.max(...unit.map((i) => Math.abs(got[i]! - right[i]!)));
      // Where a mean is taken off, of what it is taken off.
      const most = Math.max(...unit.map((i) => Math.max(Math.abs(right[i]!), Math.abs(given[i]!))));
      return error === 0 ? 0 : Number.isFinite(error) ? error / (most * 2 ** -23) : Infinity;
    }),
  );
}

const kinds: readonly [name: string, guards: (units: "first" | "last") => UnitwiseGuards][] = [
  ["adaptiveClip", (units) => ({ adaptiveClip: { clipping: 0.1, units } })],
  ["centralize", (units) => ({ centralize: { units } })],
  ["both", (units) => ({ adaptiveClip: { clipping: 0.1, eps: 0.5, units }, centralize: { units } })],
];

/** By reference, what guards by unit make of a gradient. */
function reference(
  guards: UnitwiseGuards,
  gradient: ArrayLike<number>,
  theta: ArrayLike<number>,
  shape: readonly number[],
) {
  const { adaptiveClip: clip, centralize: center } = guards;
  const options = typeof clip === "number" ? { clipping: clip } : clip;
  const clipped = options
    ? adaptiveClip(Array.from(gradient), Array.from(theta), shape, { clipping: 0.01, ...options })
    : Array.from(gradient);
  const right = center ? centralize(clipped, shape, center === true ? {} : center) : clipped;
  return { clipped, right };
}

/** Units, or all of what is one. */
const outputsOf = (shape: readonly number[], units: "first" | "last") =>
  shape.filter((n) => n > 1).length > 1
    ? unitsOf(shape, units)
    : [Array.from({ length: sizeOf(shape) }, (_, i) => i)];

/** The largest error over all shapes. */
async function errorOf(device: GPUDevice, guards: UnitwiseGuards, units: "first" | "last"): Promise<number> {
  const tensors = loose(device);
  const given = tensors.map(({ shape }, i) => gradientOf(50 + i, shape!));
  const thetas = await read(
    device,
    tensors.map(({ param }) => param),
  );
  const got = await guarded(device, tensors, given, guards);
  const errors = tensors.map(({ shape }, i) => {
    const { clipped, right } = reference(guards, given[i]!, thetas[i]!, shape!);
    return worst(got[i]!, right, clipped, outputsOf(shape!, units));
  });
  destroyTensors(tensors);
  return Math.max(...errors);
}

/** Sums of thousands of elements lose some ULP of the whole. */
const TOLERANCE = 8;

describe.each(["first", "last"] as const)("units of the %s dimension", (units) => {
  test.each(kinds)("%s is that of the paper", async (_, guards) => {
    expect(await errorOf(watched().device, guards(units), units)).toBeLessThan(TOLERANCE);
  });
});

/** The kind that shows it, what is wrong, and the WGSL that becomes another. */
const defects: readonly (readonly [kind: number, what: string, from: string, to: string])[] = [
  [0, "no least norm", "max(norm_of(total[1]), tensor.eps)", "norm_of(total[1])"],
  [0, "one part of a unit", "part < units.parts; part += units.lanes", "part < 1u; part += units.lanes"],
  [1, "sums for means", " / f32(units.length)", ""],
  [1, "the mean of the first unit", "unit_of(units, element) * units.parts];", "0u];"],
];

test.each(defects)("planted in kind %i: %s", { timeout: 60_000 }, async (kind, what, from, to) => {
  const { device } = await watchedDevice();
  const make = device.createShaderModule.bind(device);
  let planted = 0;
  Object.defineProperty(device, "createShaderModule", {
    value: ({ code, ...rest }: GPUShaderModuleDescriptor) => {
      planted += Number(code.includes(from));
      return make({ ...rest, code: code.replace(from, to) });
    },
  });
  const guards = kinds[kind]![1]("first");
  expect(await errorOf(device, guards, "first"), what).toBeGreaterThan(TOLERANCE);
  expect(planted).toBeGreaterThan(0);
  device.destroy();
});

test("figures worked by hand, and those of optax's documentation", async () => {
  const { device } = watched();
  const make = (name: string, shape: readonly number[], param: readonly number[]): TestTensor => ({
    name,
    shape,
    param: upload(device, param),
    grad: upload(device, new Float32Array(param.length)),
  });
  // ‖(3, 4)‖ = 5 and ε = 1e-3 for zeros; λ = 0.1. Across: the columns (3, 0) and (4, 0).
  const tensors = [make("x", [2, 2], [3, 4, 0, 0])];
  const given = [Float32Array.of(6, 8, 0.03, 0.04)];
  const clipped = async (units: "first" | "last") =>
    (await guarded(device, tensors, given, { adaptiveClip: { clipping: 0.1, units } }))[0]!;
  const near = (got: Float32Array, right: readonly number[]) => {
    for (const [i, value] of right.entries()) expect(Math.abs(got[i]! / value - 1)).toBeLessThan(1e-6);
  };
  near(await clipped("first"), [0.3, 0.4, 6e-5, 8e-5]);
  near(await clipped("last"), [
    (6 * 0.3) / Math.hypot(6, 0.03),
    (8 * 0.4) / Math.hypot(8, 0.04),
    (0.03 * 0.3) / Math.hypot(6, 0.03),
    (0.04 * 0.4) / Math.hypot(8, 0.04),
  ]);
  const example = [make("x", [2, 3], [0, 0, 0, 0, 0, 0])];
  const rows = await guarded(device, example, [Float32Array.of(1, 2, 3, 4, 5, 6)], { centralize: true });
  expect([...rows[0]!]).toEqual([-1, 0, 1, -1, 0, 1]);
  destroyTensors([...tensors, ...example]);
});

const MATRIX = [6, 5] as const;
const small = { w: MATRIX, b: [9], c: [3, 4, 2] };

test("they come behind all other guards, the clip first, and before decay", async () => {
  const { device } = watched();
  const tensors = loose(device, small);
  const thetas = await read(
    device,
    tensors.map(({ param }) => param),
  );
  const given = tensors.map(({ shape }, i) => gradients(7, i, sizeOf(shape!)));
  const guards = { clipValue: 0.9, clipNorm: 1.5, clipGlobalNorm: 2, clipFormula: "optax" } as const;
  const unitwise = { adaptiveClip: 0.2, centralize: true };
  const decay = 0.5;
  const rule = momentum({ lr: 0, weightDecay: decay });
  const got = await guarded(device, tensors, given, { ...guards, ...unitwise, lossScale: 8 }, rule);

  type Stage = (gradients: readonly number[][]) => number[][];
  const norm = (values: readonly number[]) => Math.hypot(...values);
  const scaled = (values: readonly number[], factor: number) => values.map((g) => g * factor);
  const stages: Readonly<Record<string, Stage>> = {
    value: (all) => all.map((list) => list.map((g) => Math.max(-0.9, Math.min(0.9, g)))),
    norm: (all) => all.map((list) => scaled(list, Math.min(1, 1.5 / norm(list)))),
    global: (all) => all.map((list) => scaled(list, Math.min(1, 2 / norm(all.flat())))),
    clip: (all) =>
      all.map((list, i) => adaptiveClip(list, [...thetas[i]!], tensors[i]!.shape!, { clipping: 0.2 })),
    center: (all) => all.map((list, i) => centralize(list, tensors[i]!.shape!)),
    decay: (all) => all.map((list, i) => list.map((g, j) => g + decay * thetas[i]![j]!)),
  };
  const unscaled = given.map((list) => Array.from(list, (g) => g / 8));
  const error = (order: readonly string[]) => {
    const right = order.reduce((all, name) => stages[name]!(all), unscaled);
    return Math.max(...right.flatMap((list, i) => list.map((g, j) => Math.abs(got[i]![j]! - g))));
  };
  const order = ["value", "norm", "global", "clip", "center", "decay"];
  expect(error(order)).toBeLessThan(1e-6);
  for (let i = 0; i + 1 < order.length; i += 1) {
    const other = [...order];
    other.splice(i, 2, order[i + 1]!, order[i]!);
    expect(error(other), other.join()).toBeGreaterThan(1e-4);
  }
  destroyTensors(tensors);
});

const both = { adaptiveClip: 0.2, centralize: true } as const;

/** Two steps of a rule, by gradients that are guarded within them or that were by another optimizer before. */
async function twice(rule: Rule, extras: Partial<OptimizerOptions>, within: boolean) {
  const { device } = watched();
  const shapes = { w: MATRIX, v: [4, 7] };
  const tensors = loose(device, shapes);
  const params = tensors.map(({ param }) => param);
  const optimizer = await createOptimizer(device, {
    rule,
    parameters: tensors,
    ...extras,
    guards: within ? both : {},
  });
  for (let step = 0; step < 2; step += 1) {
    optimizer.lookahead();
    let given = tensors.map(({ shape }, i) => gradients(9 + i, step, sizeOf(shape!)));
    if (!within) {
      const copies = loose(device, shapes);
      const values = await read(device, params);
      for (const [i, { param }] of copies.entries()) write(device, param, values[i]!);
      given = await guarded(device, copies, given, both);
      destroyTensors(copies);
    }
    for (const [i, { grad }] of tensors.entries()) write(device, grad, given[i]!);
    optimizer.step();
  }
  await optimizer.settled();
  const got = await read(device, params);
  optimizer.destroy();
  destroyTensors(tensors);
  return bits(got);
}

test.each<readonly [string, Rule, Partial<OptimizerOptions>]>([
  ["sums", lamb({ weightDecay: 0.1 }), { telemetry: { perTensor: true } }],
  ["passes", muon({ weightDecay: 0.1, steps: 1 }), {}],
  ["passes and parameters", adafactor(), { compensated: true }],
  ["look-ahead", nesterovLookahead(), {}],
  ["caution", adam({ cautious: "scaled", maximize: true }), {}],
])("rules with %s see what guards by unit leave", async (_, rule, extras) => {
  expect(await twice(rule, extras, true)).toEqual(await twice(rule, extras, false));
});

/** What steps leave of an arena's or of loose tensors. */
async function march(
  options: Partial<OptimizerOptions>,
  take: (optimizer: Optimizer, set: (seed: number, spoiled?: boolean) => void) => unknown,
  inArena = false,
): Promise<Uint32Array[]> {
  const { device } = watched();
  const arena = inArena ? createArena(device, [small]) : undefined;
  const tensors = (arena?.groups[0] as readonly TestTensor[] | undefined) ?? loose(device, small);
  for (const [i, { param, shape }] of tensors.entries()) write(device, param, thetaOf(i + 1, shape!));
  const optimizer = await createOptimizer(device, {
    rule: adam({ lr: 0.1 }),
    parameters: tensors,
    guards: both,
    ...options,
  });
  await take(optimizer, (seed, spoiled = false) => {
    for (const [i, { grad, shape }] of tensors.entries()) {
      const values = gradients(seed, i, sizeOf(shape!));
      if (spoiled) values[i] = i === 1 ? Number.NaN : Number.POSITIVE_INFINITY;
      write(device, grad, values);
    }
  });
  await optimizer.settled();
  const got = await read(
    device,
    tensors.map(({ param }) => param),
  );
  optimizer.destroy();
  if (arena) arena.destroy();
  else destroyTensors(tensors);
  return bits(got);
}
const steps =
  (...seeds: readonly number[]) =>
  (optimizer: Optimizer, set: (seed: number) => void) => {
    for (const seed of seeds) {
      set(seed);
      optimizer.step();
    }
  };

test("in an arena as in loose buffers; a step that is skipped leaves no trace; micro-batches give their mean", async () => {
  const clean = await march({}, steps(1, 2));
  expect(await march({}, steps(1, 2), true)).toEqual(clean);
  const skipped = await march({}, (optimizer, set) => {
    set(1);
    optimizer.step();
    set(7, true);
    optimizer.step();
    steps(2)(optimizer, set);
  });
  expect(skipped).toEqual(clean);
  const batched = await march({ accumulation: true }, (optimizer, set) => {
    for (const seed of [1, 2]) {
      set(seed);
      for (let batch = 0; batch < 2; batch += 1) optimizer.accumulate();
      set(99);
      optimizer.step();
    }
  });
  expect(batched).toEqual(clean);
  expect(await march({ guards: {} }, steps(1, 2))).not.toEqual(clean);
});

test("gradients that move are read where they are; reports are of what came in", async () => {
  const { device } = watched();
  const tensors = loose(device, { x: [2, 2] });
  write(device, tensors[0]!.grad, [1, 3, 5, 9]);
  const moved = upload(device, [0, 6, 0, 8]);
  const norms: number[] = [];
  const optimizer = await createOptimizer(device, {
    rule: momentum({ lr: 0, momentum: 0 }),
    parameters: tensors,
    guards: { centralize: true },
    telemetry: { onReport: ({ gradientNorm }) => norms.push(gradientNorm) },
  });
  optimizer.step();
  expect([...(await seenBy(optimizer, tensors))[0]!]).toEqual([-1, 1, -2, 2]);
  optimizer.setGradients({ x: moved });
  optimizer.step();
  expect([...(await seenBy(optimizer, tensors))[0]!]).toEqual([-3, 3, -4, 4]);
  await optimizer.settled();
  expect(norms.map((norm) => norm ** 2).map(Math.round)).toEqual([116, 100]);
  optimizer.destroy();
  moved.buffer.destroy();
  destroyTensors(tensors);
});

test("what is not finite and kept ends in its unit: infinity in its place, NaN in all", async () => {
  const { device } = watched();
  const tensors = loose(device, { x: [3, 2] });
  const given = [Float32Array.of(Infinity, 1, 1, Number.NaN, 1, 2)];
  const kept = async (guards: UnitwiseGuards) =>
    [...(await guarded(device, tensors, given, { ...guards, nonFinite: "keep" }))[0]!].map(Number.isFinite);
  expect(await kept({ adaptiveClip: 0.1 })).toEqual([false, true, false, false, true, true]);
  expect(await kept({ centralize: true })).toEqual([false, false, false, false, true, true]);
  destroyTensors(tensors);
});

test("a group has its own; tensors that join or are left out do as the others", async () => {
  const { device } = watched();
  const tensors = loose(device, { w: MATRIX, head: MATRIX, late: MATRIX, off: MATRIX });
  const [w, head, late, off] = tensors as [TestTensor, TestTensor, TestTensor, TestTensor];
  const given = tensors.map((_, i) => gradients(20, i, 30));
  for (const [i, { grad }] of tensors.entries()) write(device, grad, given[i]!);
  const thetas = await read(
    device,
    tensors.map(({ param }) => param),
  );
  const optimizer = await createOptimizer(device, {
    rule: keeps,
    groups: [{ parameters: [w] }, { parameters: [head], guards: { adaptiveClip: Infinity } }],
    guards: both,
  });
  await optimizer.addParameters(optimizer.groups[0]!, [late]);
  await optimizer.addGroup({ parameters: [off], guards: { adaptiveClip: Infinity, centralize: false } });
  await optimizer.freeze("w");
  optimizer.step();
  const seen = await seenBy(optimizer, tensors);
  const own: readonly UnitwiseGuards[] = [both, { centralize: true }, both, {}];
  expect([...seen[0]!]).toEqual(Array(30).fill(0));
  for (const i of [1, 2, 3]) {
    const { clipped, right } = reference(own[i]!, given[i]!, thetas[i]!, MATRIX);
    expect(worst(seen[i]!, right, clipped, unitsOf(MATRIX, "first"))).toBeLessThan(TOLERANCE);
  }
  optimizer.destroy();
  destroyTensors(tensors);
});

test("as many dispatches for many tensors as for two; none for those without", async () => {
  const { device, counts } = watched();
  const dispatches = async (count: number, guards: GuardOptions) => {
    const shapes = Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, [4, 16]]));
    const arena = createArena(device, [shapes]);
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: arena.groups[0],
      guards: { clipNorm: 1, ...guards },
    });
    const before = { ...counts };
    optimizer.step();
    const taken = difference(counts, before).dispatches;
    await optimizer.settled();
    optimizer.destroy();
    arena.destroy();
    return taken;
  };
  const plain = await dispatches(2, {});
  expect(await dispatches(2, { centralize: false, adaptiveClip: Infinity })).toBe(plain);
  expect(await dispatches(2, both)).toBe(plain + 7);
  expect(await dispatches(300, both)).toBe(plain + 7);
  expect(await dispatches(300, { centralize: true })).toBe(plain + 4);
});

test("bad input is refused before any GPU work", async () => {
  const { device, counts } = watched();
  const tensors = loose(device, { w: MATRIX });
  const [w] = tensors as [TestTensor];
  const { shape: _, ...bare } = w;
  const make = (options: unknown) => () =>
    createOptimizer(device, { rule: adam(), parameters: tensors, ...(options as object) });
  const before = { ...counts };
  const wrong: readonly (readonly [options: unknown, part: string])[] = [
    [{ parameters: [bare], guards: both }, "guards.adaptiveClip cannot take 'w'"],
    [{ parameters: [bare], guards: { centralize: true } }, "guards.centralize cannot take 'w'"],
    [{ guards: { adaptiveClip: 0 } }, "'adaptiveClip' is out of range"],
    [{ guards: { adaptiveClip: Number.NaN } }, "'adaptiveClip' is out of range"],
    [{ guards: { adaptiveClip: null } }, "'adaptiveClip' is out of range"],
    [{ guards: { adaptiveClip: "0.1" } }, "'adaptiveClip' is out of range"],
    [{ guards: { adaptiveClip: { eps: 0 } } }, "'adaptiveClip.eps' is out of range"],
    [{ guards: { adaptiveClip: { units: "rows" } } }, "'adaptiveClip.units' is unknown"],
    [{ guards: { adaptiveClip: { clip: 1 } } }, "'clip'"],
    [{ guards: { centralize: 1 } }, "'centralize'"],
    [{ guards: { centralize: null } }, "'centralize'"],
    [{ guards: { centralize: { units: 0 } } }, "'centralize.units' is unknown"],
    [{ parameters: undefined, groups: [{ parameters: tensors, guards: { clipNorm: 1 } }] }, "'clipNorm'"],
    [{ parameters: undefined, groups: [{ parameters: tensors, guards: null }] }, "guards of a group"],
  ];
  for (const [options, part] of wrong) await expectError(make(options), "invalid-argument", part);
  expect(difference(counts, before)).toEqual(difference(counts, counts));
  const optimizer = await make({ guards: { centralize: true } })();
  const fixed = () => optimizer.setGuards({ centralize: false } as object);
  await expectError(fixed, "invalid-argument", "'centralize' cannot change");
  optimizer.destroy();
  const plain = await make({})();
  const join = () => plain.addGroup({ parameters: [], guards: { adaptiveClip: 0.1 } });
  await expectError(join, "invalid-argument", "was created without guards");
  plain.destroy();
  destroyTensors(tensors);
});
