// Guards: what the GPU decides by itself about each step, held against the same computed on the CPU.
import { describe, expect, test } from "vitest";
import {
  adam,
  createArena,
  createOptimizer,
  type GuardOptions,
  momentum,
  nadam,
  nesterovLookahead,
  type Optimizer,
  type Rule,
  rmspropNesterov,
  type StepReport,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { long } from "../support/long.js";
import { gradients, normals } from "../support/numbers.js";
import { record } from "../support/record.js";
import { shapeless } from "../support/shapeless.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();
const LENGTH = 301;
const schedule = (step: number) => 1 / (1 + step);

interface Run {
  readonly parameters: Float32Array;
  readonly states: readonly Float32Array[];
  readonly steps: number;
  readonly reports: readonly StepReport[];
}

/** Steps with these gradients, each written before its step. */
async function run(
  rule: Rule,
  given: readonly Float32Array[],
  guards?: GuardOptions,
  { wait = false, telemetry = false } = {},
): Promise<Run> {
  const { device } = watched();
  const param = upload(device, normals(3, LENGTH));
  const grad = upload(device, new Float32Array(LENGTH));
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    rule,
    schedule,
    parameters: [{ name: "x", param, grad }],
    ...(guards && { guards }),
    ...(telemetry && { telemetry: { onReport: (report: StepReport) => reports.push(report) } }),
  });
  for (const values of given) {
    optimizer.lookahead();
    write(device, grad, values);
    optimizer.step();
    if (wait) await optimizer.settled();
  }
  await optimizer.settled();
  const ranges = rule.row.shader.states.map((state) => optimizer.state("x", state));
  const [parameters, ...states] = await read(device, [param, ...ranges]);
  const { steps } = optimizer.groups[0]!;
  optimizer.destroy();
  param.buffer.destroy();
  grad.buffer.destroy();
  return { parameters: parameters!, states, steps, reports };
}

const some = (count: number) => Array.from({ length: count }, (_, t) => gradients(5, t, LENGTH));
const spoiled = (values: Float32Array, bad: number, at = 17) => {
  const copy = values.slice();
  copy[at] = bad;
  return copy;
};

// Half of the rules, and with `test --long` all.
const judged = shapeless.filter((_, index) => long || index % 2 === 0);
describe.each(judged.map((factory) => [factory.row.name, factory] as const))("%s", (_, factory) => {
  const rule = factory({ weightDecay: 0.01, maximize: true });

  test("guards that do nothing change no bit", async () => {
    const plain = await run(rule, some(6));
    const guarded = await run(rule, some(6), {});
    expect(guarded.parameters).toEqual(plain.parameters);
    expect(guarded.states).toEqual(plain.states);
    expect(guarded.steps).toBe(6);
  });

  test("a skipped step leaves no trace, whether the host knows of it or not", async () => {
    const clean = some(6);
    const [a, b, c, d, e, f] = clean as [Float32Array, ...Float32Array[]] & Record<number, Float32Array>;
    const dirty = [
      spoiled(a!, Number.NaN),
      a!,
      b!,
      spoiled(c!, Number.POSITIVE_INFINITY, 0),
      spoiled(c!, Number.NEGATIVE_INFINITY, LENGTH - 1),
      c!,
      d!,
      e!,
      spoiled(f!, Number.NaN, 100),
      f!,
    ];
    const expected = await run(rule, clean);
    for (const wait of [true, false]) {
      const got = await run(rule, dirty, {}, { wait });
      expect(got.parameters).toEqual(expected.parameters);
      expect(got.states).toEqual(expected.states);
      expect(got.steps).toBe(6);
    }
  });
});

/** Three groups: an arena of several tensors, and loose ones of odd lengths and offsets that no vec4 reaches. */
function makeModel() {
  const { device } = watched();
  // c takes two items of four lanes, w two of one lane.
  const arena = createArena(device, [
    { a: [7, 11], b: [5], c: [4100] },
    { d: [33], e: [1] },
  ]);
  const loose = [
    tensor(device, "w", 1501, { offset: 4, gradientOffset: 12 }),
    tensor(device, "x", 301, { offset: 4 }),
    tensor(device, "y", 5, { offset: 20, gradientOffset: 8 }),
    tensor(device, "z", 3, { offset: 8 }),
  ];
  const [w, x, y, z] = loose as [TestTensor, TestTensor, TestTensor, TestTensor];
  const [first, [d, e]] = arena.groups as readonly [readonly TestTensor[], [TestTensor, TestTensor]];
  const groups: readonly (readonly TestTensor[])[] = [first, [x, d, y], [z, e, w]];
  const tensors = groups.flat();
  return {
    groups,
    tensors,
    grads: tensors.map(({ grad }) => grad),
    params: tensors.map(({ param }) => param),
    lengths: tensors.map(({ param }) => param.size / 4),
    destroy() {
      arena.destroy();
      destroyTensors(loose);
    },
  };
}

