// What f32 cannot hold of parameters, averages and sums of micro-batches: kept, whatever the compiler does to sums.
import { describe, expect, test } from "vitest";
import {
  type AverageOptions,
  adam,
  adamw,
  createOptimizer,
  nesterovLookahead,
  type OptimizerOptions,
  type Rule,
  sgd,
} from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { decayStyles } from "../../src/rule.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { bits } from "../support/judge.js";
import { long } from "../support/long.js";
import { march } from "../support/march.js";
import { gradients } from "../support/numbers.js";
import { shapeless } from "../support/shapeless.js";

const watched = useDevice();
/** With a tail. */
const LENGTH = 7;
const PER_SUBMIT = 100;
const { fround } = Math;

type Options = Omit<OptimizerOptions, "parameters">;
type Row = (t: number) => Float32Array;

const filled = (value: number) => new Float32Array(LENGTH).fill(value);
const zeros: Row = () => filled(0);
const noise: Row = (t) => gradients(3, t, LENGTH);
/** Gradients of one sign, mostly: every rule goes one way. */
const slope: Row = (t) => noise(t).map((value) => 1 + 0.5 * value);

/** Values and residuals as one list of numbers. */
const exact = (values: Float32Array, residuals: Float32Array): Float64Array =>
  Float64Array.from(values, (value, i) => value + residuals[i]!);
const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

/** Tensors of their own, each a group, and their optimizer. */
async function create(
  starts: Readonly<Record<string, ArrayLike<number>>>,
  { groups = [], ...options }: Options,
) {
  const { device } = watched();
  const tensors = Object.entries(starts).map(([name, start]) => ({
    name,
    param: upload(device, start, { offset: 4, after: 8 }),
    grad: upload(device, new Float32Array(start.length), { offset: 4 }),
  }));
  const optimizer = await createOptimizer(device, {
    stepsInFlight: 2 * PER_SUBMIT,
    ...options,
    groups: tensors.map((tensor, index) => ({ ...groups[index], parameters: [tensor] })),
  });
  return {
    device,
    optimizer,
    tensors,
    /** Steps along gradients that are known beforehand. */
    async run(steps: number, row: Row, from = 1) {
      const rows = upload(device, Array.from({ length: steps }, (_, t) => [...row(from + t)]).flat());
      const size = rows.size / steps;
      await march(device, optimizer, steps, (t, encoder) => {
        optimizer.lookahead(encoder);
        for (const { grad } of tensors)
          encoder.copyBufferToBuffer(rows.buffer, (t - 1) * size, grad.buffer, grad.offset, size);
        optimizer.encode(encoder);
      });
      rows.buffer.destroy();
    },
    /** A tensor's parameters, and what of its states is asked for. */
    read: (name: string, ...states: readonly string[]) =>
      read(device, [
        tensors.find((tensor) => tensor.name === name)!.param,
        ...states.map((state) => optimizer.state(name, state)),
      ]),
    end() {
      optimizer.destroy();
      for (const { param, grad } of tensors) for (const { buffer } of [param, grad]) buffer.destroy();
    },
  };
}

/** The same steps of two groups, compensated and plain. */
async function both(start: ArrayLike<number>, options: Options, steps: number, row: Row) {
  const groups = [{ compensated: true }, {}] as unknown as Options["groups"];
  const made = await create({ kept: start, plain: start }, { ...options, groups });
  await made.run(steps, row);
  const [values, residuals] = await made.read("kept", "compensation");
  const [plain] = await made.read("plain");
  made.end();
  return { kept: exact(values!, residuals!), plain: plain! };
}

/** The steps of the compensated group in float64. */
function descended(
  start: ArrayLike<number>,
  { row, options }: Rule,
  steps: number,
  gradient: Row,
): Float64Array {
  let parameters: Float64Array = Float64Array.from(start);
  let state = referenceState(row, options, parameters);
  for (let t = 1; t <= steps; t += 1) {
    const gradients = Float64Array.from(gradient(t));
    ({ parameters, state } = referenceStep(
      row,
      options,
      { t, lr: options.lr, name: "kept" },
      parameters,
      gradients,
      state,
    ));
  }
  return parameters;
}

