// What must be equal between rules, wrappers and layouts, tried at random.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  adagrad,
  adam,
  adamw,
  createOptimizer,
  ftrl,
  type OptimizerOptions,
  type Rule,
  type RuleFactory,
  rmsprop,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { bits, stepBound, stepErrors } from "../support/judge.js";
import { long } from "../support/long.js";
import { gradients, normals } from "../support/numbers.js";
import { shapeless } from "../support/shapeless.js";

const watched = useDevice();

/** Tries of a property, each of a few optimizers: the same ones each time, with --long more and others. */
const TRIES = long ? { numRuns: 300 } : { numRuns: 15, seed: 1 };
const STEPS = 5;

interface Given {
  readonly name: string;
  readonly start: Float32Array;
  /** Of step t, from 1. */
  readonly gradient: (t: number) => Float32Array;
}

/** A tensor of normal values with gradients that differ in size, sign and step. */
const given = (name: string, seed: number, length: number): Given => ({
  name,
  start: normals(seed, length),
  gradient: (t) => gradients(seed + 1, t, length),
});

type Options = Omit<OptimizerOptions, "parameters" | "groups">;

/** Parameters after a few steps, by name. `drive` takes step t by itself; a plain step if left out. */
async function run(
  options: Options,
  tensors: readonly Given[],
  drive?: (
    optimizer: Awaited<ReturnType<typeof createOptimizer>>,
    set: (values: (given: Given) => Float32Array) => void,
    t: number,
  ) => void,
): Promise<ReadonlyMap<string, Float32Array>> {
  const { device } = watched();
  const parameters = tensors.map(({ name, start }, index) => ({
    name,
    param: upload(device, start, { offset: 4 * (index % 3) }),
    grad: upload(device, new Float32Array(start.length), { offset: 4 * (index % 2) }),
  }));
  const optimizer = await createOptimizer(device, { ...options, parameters });
  for (let t = 1; t <= STEPS; t += 1) {
    const set = (values: (given: Given) => Float32Array) => {
      tensors.forEach((tensor, index) => {
        write(device, parameters[index]!.grad, values(tensor));
      });
    };
    if (drive) drive(optimizer, set, t);
    else {
      optimizer.lookahead();
      set(({ gradient }) => gradient(t));
      optimizer.step();
    }
  }
  const values = await read(
    device,
    parameters.map(({ param }) => param),
  );
  optimizer.destroy();
  for (const { param, grad } of parameters) for (const { buffer } of [param, grad]) buffer.destroy();
  return new Map(tensors.map(({ name }, index) => [name, values[index]!]));
}

const same = (a: ReadonlyMap<string, Float32Array>, b: ReadonlyMap<string, Float32Array>) => {
  expect([...b.keys()].sort()).toEqual([...a.keys()].sort());
  for (const [name, values] of a) expect(bits(values), name).toEqual(bits(b.get(name)!));
};
/** @param reach of an element: how far it may have been on the way, which is what rounding is in proportion to */
const near = (
  a: ReadonlyMap<string, Float32Array>,
  b: ReadonlyMap<string, Float32Array>,
  bound: number,
  reach: (i: number) => number = () => 0,
) => {
  for (const [name, values] of a)
    values.forEach((value, i) => {
      const other = b.get(name)![i]!;
      expect(Math.abs(value - other), `${name}[${i}]: ${value}, ${other}`).toBeLessThanOrEqual(
        bound * (1 + Math.abs(value) + reach(i)),
      );
    });
};

const seeds = fc.integer({ min: 1, max: 1e6 });
const lengths = fc.integer({ min: 1, max: 70 });
const rate = fc.double({ min: 1e-4, max: 0.1, noNaN: true });
const beta = fc
  .double({ min: 0, max: 0.99, noNaN: true })
  // Below, f32 has 0 only, and options say so.
  .map((value) => (value < 2 ** -126 ? 0 : value));
const anyRule = fc.constantFrom(...shapeless);

/** A rule at random values of its own options, within what training uses. */
const anyOptions = ({ row }: RuleFactory) =>
  fc.record(
    Object.fromEntries(
      Object.entries(row.options).map(([name, spec]) => {
        if (spec.kind === "flag") return [name, fc.boolean()];
        if (spec.kind === "choice") return [name, fc.constantFrom(...spec.values)];
        if (name === "lr") return [name, rate];
        if (name === "weightDecay") return [name, fc.constantFrom(0, 0.01, 0.3)];
        const { default: usual = 0 } = spec;
        // Around the default, within the range.
        const other = spec.whole ? Math.ceil(usual * 0.9) : usual * 0.9;
        return [name, fc.constantFrom(usual, other)];
      }),
    ),
  );