/** Gradients of all tensors for one step, and the base rate that is set by hand before it. */
interface Attempt {
  readonly values: readonly Float32Array[];
  readonly lr: number;
}

/** `late`: the host is never waited for. `one encoder`: all attempts in one command buffer. */
type Manner = "wait" | "late" | "one encoder" | "accumulate" | "accumulate in one encoder";

interface Trained {
  /** Parameters, then states, of each tensor. */
  readonly values: readonly Float32Array[];
  readonly steps: readonly number[];
  readonly reports: readonly StepReport[];
}

async function train(
  groupRules: readonly Rule[],
  attempts: (lengths: readonly number[]) => readonly Attempt[],
  guards: GuardOptions | undefined,
  manner: Manner,
  after: (lengths: readonly number[]) => readonly Attempt[] = () => [],
): Promise<Trained> {
  const { device } = watched();
  const model = makeModel();
  const { tensors, lengths, grads, params } = model;
  params.forEach((param, i) => {
    write(device, param, normals(100 + i, lengths[i]!));
  });
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    groups: model.groups.map((parameters, i) => ({
      parameters,
      rule: groupRules[i]!,
      schedule: (step: number) => 1 / (1 + (i + 1) * step),
    })),
    accumulation: true,
    stepsInFlight: 128,
    ...(guards && { guards, telemetry: { onReport: (report: StepReport) => reports.push(report) } }),
  });
  const setRates = ({ lr }: Attempt) => {
    optimizer.groups.forEach((group, i) => {
      group.lr = lr * (i + 1);
    });
  };
  const go = async (list: readonly Attempt[]) => {
    if (manner === "one encoder") {
      await record(device, optimizer, {
        steps: list.length,
        grads,
        gradients: (t) => list[t - 1]!.values,
        watch: [params[0]!],
        before: (t) => setRates(list[t - 1]!),
      });
      return;
    }
    if (manner === "accumulate in one encoder") {
      await accumulateInOne(device, optimizer, grads, list, setRates);
      return;
    }
    for (const attempt of list) {
      setRates(attempt);
      optimizer.lookahead();
      const give = (factor: number) =>
        grads.forEach((grad, i) => {
          writeBits(
            device,
            grad,
            factor === 1 ? attempt.values[i]! : attempt.values[i]!.map((g) => factor * g),
          );
        });
      if (manner === "accumulate") {
        give(0.5);
        optimizer.accumulate({ samples: 3 });
        give(-2);
        optimizer.accumulate({ samples: 1 });
      } else give(1);
      optimizer.step();
      if (manner === "wait") await optimizer.settled();
    }
  };
  await go(attempts(lengths));
  await optimizer.settled();
  await go(after(lengths));
  await optimizer.settled();
  const values = await read(
    device,
    model.groups.flatMap((group, i) =>
      group.flatMap(({ name, param }) => [
        param,
        ...groupRules[i]!.row.shader.states.map((state) => optimizer.state(name, state)),
      ]),
    ),
  );
  const steps = optimizer.groups.map((group) => group.steps);
  expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
  optimizer.destroy();
  model.destroy();
  return { values, steps, reports };
}

/** Two micro-batches and a step for each attempt, all in one command buffer. */
async function accumulateInOne(
  device: GPUDevice,
  optimizer: Optimizer,
  grads: readonly { buffer: GPUBuffer; offset: number; size: number }[],
  list: readonly Attempt[],
  setRates: (attempt: Attempt) => void,
): Promise<void> {
  const rows = list.flatMap(({ values }) =>
    [0.5, -2].map((factor) => values.map((g) => g.map((v) => factor * v))),
  );
  const uploaded = upload(
    device,
    rows.flatMap((row) => row.flatMap((values) => [...values])),
  );
  const encoder = device.createCommandEncoder();
  let at = 0;
  const give = () => {
    for (const { buffer, offset, size } of grads) {
      encoder.copyBufferToBuffer(uploaded.buffer, at, buffer, offset, size);
      at += size;
    }
  };
  for (const attempt of list) {
    setRates(attempt);
    optimizer.lookahead(encoder);
    give();
    optimizer.accumulate({ samples: 3 }, encoder);
    give();
    optimizer.accumulate({ samples: 1 }, encoder);
    optimizer.encode(encoder);
  }
  device.queue.submit([encoder.finish()]);
  optimizer.submitted();
  await device.queue.onSubmittedWorkDone();
  uploaded.buffer.destroy();
}