describe("compensated parameters", () => {
  test.each([
    {
      what: "Adam at 1e5, with steps below half an ulp",
      start: 1e5,
      rule: adam({ lr: 1e-3 }),
      steps: 1000,
      row: slope,
    },
    {
      what: "Adam from 100, 8 000 steps of one sign",
      start: 100,
      rule: adam({ lr: 1e-6 }),
      steps: 8000,
      row: slope,
    },
    {
      what: "Adam from 100, 8 000 steps of any sign",
      start: 100,
      rule: adam({ lr: 1e-4 }),
      steps: 8000,
      row: noise,
    },
    {
      what: "AdamW from 1, zero gradients",
      start: 1,
      rule: adamw({ lr: 3e-4, weightDecay: 1e-4 }),
      steps: long ? 20_000 : 5000,
      row: zeros,
    },
    {
      what: "AdamW from 1.9, zero gradients",
      start: 1.9,
      rule: adamw({ lr: 3e-4, weightDecay: 1e-4 }),
      steps: long ? 20_000 : 5000,
      row: zeros,
    },
  ])("$what: within 5e-7 of float64, or 1e-5 of the way", async ({ start, rule, steps, row }) => {
    const from = filled(start);
    const { kept, plain } = await both(from, { rule }, steps, row);
    const expected = descended(from, rule, steps, row);
    const bound = Math.max(5e-7, 1e-5 * worst(expected, from));
    expect(worst(kept, expected)).toBeLessThan(bound);
    // The figures tell: without compensation they are far off.
    expect(worst(plain, expected)).toBeGreaterThan(50 * bound);
  });

  test.each(decayStyles)("a %s decay of less than half an ulp", async (decay) => {
    const rule = sgd({ lr: 3e-4, weightDecay: decay === "independent" ? 3e-8 : 1e-4, decay });
    const from = Float32Array.from({ length: LENGTH }, (_, i) => [1, 1.9, -1, -1.9][i % 4]!);
    const { kept, plain } = await both(from, { rule }, 1000, zeros);
    const expected = descended(from, rule, 1000, zeros);
    expect(worst(kept, expected)).toBeLessThan(1e-10);
    expect(worst(plain, expected)).toBeGreaterThan(2e-5);
  });

  /** Options under which a rule takes small steps. */
  const small: Readonly<Record<string, Readonly<Record<string, number>>>> = {
    adadelta: { lr: 1e-2 },
    rprop: { stepSizeMax: 1e-4 },
    "schedule-free-sgd": { lr: 1e-3 },
  };

  // Half of the rules, and with `test --long` all.
  const some = shapeless.filter((_, index) => long || index % 2 === 0);
  test.each(some.map((factory) => [factory.row.name, factory] as const))(
    "%s around 1e4 follows float64 where f32 stands still",
    async (name, factory) => {
      const rule = factory({ lr: 1e-5, ...small[name] });
      const from = Float32Array.from({ length: LENGTH }, (_, i) => (i % 2 ? 1e4 : -1e4) * (1 + i / 10));
      const steps = 100;
      const expected = descended(from, rule, steps, slope);
      if (rule.row.absolute === true) {
        // There is nothing to keep, and it costs nothing.
        const made = await create({ x: from }, { rule, compensated: true });
        await expectError(() => made.optimizer.state("x", "compensation"), "unknown-name");
        made.end();
        return;
      }
      const { kept, plain } = await both(from, { rule }, steps, slope);
      const error = worst(kept, expected);
      // Prodigy measures its distance between f32 parameters.
      expect(error).toBeLessThan((name === "prodigy" ? 0.1 : 1e-4) * worst(expected, from));
      expect(worst(plain, expected)).toBeGreaterThan(9 * error);
    },
  );

  test("parameters that the caller writes have no residual left", async () => {
    const made = await create({ x: filled(1e5) }, { rule: sgd({ lr: 1e-3 }), compensated: true });
    await made.run(3, () => filled(1));
    const [, residuals] = await made.read("x", "compensation");
    expect(worst(residuals!, filled(0))).toBeGreaterThan(2e-3);
    write(made.device, made.tensors[0]!.param, filled(1e-3));
    await made.run(1, zeros);
    expect(await made.read("x", "compensation")).toEqual([filled(1e-3), filled(0)]);
    // A residual that is not finite, as of parameters that were not, is none either.
    write(made.device, made.optimizer.state("x", "compensation"), filled(Number.NaN));
    await made.run(1, zeros);
    expect(await made.read("x", "compensation")).toEqual([filled(1e-3), filled(0)]);
    made.end();
  });

  test.each([
    ["guards that need nothing else", { guards: { clipGlobalNorm: 1e9 } }],
    [
      "guards by tensor and reports of every step",
      { guards: { clipNorm: 1e9 }, telemetry: { perTensor: true } },
    ],
  ])("%s give the same bits, and a skipped step leaves no trace", async (_, monitored) => {
    const options: Options = { rule: adam({ lr: 1e-3 }), compensated: true, average: { decay: 0.99 } };
    const results = [];
    for (const extra of [{}, monitored]) {
      const made = await create({ x: filled(1e5) }, { ...options, ...extra });
      const spoiled = Object.keys(extra).length > 0;
      for (let t = 1; t <= 30; t += 10) {
        if (spoiled) await made.run(2, () => filled(Number.NaN));
        await made.run(10, slope, t);
      }
      await made.optimizer.settled();
      const values = await made.read("x", "compensation", "exp_avg", "average", "average_compensation");
      results.push(values.map(bits));
      made.end();
    }
    expect(results[1]).toEqual(results[0]);
  });

  test("a look-ahead or an ascent starts from the kept parameters, and back to them, residual and all", async () => {
    const start = { x: filled(1e5) };
    const plain = await create(start, { rule: sgd({ lr: 1e-3 }), compensated: true });
    const sam = await create(start, { rule: sgd({ lr: 1e-3 }), compensated: true, sam: { rho: 3 } });
    const ahead = await create(start, {
      rule: nesterovLookahead({ lr: 1e-3, momentum: 0 }),
      compensated: true,
    });
    for (let t = 1; t <= 20; t += 1) {
      for (const { device, tensors } of [plain, sam, ahead]) write(device, tensors[0]!.grad, slope(t));
      sam.optimizer.ascend();
      ahead.optimizer.lookahead();
      if (t === 10) {
        sam.optimizer.restore();
        ahead.optimizer.restore();
        sam.optimizer.ascend();
        ahead.optimizer.lookahead();
      }
      for (const { optimizer } of [plain, sam, ahead]) optimizer.step();
    }
    const expected = await plain.read("x", "compensation");
    expect(await sam.read("x", "compensation")).toEqual(expected);
    expect(await ahead.read("x", "compensation")).toEqual(expected);
    for (const made of [plain, sam, ahead]) made.end();
  });
});