const ruleWithOptions = anyRule.chain((factory) =>
  anyOptions(factory).map((options) => factory(options as never) as Rule),
);
const property = <T>(arbitrary: fc.Arbitrary<T>, holds: (value: T) => Promise<void>) =>
  fc.assert(fc.asyncProperty(arbitrary, holds), TRIES);

describe("rules", () => {
  test("AdamW without decay is Adam", () =>
    property(fc.tuple(seeds, lengths, rate, beta), async ([seed, length, lr, beta1]) => {
      const tensors = [given("x", seed, length)];
      same(
        await run({ rule: adamw({ lr, beta1, weightDecay: 0 }) }, tensors),
        await run({ rule: adam({ lr, beta1 }) }, tensors),
      );
    }));

  test("Adam with β1 = 0 is RMSProp with bias correction", () =>
    property(fc.tuple(seeds, lengths, rate, beta), async ([seed, length, lr, beta2]) => {
      const tensors = [given("x", seed, length)];
      const [one, other] = [
        await run({ rule: adam({ lr, beta1: 0, beta2, eps: 1e-6 }) }, tensors),
        await run({ rule: rmsprop({ lr, alpha: beta2, eps: 1e-6, biasCorrection: true }) }, tensors),
      ];
      // Adam multiplies by the rate after m, which is g here: the same roundings.
      if (watched().software) same(one, other);
      else near(one, other, 1e-6);
    }));

  test("FTRL at power −½ is AdaGrad, at power 0 gradient descent", () =>
    property(fc.tuple(seeds, lengths, rate), async ([seed, length, lr]) => {
      const tensor = given("x", seed, length);
      // AdaGrad's ε stands outside the root; FTRL has none, and its closed form cancels what the parameter was.
      near(
        await run({ rule: ftrl({ lr, initialAccumulatorValue: 0 }) }, [tensor]),
        await run({ rule: adagrad({ lr, eps: 0 }) }, [tensor]),
        5e-6,
      );
      // With a constant rate θ = −ηΣg: it holds nothing of where the parameter began.
      const fromZero = { ...tensor, start: new Float32Array(length) };
      near(
        await run({ rule: ftrl({ lr, learningRatePower: 0 }) }, [fromZero]),
        await run({ rule: sgd({ lr }) }, [fromZero]),
        1e-6,
        // Sums of large gradients may cancel.
        (i) => {
          let sum = 0;
          for (let t = 1; t <= STEPS; t += 1) sum += lr * Math.abs(tensor.gradient(t)[i]!);
          return sum;
        },
      );
    }));

  test("Adam does not see the scale of the gradients", () =>
    property(fc.tuple(seeds, lengths, fc.integer({ min: -12, max: 12 })), async ([seed, length, power]) => {
      const tensor = given("x", seed, length);
      const scaled = {
        ...tensor,
        gradient: (t: number) => tensor.gradient(t).map((g) => g * 2 ** power),
      };
      // An epsilon below the last bit of √v̂; a power of two scales f32 without rounding.
      const options = { rule: adam({ lr: 0.01, eps: 2 ** -50 }) };
      const results = [await run(options, [tensor]), await run(options, [scaled])] as const;
      if (watched().software) same(...results);
      else near(...results, 1e-6);
    }));

  test("f(−θ, −g) = −f(θ, g)", () =>
    property(fc.tuple(ruleWithOptions, seeds, lengths), async ([rule, seed, length]) => {
      const tensor = given("x", seed, length);
      const mirrored = {
        ...tensor,
        start: tensor.start.map((value) => -value),
        gradient: (t: number) => tensor.gradient(t).map((g) => -g),
      };
      const values = (await run({ rule }, [tensor])).get("x")!;
      const other = (await run({ rule }, [mirrored])).get("x")!;
      // Rounding is symmetric; zeros may differ in sign.
      expect([...other].map((value) => -value + 0)).toEqual([...values].map((value) => value + 0));
    }));

  test("random hyperparameters, lengths and offsets follow the reference", () =>
    property(
      fc.tuple(ruleWithOptions, seeds, lengths, fc.nat(3), fc.nat(3)),
      async ([rule, seed, length, paramAt, gradAt]) => {
        const { device, software } = watched();
        const { states, sums } = rule.row.shader;
        // Sums over a tensor are rounded in proportion to its length, not by element.
        if (sums.length > 0) return;
        const tensor = {
          name: "x",
          param: upload(device, normals(seed, length), { offset: 4 * paramAt, after: 16 }),
          grad: upload(device, new Float32Array(length), { offset: 4 * gradAt, after: 16 }),
        };
        const optimizer = await createOptimizer(device, { rule, parameters: [tensor] });
        const after: Float32Array[][] = [];
        const rows = Array.from({ length: STEPS }, (_, index) => gradients(seed, index + 1, length));
        for (const row of rows) {
          optimizer.lookahead();
          write(device, tensor.grad, row);
          optimizer.step();
          after.push(
            await read(device, [tensor.param, ...states.map((state) => optimizer.state("x", state))]),
          );
        }
        optimizer.destroy();
        for (const { buffer } of [tensor.param, tensor.grad]) buffer.destroy();
        const rates = rows.map(() => rule.options.lr);
        const result = { rule, initial: normals(seed, length), gradients: rows, rates, after };
        expect(stepErrors(result, stepBound(software)).slice(0, 3)).toEqual([]);
      },
    ));
});