/** Float32Array.from may change what a NaN carries. */
function writeBits(
  device: GPUDevice,
  { buffer, offset }: { buffer: GPUBuffer; offset: number },
  values: Float32Array,
) {
  device.queue.writeBuffer(buffer, offset, Uint32Array.from(new Uint32Array(values.slice().buffer)));
}

const withBits = (values: Float32Array, at: number, bad: number): Float32Array => {
  const copy = values.slice();
  new Uint32Array(copy.buffer)[at] = bad;
  return copy;
};

const clean = (count: number) => (lengths: readonly number[]) =>
  Array.from({ length: count }, (_, t) => ({
    values: lengths.map((length, i) => gradients(40 + i, t, length)),
    lr: 0.01 / (1 + (t % 3)),
  }));

/** NaN and infinities of either sign, and NaN that carry something. */
const BAD = [0x7fc00000, 0x7f800000, 0xff800000, 0xffc00001, 0x7f800001, 0xff812345, 0x7fffffff, 0xffffffff];

/** The steps of `clean`, with bad attempts before those of these numbers: in another tensor each, at another rate. */
const dirtied = (count: number, before: readonly number[]) => (lengths: readonly number[]) => {
  let number = 0;
  return clean(count)(lengths).flatMap((attempt, t) => [
    ...before
      .filter((step) => step === t)
      .map(() => {
        const tensor = (number * 5) % lengths.length;
        const at = (number * 7919) % lengths[tensor]!;
        const bad = BAD[number % BAD.length]!;
        number += 1;
        return {
          values: attempt.values.map((values, i) => (i === tensor ? withBits(values, at, bad) : values)),
          lr: 0.7,
        };
      }),
    attempt,
  ]);
};

describe("several groups, arena and loose tensors of odd lengths and offsets", () => {
  const mixes: readonly (readonly [string, readonly Rule[]])[] = [
    ["adam, nadam, look-ahead", [adam({ weightDecay: 0.1 }), nadam(), nesterovLookahead()]],
    [
      "look-ahead, momentum, look-ahead",
      [
        rmspropNesterov({ weightDecay: 0.01 }),
        momentum({ momentum: 0.9 }),
        nesterovLookahead({ decay: "decoupled", weightDecay: 0.1 }),
      ],
    ],
  ];
  // Twenty attempts, eight of them bad: at the beginning, in a row, and spread.
  const before = [0, 0, 3, 4, 4, 4, 8, 11];

  test.each(mixes)("skipped steps leave no trace: %s", async (_, groupRules) => {
    const plain = await train(groupRules, clean(12), undefined, "late");
    for (const manner of ["wait", "late", "one encoder"] as const) {
      const idle = await train(groupRules, clean(12), {}, manner);
      expect(bits(idle.values), `${manner}, nothing to skip`).toEqual(bits(plain.values));
      const got = await train(groupRules, dirtied(12, before), { skipsInFlight: 8 }, manner);
      expect(bits(got.values), manner).toEqual(bits(plain.values));
      expect(got.steps).toEqual([12, 12, 12]);
      expect(got.reports.map(({ taken }) => taken)).toEqual(
        Array.from({ length: 12 }, (_, t) => [
          ...before.filter((b) => b === t).map(() => false),
          true,
        ]).flat(),
      );
      expect(got.reports.at(-1)).toMatchObject({ attempt: 20, applied: 12, skipped: 8, faults: 0 });
    }
  });

  test.each(mixes)(
    "a bad micro-batch takes its whole step with it and no more: %s",
    async (_, groupRules) => {
      const plain = await train(groupRules, clean(6), undefined, "accumulate");
      for (const manner of ["accumulate", "accumulate in one encoder"] as const) {
        const got = await train(groupRules, dirtied(6, [0, 2, 2, 5]), {}, manner);
        expect(bits(got.values), manner).toEqual(bits(plain.values));
        expect(got.steps).toEqual([6, 6, 6]);
      }
    },
  );

  test("beyond skipsInFlight all steps are skipped and counted as faults, until the host knows", async () => {
    const groupRules = mixes[0]![1];
    // Two skips are within the limit of two, so that the third and fourth step are taken; the third skip is not.
    const attempts = (lengths: readonly number[]) => dirtied(6, [1, 2, 4])(lengths);
    const got = await train(groupRules, attempts, { skipsInFlight: 2 }, "one encoder", (lengths) =>
      clean(6)(lengths).slice(4),
    );
    expect(got.reports.map(({ taken }) => taken)).toEqual([
      true,
      false,
      true,
      false,
      true,
      true,
      false,
      false,
      false,
      true,
      true,
    ]);
    expect(got.reports.map(({ faults }) => faults)).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2]);
    expect(got.reports.map(({ skipped }) => skipped)).toEqual([0, 1, 1, 2, 2, 2, 3, 4, 5, 5, 5]);
    const plain = await train(groupRules, clean(6), undefined, "late");
    expect(bits(got.values)).toEqual(bits(plain.values));
    expect(got.steps).toEqual([6, 6, 6]);
  });

  test("the same run gives the same bits, reports included", async () => {
    const guards = { clipValue: 1, clipNorm: 2, clipGlobalNorm: 3, lossScale: { interval: 4 } };
    const once = () => train(mixes[0]![1], dirtied(12, before), guards, "one encoder");
    const [first, second] = [await once(), await once()];
    expect(bits(second.values)).toEqual(bits(first.values));
    const untimed = (reports: readonly StepReport[]) => reports.map(({ gpuTime: _, ...report }) => report);
    expect(untimed(second.reports)).toEqual(untimed(first.reports));
    expect(first.reports).toHaveLength(20);
  });

  test("a changed hyperparameter that Nadam's memory depends on, once settled, meets no skipped step", async () => {
    const { device } = watched();
    const final = async (skip: boolean) => {
      const tensors = [tensor(device, "x", LENGTH)];
      const [{ grad, param }] = tensors as [TestTensor];
      write(device, param, normals(9, LENGTH));
      const optimizer = await createOptimizer(device, { rule: nadam(), parameters: tensors, guards: {} });
      const step = (values: Float32Array) => {
        write(device, grad, values);
        optimizer.step();
      };
      const given = some(4);
      step(given[0]!);
      if (skip) step(spoiled(given[1]!, Number.NaN));
      await optimizer.settled();
      optimizer.groups[0]!.set({ beta1: 0.5, momentumDecay: 0.1 });
      for (const values of given.slice(1)) step(values);
      const [values] = await read(device, [param]);
      optimizer.destroy();
      destroyTensors(tensors);
      return values!;
    };
    expect(await final(true)).toEqual(await final(false));
  });
});