describe("averages", () => {
  /** Writes the parameters of each step, and gives their average after the last with what its f32 does not hold. */
  async function averaged(average: AverageOptions, rows: readonly number[], compensated = false) {
    const made = await create({ x: filled(rows[0]!) }, { rule: sgd({ lr: 0 }), average, compensated });
    const { device, optimizer, tensors } = made;
    const values = upload(
      device,
      rows.flatMap((value) => [...filled(value)]),
    );
    const { buffer, offset, size } = tensors[0]!.param;
    await march(device, optimizer, rows.length, (t, encoder) => {
      encoder.copyBufferToBuffer(values.buffer, (t - 1) * size, buffer, offset, size);
      optimizer.encode(encoder);
    });
    const [, mean, residuals] = await made.read("x", "average", "average_compensation");
    values.buffer.destroy();
    made.end();
    return exact(mean!, residuals!);
  }

  /** The recurrence in float64 and in f32. */
  function recurrence(rows: readonly number[], weight: (t: number) => number) {
    let mean = 0;
    let rounded = 0;
    rows.forEach((value, index) => {
      const w = weight(index + 1);
      mean += w * (value - mean);
      rounded = w === 1 ? value : fround(rounded + fround(fround(w) * fround(value - rounded)));
    });
    return { mean, rounded };
  }

  const ramp = Array.from({ length: 2000 }, (_, t) => fround(1 + (1e-4 * (t + 1)) / 2000));

  test.each([0.9999, 0.99999])("an exponential one of %d over 2 000 steps does not freeze", async (decay) => {
    const { mean, rounded } = recurrence(ramp, (t) => (t === 1 ? 1 : 1 - decay));
    for (const compensated of [false, true]) {
      const result = await averaged({ decay }, ramp, compensated);
      expect(worst(result, new Float64Array(LENGTH).fill(mean))).toBeLessThan(1e-3 * (mean - 1));
    }
    expect(Math.abs(rounded - mean)).toBeGreaterThan(0.5 * (mean - 1));
  });

  const equal = (count: number, step: number) =>
    Array.from({ length: 2 * count }, (_, t) => (t < count ? 1 : fround(1 + step)));

  test.each(long ? [[50_000, 1e-3] as const] : [[4000, 2e-4] as const])(
    "an equal one of %d ones and as many larger by %d does not freeze",
    async (count, step) => {
      const rows = equal(count, step);
      const { mean, rounded } = recurrence(rows, (t) => 1 / t);
      const result = await averaged({ kind: "equal" }, rows);
      expect(worst(result, new Float64Array(LENGTH).fill(mean))).toBeLessThan(2e-4 * step);
      expect(Math.abs(rounded - mean)).toBeGreaterThan(0.25 * step);
    },
    120_000,
  );

  test("a copy has no residual", async () => {
    expect(await averaged({ decay: 0 }, [1e5, fround(1 / 3)])).toEqual(
      new Float64Array(LENGTH).fill(fround(1 / 3)),
    );
  });

  test("of compensated parameters are of what these are, and go in and out with the bits", async () => {
    const made = await create(
      { x: filled(1e5) },
      {
        rule: sgd({ lr: 1e-3 }),
        compensated: true,
        average: { decay: 0.9 },
      },
    );
    await made.run(50, () => filled(1));
    const names = ["average", "compensation", "average_compensation"];
    const [values, mean, residuals, rest] = await made.read("x", ...names);
    let expected = 1e5 - 1e-3;
    for (let t = 2; t <= 50; t += 1) expected += 0.1 * (1e5 - 1e-3 * t - expected);
    expect(worst(exact(mean!, rest!), new Float64Array(LENGTH).fill(expected))).toBeLessThan(1e-7);
    made.optimizer.swapAverage();
    expect(await made.read("x", ...names)).toEqual([mean, values, residuals, rest]);
    made.optimizer.swapAverage();
    expect(await made.read("x", ...names)).toEqual([values, mean, residuals, rest]);
    made.end();
  });
});