describe("around any rule", () => {
  test("the order of tensors, and how they are grouped, changes no bit", () =>
    property(
      fc.tuple(ruleWithOptions, seeds, fc.array(lengths, { minLength: 2, maxLength: 5 })),
      async ([rule, seed, sizes]) => {
        // A sum over all tensors is added up in their order.
        if (rule.row.scope === "all") return;
        const tensors = sizes.map((length, index) => given(`t${index}`, seed + index, length));
        const forward = await run({ rule }, tensors);
        // Where a tensor lies decides how many lanes its sum is added up in.
        const equal =
          rule.row.shader.sums.length > 0 ? (...runs: Parameters<typeof same>) => near(...runs, 1e-5) : same;
        equal(forward, await run({ rule }, [...tensors].reverse()));
        for (const tensor of tensors)
          equal(await run({ rule }, [tensor]), new Map([[tensor.name, forward.get(tensor.name)!]]));
      },
    ));

  test("accumulating k equal micro-batches is a step with their mean", () =>
    property(
      fc.tuple(ruleWithOptions, seeds, lengths, fc.constantFrom(1, 2, 4)),
      async ([rule, seed, length, count]) => {
        if (rule.row.shader.lookahead) return;
        const tensor = given("x", seed, length);
        // Multiples of 1/64: f32 holds their sum and its quarter exactly.
        const part = (t: number, k: number) =>
          gradients(seed + 100 * k, t, length).map((g) => Math.round(g * 64) / 64);
        const parts = Array.from({ length: count }, (_, k) => k);
        const mean = (t: number) =>
          part(t, 0).map((_, i) => parts.reduce((sum, k) => sum + part(t, k)[i]!, 0) / count);
        const accumulated = await run({ rule, accumulation: true }, [tensor], (optimizer, set, t) => {
          for (const k of parts) {
            set(() => part(t, k));
            optimizer.accumulate({ samples: 8 });
          }
          optimizer.step();
        });
        const direct = await run({ rule }, [{ ...tensor, gradient: mean }]);
        if (watched().software) same(accumulated, direct);
        else near(accumulated, direct, 1e-5);
      },
    ));

  test("accumulating micro-batches of any sizes is their weighted mean", () =>
    property(
      fc.tuple(seeds, lengths, fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 4 })),
      async ([seed, length, sizes]) => {
        const tensor = given("x", seed, length);
        const part = (t: number, k: number) => gradients(seed + 100 * k, t, length);
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const mean = (t: number) =>
          part(t, 0).map((_, i) => sizes.reduce((sum, size, k) => sum + size * part(t, k)[i]!, 0) / total);
        const rule = sgd({ lr: 0.01 });
        const accumulated = await run({ rule, accumulation: true }, [tensor], (optimizer, set, t) => {
          sizes.forEach((samples, k) => {
            set(() => part(t, k));
            optimizer.accumulate({ samples });
          });
          optimizer.step();
        });
        // Gradients go up to about 500: a few roundings of 500 · 0.01, five times.
        near(accumulated, await run({ rule }, [{ ...tensor, gradient: mean }]), 5e-6);
      },
    ));

  test("Lookahead with α = 1 is the rule by itself", () =>
    property(
      fc.tuple(ruleWithOptions, seeds, lengths, fc.integer({ min: 1, max: 4 })),
      async ([rule, seed, length, every]) => {
        const tensors = [given("x", seed, length)];
        same(await run({ rule, slowWeights: { alpha: 1, every } }, tensors), await run({ rule }, tensors));
      },
    ));

  test("guards without a limit leave every rule as it is", () =>
    property(fc.tuple(ruleWithOptions, seeds, lengths), async ([rule, seed, length]) => {
      const tensors = [given("x", seed, length)];
      // Another kernel, whose roundings WGSL lets differ: a few ULP of each step.
      near(await run({ rule, guards: {} }, tensors), await run({ rule }, tensors), 1e-5);
    }));
});

test("SGD is linear in its gradients", () =>
  property(fc.tuple(seeds, lengths), async ([seed, length]) => {
    const tensor = given("x", seed, length);
    const [once, twice] = [
      await run({ rule: sgd({ lr: 0.25 }) }, [tensor]),
      await run({ rule: sgd({ lr: 0.125 }) }, [
        { ...tensor, gradient: (t) => tensor.gradient(t).map((g) => 2 * g) },
      ]),
    ];
    same(once, twice);
  }));