const NO_LIMIT = 3.4028234663852886e38;

/** Clipping in float64: by value, then each tensor by its norm, then all by their common norm. */
function clip(
  given: readonly Float32Array[],
  {
    clipValue = NO_LIMIT,
    clipNorm = NO_LIMIT,
    clipGlobalNorm = NO_LIMIT,
    clipFormula = "pytorch",
  }: GuardOptions,
) {
  const norm = (values: readonly number[]) =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const factor = (n: number, limit: number) => {
    if (limit === NO_LIMIT) return 1;
    if (clipFormula === "optax") return n < limit ? 1 : limit / n;
    return Math.min(1, limit / (n + 1e-6));
  };
  const byTensor = given.map((values) => {
    const clamped = [...values].map((value) => Math.max(-clipValue, Math.min(clipValue, value)));
    const own = factor(norm(clamped), clipNorm);
    return clamped.map((value) => own * value);
  });
  const globalNorm = norm(byTensor.flat());
  const all = factor(globalNorm, clipGlobalNorm);
  return { values: byTensor.map((values) => values.map((value) => all * value)), globalNorm, factor: all };
}

const allSgd = [sgd({ lr: 1 }), sgd({ lr: 1 }), sgd({ lr: 1 })];

describe("clipping", () => {
  const limits: readonly GuardOptions[] = [
    {},
    { clipValue: 0.5 },
    { clipNorm: 3 },
    // Above the norms of some tensors and below those of others.
    { clipNorm: 40 },
    { clipGlobalNorm: 7 },
    { clipGlobalNorm: 1e6 },
    { clipValue: 0.25, clipNorm: 2 },
    { clipValue: 2, clipGlobalNorm: 5 },
    { clipNorm: 10, clipGlobalNorm: 12 },
    { clipValue: 1.5, clipNorm: 10, clipGlobalNorm: 12 },
    { clipNorm: 1e-4, clipGlobalNorm: 1e-4 },
  ];
  const cases = limits.flatMap((limit) =>
    (["pytorch", "optax"] as const).map((clipFormula) => ({
      clipValue: NO_LIMIT,
      clipNorm: NO_LIMIT,
      clipGlobalNorm: NO_LIMIT,
      ...limit,
      clipFormula,
    })),
  );

  test.each([1, 128])(
    "equals float64 with a loss scale of %d, changed by setGuards at each step",
    async (lossScale) => {
      const { device } = watched();
      const model = makeModel();
      const reports: StepReport[] = [];
      const optimizer = await createOptimizer(device, {
        groups: model.groups.map((parameters, i) => ({ parameters, rule: allSgd[i]! })),
        guards: { lossScale, skipsInFlight: 1 },
        telemetry: { onReport: (report) => reports.push(report) },
      });
      const zeros = model.lengths.map((length) => new Float32Array(length));
      const given = cases.map((_, t) =>
        model.lengths.map((length, i) => normals(7 * t + i, length, 2 ** (i - 3))),
      );
      // The parameters start each step at zero, so that they end it at minus the clipped gradient, unrounded.
      const { after } = await record(device, optimizer, {
        steps: cases.length,
        grads: [...model.grads, ...model.params],
        gradients: (t) => [
          ...given[t - 1]!.map((values) => values.map((value) => lossScale * value)),
          ...zeros,
        ],
        watch: model.params,
        before: (t) => optimizer.setGuards(cases[t - 1]!),
      });
      await optimizer.settled();
      expect(reports).toHaveLength(cases.length);
      cases.forEach((guards, t) => {
        const expected = clip(given[t]!, guards);
        // Squares are summed in f32, 16 vectors a thread and then in pairs, which keeps norms within a few ULP (6e-8 each).
        const worst = Math.max(
          ...expected.values.flatMap((values, i) =>
            values.map((value, k) => Math.abs(after[t]![i]![k]! + value) / Math.max(Math.abs(value), 1e-30)),
          ),
        );
        expect(worst, JSON.stringify(guards)).toBeLessThan(1e-6);
        expect(Math.abs(reports[t]!.gradientNorm / expected.globalNorm - 1)).toBeLessThan(1e-6);
        expect(Math.abs(reports[t]!.clipFactor / expected.factor - 1)).toBeLessThan(1e-6);
      });
      optimizer.destroy();
      model.destroy();
    },
  );

  test("acts on the mean over micro-batches", async () => {
    const guards = { clipNorm: 1, clipGlobalNorm: 1.5 };
    const start = await train(allSgd, () => [], {}, "accumulate");
    const got = await train(allSgd, (lengths) => clean(1)(lengths), guards, "accumulate");
    const values = clean(1)(start.values.map(({ length }) => length))[0]!.values;
    // (3·0.5 + 1·(−2))/4
    const mean = values.map((list) => list.map((value) => -0.125 * value));
    const expected = clip(mean, guards).values;
    const rates = [0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.03, 0.03, 0.03];
    expected.forEach((list, i) => {
      list.forEach((value, k) => {
        const error = got.values[i]![k]! - (start.values[i]![k]! - rates[i]! * value);
        // Rounded at the size of the parameter, once by the product and once by the difference.
        expect(Math.abs(error)).toBeLessThan(2 ** -23 * (Math.abs(start.values[i]![k]!) + Math.abs(value)));
      });
    });
  });
});

