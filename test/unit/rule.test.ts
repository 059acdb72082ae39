// Options of rules: defaults, ranges, and what is refused.
import { describe, expect, test } from "vitest";
import { adam, adamw, momentum, rmsprop, rules, sgd } from "../../src/index.js";
import {
  checkOptions,
  choice,
  flag,
  fraction,
  nonNegative,
  positive,
  type RuleOptions,
  type RuleRow,
  scalarsAt,
} from "../../src/rule.js";

const row = {
  ...sgd.row,
  name: "example",
  options: {
    rate: nonNegative(0.5),
    needed: nonNegative(),
    eps: positive(1e-8),
    beta: fraction(0.9),
    half: { kind: "number", default: 0, min: 0, max: 1 },
    odd: { kind: "number", default: 1, min: 0, max: 3, exclusiveMax: true },
    flag: flag(true),
    mode: choice("first", "second"),
  },
} as const satisfies RuleRow;

const defaults = { rate: 0.5, eps: 1e-8, beta: 0.9, half: 0, odd: 1, flag: true, mode: "first" };

describe("checkOptions", () => {
  test("fills in the defaults, and the base before them", () => {
    expect(checkOptions(row, { needed: 1 })).toEqual({ ...defaults, needed: 1 });
    const base = checkOptions(row, { needed: 1, beta: 0.5, flag: false, mode: "second" });
    expect(checkOptions(row, { needed: 2 }, base)).toEqual({ ...base, needed: 2 });
    expect(checkOptions(row, {}, base)).toEqual(base);
  });

  test("what it gives cannot be changed, and what was given is not", () => {
    const given = { needed: 1 };
    const checked = checkOptions(row, given);
    expect(Object.isFrozen(checked)).toBe(true);
    expect(given).toEqual({ needed: 1 });
  });

  test.each([
    [{}, "needed", "got nothing. Fix: pass needed"],
    [{ needed: undefined }, "needed", "got nothing"],
    [{ needed: 1, rate: -1e-300 }, "rate", "[0, ∞), got -1e-300"],
    [{ needed: 1, rate: Number.POSITIVE_INFINITY }, "rate", "got Infinity"],
    [{ needed: 1, rate: Number.NaN }, "rate", "got NaN"],
    [{ needed: 1, rate: "1" }, "rate", "got '1'"],
    [{ needed: 1, rate: undefined }, "rate", "got nothing"],
    [{ needed: 1, eps: 0 }, "eps", "(0, ∞), got 0"],
    [{ needed: 1, eps: 1e-40 }, "eps", "that f32 holds, at least 1.2e-38, got 1e-40"],
    [{ needed: 1, rate: 1e-40 }, "rate", "[0, ∞) that f32 holds, at least 1.2e-38, got 1e-40"],
    [{ needed: 2 ** -127 }, "needed", "that f32 holds, at least 1.2e-38"],
    [{ needed: 1, beta: 1e-40 }, "beta", "[0, 1) that f32 holds, at least 1.2e-38"],
    [{ needed: 1, half: 5e-324 }, "half", "[0, 1] that f32 holds, at least 1.2e-38"],
    [{ needed: 1, beta: 1 }, "beta", "[0, 1), got 1"],
    [{ needed: 1, beta: 1 - 2 ** -26 }, "beta", "[0, 1) that f32 holds, at most 0.99999994, got 0.99999998"],
    [{ needed: 1, beta: 1 - 2 ** -25 }, "beta", "at most 0.99999994"],
    [{ needed: 1, odd: 3 - 2 ** -30 }, "odd", "[0, 3) that f32 holds, at most 2.9999998"],
    [{ needed: 1, half: 1.0000001 }, "half", "[0, 1], got 1.0000001"],
    [{ needed: 1, flag: 1 }, "flag", "true or false, got 1"],
    [{ needed: 1, mode: "third" }, "mode", "one of first, second, got 'third'"],
    [{ needed: 1, mode: 0 }, "mode", "got 0"],
    [{ needed: 1, other: 1 }, "other", "expected one of rate, needed, eps"],
    [{ needed: 1, constructor: 1 }, "constructor", "no option"],
    [{ needed: 1, __proto__: null, toString: 1 }, "toString", "no option"],
  ])("refuses %j", (given, name, part) => {
    let thrown: { code?: string; message?: string } = {};
    try {
      checkOptions(row, given);
    } catch (error) {
      thrown = error as typeof thrown;
    }
    expect(thrown.code).toBe("invalid-option");
    expect(thrown.message).toContain(`'${name}'`);
    expect(thrown.message).toContain(part);
  });

  // Of f32: larger ones round to infinity.
  const LARGEST = (2 - 2 ** -23) * 2 ** 127;

  test("takes the bounds that belong to the range", () => {
    const bounds = { needed: 0, rate: 0, eps: 2 ** -126, beta: 0, half: 1 };
    expect(checkOptions(row, bounds)).toEqual({ ...defaults, ...bounds });
    expect(checkOptions(row, { needed: LARGEST }).needed).toBe(LARGEST);
    const least = { needed: 2 ** -126, rate: 2 ** -126, beta: 1 - 2 ** -24, half: 2 ** -126 };
    expect(checkOptions(row, least)).toMatchObject(least);
    expect(checkOptions(row, { needed: 1, beta: 0.99999994 }).beta).toBe(0.99999994);
    expect(checkOptions(row, { needed: 1, half: 1 - 2 ** -26 }).half).toBe(1 - 2 ** -26);
  });

  test("what f32 does not hold is refused at creation by every rule", () => {
    for (const rule of rules) {
      expect(() => rule({ lr: 1e-40 }), rule.row.name).toThrow("that f32 holds, at least 1.2e-38, got 1e-40");
      for (const [name, spec] of Object.entries(rule.row.options))
        if (spec.kind === "number" && spec.max === 1 && spec.exclusiveMax)
          expect(() => rule({ [name]: 1 - 2 ** -26 }), `${rule.row.name} ${name}`).toThrow(
            "at most 0.99999994",
          );
    }
    expect(() => momentum({ momentum: 1 - 2 ** -26 })).toThrow("at most 0.99999994");
  });
});