describe("slow weights", () => {
  /** Lookahead around gradient descent along 1, in float64. */
  function lookahead(start: number, lr: number, every: number, alpha: number, steps: number): number {
    let fast = start;
    let slow = start;
    for (let t = 1; t <= steps; t += 1) {
      fast -= lr;
      if (t % every === 0) fast = slow += alpha * (fast - slow);
    }
    return slow;
  }

  test("of compensated parameters move where f32 stands still", async () => {
    const [lr, every, alpha, steps] = [1e-3, 5, 0.5, 1000];
    const groups = [{ compensated: true }, {}] as unknown as Options["groups"];
    const from = filled(1e5);
    const made = await create(
      { kept: from, plain: from },
      {
        rule: sgd({ lr }),
        slowWeights: { every, alpha },
        groups,
      },
    );
    await made.run(steps, () => filled(1));
    const names = ["compensation", "slow_weights", "slow_weights_compensation"];
    const [values, residuals, slow, rest] = await made.read("kept", ...names);
    const expected = new Float64Array(LENGTH).fill(lookahead(1e5, lr, every, alpha, steps));
    expect(worst(exact(values!, residuals!), expected)).toBeLessThan(1e-6);
    expect([slow, rest]).toEqual([values, residuals]);
    expect(await made.read("plain")).toEqual([from]);
    made.end();
  });

  test("of plain parameters keep what a small alpha moves them by", async () => {
    // Two ulps a step, ten to a synchronization, of which 0.4 are taken.
    const [lr, every, alpha, steps] = [2 ** -23, 5, 0.04, 1000];
    const made = await create(
      { x: filled(1.5) },
      { rule: sgd({ lr: 2 * lr }), slowWeights: { every, alpha } },
    );
    await made.run(steps, () => filled(1));
    const [slow] = await made.read("x");
    const expected = new Float64Array(LENGTH).fill(lookahead(1.5, 2 * lr, every, alpha, steps));
    expect(worst(slow!, expected)).toBeLessThan(lr);
    made.end();
  });
});

test("the mean of 20 000 micro-batches of 1/3 is 1/3", async () => {
  const count = 20_000;
  const made = await create({ x: filled(0) }, { rule: sgd({ lr: 1 }), accumulation: true });
  const { device, optimizer, tensors } = made;
  write(device, tensors[0]!.grad, filled(1 / 3));
  await march(device, optimizer, count, (_, encoder) => optimizer.accumulate({}, encoder));
  optimizer.step();
  const [values] = await made.read("x");
  made.end();
  expect(worst(values!, filled(-1 / 3))).toBeLessThan(1e-7);
  let sum = 0;
  for (let t = 0; t < count; t += 1) sum = fround(sum + fround(1 / 3));
  expect(Math.abs(3 * (sum / count) - 1)).toBeGreaterThan(1e-4);
});