describe("NaN and infinity", () => {
  // Head of three, two vec4, tail of one.
  const COUNT = 12;
  const BATCH = 48;

  test.each(["skip", "zero", "keep"] as const)("%s: in every lane, of every kind", async (nonFinite) => {
    const { device } = watched();
    const tensors = [
      tensor(device, "p", COUNT, { offset: 4 }),
      tensor(device, "q", 9, { gradientOffset: 4 }),
    ];
    const [p, q] = tensors as [TestTensor, TestTensor];
    const reports: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { nonFinite, skipsInFlight: 64 },
      telemetry: { onReport: (report) => reports.push(report) },
    });
    const cases = BAD.flatMap((bad) => Array.from({ length: COUNT + 9 }, (_, at) => ({ bad, at })));
    const plain = [normals(1, COUNT), normals(2, 9)] as const;
    for (let start = 0; start < cases.length; start += BATCH) {
      const batch = cases.slice(start, start + BATCH);
      const { after } = await record(device, optimizer, {
        steps: batch.length,
        grads: [p.grad, q.grad, p.param, q.param],
        gradients: (t) => {
          const { bad, at } = batch[t - 1]!;
          return [
            at < COUNT ? withBits(plain[0], at, bad) : plain[0],
            at < COUNT ? plain[1] : withBits(plain[1], at - COUNT, bad),
            new Float32Array(COUNT),
            new Float32Array(9),
          ];
        },
        watch: [p.param, q.param],
      });
      await optimizer.settled();
      batch.forEach(({ bad, at }, t) => {
        const what = `0x${bad.toString(16)} at ${at}`;
        const got = [...after[t]![0]!, ...after[t]![1]!];
        const expected = [...plain[0], ...plain[1]].map((value) => (nonFinite === "skip" ? 0 : 0 - value));
        if (nonFinite === "keep") {
          expect(Number.isFinite(got[at]), what).toBe(false);
          if ((bad & 0x7fffff) === 0) expect(got[at], what).toBe(bad >> 31 ? Infinity : -Infinity);
          else expect(got[at], what).toBeNaN();
        } else expect(got[at]! + 0, what).toBe(0);
        got[at] = 0;
        expected[at] = 0;
        expect(got, what).toEqual(expected);
        const report = reports[start + t]!;
        expect(report.nonFinite, what).toBe(1);
        expect(report.taken, what).toBe(nonFinite !== "skip");
        const others = [...plain[0], ...plain[1]].filter((_, i) => i !== at);
        expect(report.gradientNorm / Math.hypot(...others), what).toBeCloseTo(1, 6);
      });
    }
    expect(reports).toHaveLength(cases.length);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("zero: the norms ignore what is zeroed", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "p", COUNT, { offset: 4 })];
    const [p] = tensors as [TestTensor];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { nonFinite: "zero", clipNorm: 1 },
    });
    const given = normals(4, COUNT, 3);
    write(device, p.param, new Float32Array(COUNT));
    writeBits(device, p.grad, withBits(withBits(given, 2, 0x7f800000), 7, 0xffc12345));
    optimizer.step();
    const [values] = await read(device, [p.param]);
    const expected = clip([given.map((value, i) => (i === 2 || i === 7 ? 0 : value))], { clipNorm: 1 })
      .values[0]!;
    values!.forEach((value, i) => {
      // A few f32 roundings.
      expect(Math.abs(value + expected[i]!)).toBeLessThanOrEqual(1e-6 * Math.abs(expected[i]!));
    });
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("subnormal and small gradients are finite", async () => {
    const values = new Float32Array(LENGTH);
    new Uint32Array(values.buffer).set([
      0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000,
    ]);
    values[6] = 1e-30;
    const { reports } = await run(sgd(), [values], {}, { telemetry: true });
    expect(reports).toMatchObject([{ taken: true, nonFinite: 0 }]);
  });

  test("under zero, large tensors are clipped as others are, and nothing turns into NaN", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 400), tensor(device, "y", 7)];
    const [x, y] = tensors as [TestTensor, TestTensor];
    const reports: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { nonFinite: "zero", clipNorm: 1, clipGlobalNorm: 1 },
      telemetry: { onReport: (report) => reports.push(report) },
    });
    for (const { param } of tensors) write(device, param, new Float32Array(param.size / 4));
    write(device, x.grad, new Float32Array(400).fill(1e18));
    write(device, y.grad, normals(1, 7));
    optimizer.step();
    await optimizer.settled();
    const [xs, ys] = await read(device, [x.param, y.param]);
    // Both norms become 1, and then that of both.
    xs!.forEach((value) => {
      expect(value).toBeCloseTo(-Math.SQRT1_2 / 20, 7);
    });
    expect(Math.hypot(...ys!)).toBeCloseTo(Math.SQRT1_2, 5);
    expect(reports).toMatchObject([{ taken: true, nonFinite: 0 }]);
    expect(reports[0]!.gradientNorm).toBeCloseTo(Math.SQRT2, 5);
    optimizer.destroy();
    destroyTensors(tensors);
  });
});