describe("scalarsAt", () => {
  const fields = (...names: string[]) =>
    ({
      ...sgd.row,
      shader: { ...sgd.row.shader, scalars: Object.fromEntries(names.map((name) => [name, 0])) },
    }) as RuleRow;
  const options = {
    lr: 1,
    weightDecay: 0,
    decay: "coupled",
    maximize: true,
    cautious: "off",
    beta1: 0.1,
    epsRoot: 2,
  } as RuleOptions;

  test("fills fields by the names of the options, the rate, and one minus either", () => {
    const row = fields("rate", "beta1", "one_minus_beta1", "eps_root", "one_minus_rate", "weight_decay");
    expect(scalarsAt(row, options, 1, 0.25, [])).toEqual({
      rate: 0.25,
      beta1: 0.1,
      one_minus_beta1: 1 - 0.1,
      eps_root: 2,
      one_minus_rate: 0.75,
      weight_decay: 0,
    });
  });

  test("what the row gives goes first, also in one minus it", () => {
    const row = {
      ...fields("rate", "beta1", "one_minus_beta1", "one_minus_mu"),
      scalars: (_: unknown, t: number, lr: number, [memory = 0]: readonly number[]) => ({
        rate: lr * t,
        beta1: memory,
        mu: 0.25,
      }),
    };
    const given = { rate: 6, beta1: 0.5, one_minus_beta1: 0.5, one_minus_mu: 0.75, mu: 0.25 };
    expect(scalarsAt(row, options, 3, 2, [0.5])).toEqual(given);
  });

  test("a flag, a choice and a name that says nothing are no scalars", () => {
    expect(scalarsAt(fields("maximize", "decay", "other", "toString"), options, 1, 1, [])).toEqual({});
    expect(scalarsAt(fields("one_minus_other", "one_minus_decay"), options, 1, 1, [])).toEqual({
      one_minus_other: Number.NaN,
      one_minus_decay: Number.NaN,
    });
  });
});

describe("factories", () => {
  // PyTorch 2's documented defaults; the constructors of torch.optim.
  test.each([
    [
      adam(),
      { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, maximize: false, decay: "coupled" },
    ],
    [adamw(), { lr: 1e-3, weightDecay: 1e-2, decay: "decoupled" }],
    [rmsprop(), { lr: 1e-2, alpha: 0.99, eps: 1e-8, epsInside: false }],
    [momentum(), { lr: 1e-3, momentum: 0.9, dampening: 0, form: "buffer" }],
    [rules.find(({ row }) => row.name === "adadelta")!(), { lr: 1, rho: 0.9, eps: 1e-6 }],
    [rules.find(({ row }) => row.name === "adagrad")!(), { lr: 1e-2, lrDecay: 0, eps: 1e-10 }],
    [rules.find(({ row }) => row.name === "adamax")!(), { lr: 2e-3, eps: 1e-8 }],
    [rules.find(({ row }) => row.name === "nadam")!(), { lr: 2e-3, momentumDecay: 4e-3 }],
  ])("$row.name has its defaults", (rule, wanted) => {
    expect(rule.options).toMatchObject(wanted);
  });

  test.each(rules.map((rule) => ({ name: rule.row.name, rule })))(
    "$name accepts its defaults",
    ({ rule }) => {
      const { options, row } = rule();
      expect(rule(options).options).toEqual(options);
      expect(row).toBe(rule.row);
      for (const common of ["lr", "weightDecay", "decay", "maximize", "cautious"])
        expect(row.options).toHaveProperty(common);
      expect(row.formula).not.toBe("");
      expect(row.source).not.toBe("");
    },
  );

  test("names are unique", () => {
    expect(new Set(rules.map(({ row }) => row.name)).size).toBe(rules.length);
  });
});