/** PyTorch's GradScaler, with a floor and a cap. */
function gradScaler(
  script: readonly boolean[],
  {
    initial,
    growth,
    backoff,
    interval,
    min,
    max,
  }: Record<"initial" | "growth" | "backoff" | "interval" | "min" | "max", number>,
): number[] {
  let scale = initial;
  let tracker = 0;
  return script.map((good) => {
    const used = scale;
    if (!good) {
      scale = Math.max(scale * backoff, min);
      tracker = 0;
    } else {
      tracker += 1;
      if (tracker === interval) {
        scale = Math.min(scale * growth, max);
        tracker = 0;
      }
    }
    return used;
  });
}

describe("loss scale", () => {
  test("a fixed power of two gives the bits of the run without it", async () => {
    const guards = { clipValue: 3, clipNorm: 1, clipGlobalNorm: 0.9 };
    for (const lossScale of [1024, 2 ** -3]) {
      const scaled = some(5).map((values) => values.map((value) => lossScale * value));
      const plain = await run(adam(), some(5), guards);
      const got = await run(adam(), scaled, { ...guards, lossScale });
      expect(got.parameters).toEqual(plain.parameters);
      expect(got.states).toEqual(plain.states);
    }
  });

  test("another fixed number is divided out within one rounding", async () => {
    const scaled = some(1).map((values) => values.map((value) => 1000 * value));
    const got = await run(adam(), scaled, { lossScale: 1000 });
    some(1)[0]!.forEach((value, i) => {
      // exp_avg is 0.1·g: the scaled gradient, the reciprocal, the product and 0.1 are rounded once each.
      expect(Math.abs(got.states[0]![i]! - 0.1 * value)).toBeLessThanOrEqual(
        4 * 2 ** -23 * Math.abs(0.1 * value),
      );
    });
  });

  // Bad ones from the start down to the floor, then growth to the cap, with a bad one just before it would grow.
  const script = [..."bbbb ggg gg b ggg ggg ggg ggg ggg ggg b ggg"]
    .filter((c) => c !== " ")
    .map((c) => c === "g");
  const options = { initial: 1024, growth: 4, backoff: 0.25, interval: 3, min: 16, max: 8192 };

  test.each(["one encoder", "step by step"])(
    "dynamic: a caller's kernel reads it, and it follows PyTorch's GradScaler, %s",
    async (manner) => {
      const { device } = watched();
      const reports: StepReport[] = [];
      const param = upload(device, normals(3, LENGTH));
      const grad = upload(device, new Float32Array(LENGTH));
      const plain = upload(device, new Float32Array(LENGTH));
      const optimizer = await createOptimizer(device, {
        rule: adam({ lr: 0.01 }),
        schedule,
        parameters: [{ name: "x", param, grad }],
        guards: { lossScale: options, clipGlobalNorm: 1, skipsInFlight: 16 },
        telemetry: { onReport: (report) => reports.push(report) },
      });
      const pipeline = device.createComputePipeline({
        layout: "auto",
        compute: {
          module: device.createShaderModule({
            code: `
@group(0) @binding(0) var<uniform> scale: f32;
@group(0) @binding(1) var<storage, read> plain: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&gradient)) { gradient[id.x] = scale * plain[id.x]; }
}`,
          }),
        },
      });
      const bindGroup = device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [optimizer.lossScale, plain, grad].map((resource, binding) => ({ binding, resource })),
      });
      let good = 0;
      const clean = some(script.length);
      const given = script.map((ok) => {
        const values = clean[good]!;
        if (ok) good += 1;
        // Finite before it is scaled: what overflows is the product.
        return ok ? values : spoiled(values, 3.4e38, 100);
      });
      const taken = clean.slice(0, good);
      const rows = upload(
        device,
        given.flatMap((values) => [...values]),
      );
      let encoder = device.createCommandEncoder();
      for (const [t] of script.entries()) {
        encoder.copyBufferToBuffer(rows.buffer, t * LENGTH * 4, plain.buffer, 0, LENGTH * 4);
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(Math.ceil(LENGTH / 64));
        pass.end();
        optimizer.encode(encoder);
        if (manner === "one encoder") continue;
        device.queue.submit([encoder.finish()]);
        optimizer.submitted();
        await optimizer.settled();
        encoder = device.createCommandEncoder();
      }
      device.queue.submit([encoder.finish()]);
      optimizer.submitted();
      await optimizer.settled();
      const [parameters, exp_avg] = await read(device, [param, optimizer.state("x", "exp_avg")]);
      const [scale] = await read(device, [optimizer.lossScale]);
      const scales = gradScaler([...script, true], options);
      expect(reports.map(({ lossScale }) => lossScale)).toEqual(scales.slice(0, -1));
      expect(scale![0]).toBe(scales.at(-1));
      expect(reports.map(({ taken }) => taken)).toEqual(script);
      // Powers of two: the bits of the run that was never scaled.
      const expected = await run(adam({ lr: 0.01 }), taken, { clipGlobalNorm: 1 });
      expect(parameters).toEqual(expected.parameters);
      expect(exp_avg).toEqual(expected.states[0]);
      optimizer.destroy();
      for (const { buffer } of [param, grad, plain, rows]) buffer.destroy();
    },
  );

  test("steps that are taken in spite of a NaN lower the scale as well", async () => {
    const given = some(2);
    const { reports } = await run(
      sgd(),
      [spoiled(given[0]!, Number.NaN), given[1]!],
      { nonFinite: "zero", lossScale: { initial: 64 } },
      { telemetry: true },
    );
    expect(reports.map(({ lossScale, taken }) => [lossScale, taken])).toEqual([
      [64, true],
      [32, true],
    ]);
  });
});

describe("bad input", () => {
  const wrong: readonly (readonly [string, object])[] = [
    ["an unknown guard", { guards: { clip: 1 } }],
    ["a negative clipValue", { guards: { clipValue: -1 } }],
    ["a clipNorm of zero", { guards: { clipNorm: 0 } }],
    ["a clipGlobalNorm of NaN", { guards: { clipGlobalNorm: Number.NaN } }],
    ["a string as clipNorm", { guards: { clipNorm: "1" } }],
    ["an unknown formula", { guards: { clipFormula: "keras" } }],
    ["an unknown way with NaN", { guards: { nonFinite: "raise" } }],
    ["a loss scale of zero", { guards: { lossScale: 0 } }],
    ["a string as loss scale", { guards: { lossScale: "1024" } }],
    ["null as loss scale", { guards: { lossScale: null } }],
    ["an unknown option of the loss scale", { guards: { lossScale: { start: 1 } } }],
    ["a growth below 1", { guards: { lossScale: { growth: 0.5 } } }],
    ["skipsInFlight of zero", { guards: { skipsInFlight: 0 } }],
    ["skipsInFlight of 65", { guards: { skipsInFlight: 65 } }],
    ["guards that are true", { guards: true }],
    ["guards that are a list", { guards: [] }],
    ["unknown telemetry", { telemetry: { on: true } }],
    ["every of zero", { telemetry: { every: 0 } }],
    ["every of 1.5", { telemetry: { every: 1.5 } }],
    ["onReport that is no function", { telemetry: { onReport: 1 } }],
    ["perTensor of 1", { telemetry: { perTensor: 1 } }],
    ["telemetry that is true", { telemetry: true }],
  ];

  test.each(wrong)("%s is refused before any GPU work", async (_, options) => {
    const { device, counts } = watched();
    const tensors = [tensor(device, "x", 8)];
    const before = { ...counts };
    await expectError(
      () => createOptimizer(device, { rule: adam(), parameters: tensors, ...options }),
      "invalid-argument",
    );
    expect(counts).toEqual(before);
    destroyTensors(tensors);
  });

  test("what needs guards or telemetry throws without the option", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const plain = await createOptimizer(device, { rule: adam(), parameters: tensors });
    await expectError(() => plain.lossScale, "invalid-argument", "guards");
    await expectError(() => plain.setGuards({ clipNorm: 1 }), "invalid-argument", "guards");
    await expectError(() => plain.reports, "invalid-argument", "telemetry");
    await expectError(() => plain.failure, "invalid-argument");
    await plain.settled();
    plain.destroy();
    const guarded = await createOptimizer(device, { rule: adam(), parameters: tensors, guards: {} });
    await expectError(() => guarded.reports, "invalid-argument", "telemetry");
    guarded.destroy();
    destroyTensors(tensors);
  });

  test("setGuards refuses what cannot be changed and what is out of range, and changes nothing then", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const [x] = tensors as [TestTensor];
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: 1 }),
      parameters: tensors,
      guards: { clipValue: 0.5 },
    });
    const set = (options: unknown) => () => optimizer.setGuards(options as GuardOptions);
    await expectError(set({ lossScale: 2 }), "invalid-argument", "lossScale");
    await expectError(set({ skipsInFlight: 2 }), "invalid-argument", "skipsInFlight");
    await expectError(set({ clipValue: 0.25, clipNorm: -1 }), "invalid-argument", "clipNorm");
    await expectError(set({ clipValue: 0.25, unknown: 1 }), "invalid-argument", "unknown");
    await expectError(set(undefined), "invalid-argument");
    await expectError(set(null), "invalid-argument");
    write(device, x.param, new Float32Array(8));
    write(device, x.grad, new Float32Array(8).fill(2));
    optimizer.step();
    expect(await read(device, [x.param])).toEqual([new Float32Array(8).fill(-0.5)]);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("after destroy, all of it throws", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 8)];
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: tensors,
      guards: {},
      telemetry: {},
    });
    optimizer.destroy();
    for (const call of [
      () => optimizer.lossScale,
      () => optimizer.reports,
      () => optimizer.setGuards({ clipNorm: 1 }),
      () => optimizer.settled(),
    ])
      await expect(async () => call()).rejects.toMatchObject({ name: "OptimError", code: "destroyed" });
    destroyTensors(tensors);
  });

  test("tensors without elements need no guard", async () => {
    const { device } = watched();
    const { buffer } = upload(device, [0]);
    const { buffer: gradient } = upload(device, [0]);
    const optimizer = await createOptimizer(device, {
      rule: adam(),
      parameters: [
        { name: "x", param: { buffer, offset: 0, size: 0 }, grad: { buffer: gradient, offset: 0, size: 0 } },
      ],
      guards: {},
      telemetry: {},
    });
    optimizer.step();
    await optimizer.settled();
    expect(optimizer.groups[0]!.steps).toBe(1);
    optimizer.destroy();
    buffer.destroy();
    gradient.destroy();
  });
});
