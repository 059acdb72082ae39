// What guards accept, what they refuse, and what is left out.
import { describe, expect, test } from "vitest";
import { checkNames } from "../../src/engine/options/check-names.js";
import { checkGuards, type GuardOptions, UNLIMITED } from "../../src/engine/options/guard-options.js";
import { expectError } from "../support/errors.js";

const NONE = {
  clipValue: UNLIMITED,
  clipNorm: UNLIMITED,
  clipGlobalNorm: UNLIMITED,
  clipFormula: "pytorch",
  nonFinite: "skip",
  lossScale: { initial: 1, growth: 2, backoff: 0.5, interval: 2000, min: 1, max: 2 ** 24 },
  dynamicScale: false,
  skipsInFlight: 8,
};

test("nothing given is no limit, a scale of one and skipping", () => {
  expect(checkGuards({})).toEqual(NONE);
  expect(Math.fround(UNLIMITED)).toBe(UNLIMITED);
  expect(Math.fround(UNLIMITED * (1 + 2 ** -23))).toBe(Infinity);
});

test("every option is taken, and undefined is as left out", () => {
  const options = {
    clipValue: 1,
    clipNorm: 2,
    clipGlobalNorm: 3,
    clipFormula: "optax",
    nonFinite: "zero",
    lossScale: 1024,
    skipsInFlight: 64,
  } as const;
  expect(checkGuards(options)).toEqual({
    ...options,
    lossScale: { ...NONE.lossScale, initial: 1024 },
    dynamicScale: false,
  });
  const nothing = Object.fromEntries(Object.keys(options).map((name) => [name, undefined]));
  expect(checkGuards(nothing as GuardOptions)).toEqual(NONE);
  // A fixed scale may lie outside the range of dynamic ones.
  expect(checkGuards({ lossScale: 0.125 }).lossScale.initial).toBe(0.125);
});

test("an object makes the scale dynamic, at PyTorch's defaults", () => {
  expect(checkGuards({ lossScale: {} })).toEqual({
    ...NONE,
    lossScale: { ...NONE.lossScale, initial: 65_536 },
    dynamicScale: true,
  });
  const all = { initial: 8, growth: 4, backoff: 0.25, interval: 10, min: 2, max: 64 };
  expect(checkGuards({ lossScale: all }).lossScale).toEqual(all);
});

test("what a change leaves out stays as it was", () => {
  const base = checkGuards({
    clipValue: 1,
    clipNorm: 2,
    nonFinite: "keep",
    lossScale: { initial: 4 },
    skipsInFlight: 3,
  });
  expect(checkGuards({}, base)).toEqual(base);
  expect(checkGuards({ clipNorm: 5, clipFormula: "optax" }, base)).toEqual({
    ...base,
    clipNorm: 5,
    clipFormula: "optax",
  });
});

test("Infinity lifts a limit", () => {
  const limited = checkGuards({ clipValue: 1, clipNorm: 2, clipGlobalNorm: 3 });
  const lifted = checkGuards({ clipValue: Infinity, clipNorm: Infinity, clipGlobalNorm: Infinity }, limited);
  expect([lifted.clipValue, lifted.clipNorm, lifted.clipGlobalNorm]).toEqual([
    UNLIMITED,
    UNLIMITED,
    UNLIMITED,
  ]);
});

describe("is refused", () => {
  const numbers = ["clipValue", "clipNorm", "clipGlobalNorm", "lossScale"] as const;
  // In f32, 1e39 is infinite, 1e-46 zero, and 1e-40 a subnormal that a GPU may flush to zero.
  const values = [
    0,
    -1,
    Number.NaN,
    Infinity,
    -Infinity,
    1e39,
    1e-46,
    1e-40,
    "1",
    true,
    null,
    [],
    [1],
    () => 1,
  ];
  const refused = numbers.flatMap((name) => values.map((value) => [name, value] as const));
  // No limit is a limit that may be given.
  test.each(refused.filter(([name, value]) => name === "lossScale" || value !== Infinity))(
    "%s: %o",
    async (name, value) => {
      await expectError(() => checkGuards({ [name]: value } as GuardOptions), "invalid-argument", name);
    },
  );

  test.each([
    ["clipFormula", "PyTorch"],
    ["clipFormula", null],
    ["clipFormula", 1],
    ["nonFinite", "ignore"],
    ["nonFinite", true],
    ["nonFinite", null],
    ["skipsInFlight", 0],
    ["skipsInFlight", 65],
    ["skipsInFlight", 1.5],
    ["skipsInFlight", "8"],
    ["skipsInFlight", null],
    ["clipnorm", 1],
  ])("%s: %o", async (name, value) => {
    await expectError(() => checkGuards({ [name]: value } as GuardOptions), "invalid-argument", name);
  });

  test.each([
    [{ initial: 0 }, "lossScale"],
    [{ initial: undefined }, "lossScale"],
    [{ initial: "2" }, "lossScale"],
    [{ growth: 0.99 }, "growth"],
    [{ growth: Number.NaN }, "growth"],
    [{ growth: Infinity }, "growth"],
    [{ backoff: 0 }, "backoff"],
    [{ backoff: 1.01 }, "backoff"],
    [{ interval: 0 }, "interval"],
    [{ interval: 2.5 }, "interval"],
    // A u32 would take this for one.
    [{ interval: 2 ** 32 + 1 }, "interval"],
    [{ min: 0 }, "min"],
    [{ min: -1 }, "min"],
    [{ min: 8, max: 4, initial: 8 }, "max"],
    [{ initial: 2, min: 4 }, "initial"],
    [{ initial: 8, max: 4 }, "initial"],
    [{ factor: 2 }, "factor"],
    // The reciprocal is no normal f32.
    [{ max: 2 ** 127 }, "2^126"],
    [{ initial: 2 ** 127, max: 2 ** 126 }, "2^126"],
    [{ min: 2 ** -127 }, "2^-126"],
    [{ initial: 2 ** -127, min: 2 ** -126 }, "2^-126"],
  ])("lossScale: %o", async (lossScale, part) => {
    await expectError(() => checkGuards({ lossScale } as unknown as GuardOptions), "invalid-argument", part);
  });

  test.each([undefined, null, 1, true, "on", [], () => 1])("guards that are %o", async (guards) => {
    await expectError(() => checkGuards(guards as unknown as GuardOptions), "invalid-argument", "guards");
  });
});

test("loss scales go from 2^-126 to 2^126, and others are refused with the limit in the message", async () => {
  for (const lossScale of [2 ** -126, 2 ** 126])
    expect(checkGuards({ lossScale }).lossScale.initial).toBe(lossScale);
  expect(checkGuards({ lossScale: { max: 2 ** 126, min: 2 ** -126 } }).dynamicScale).toBe(true);
  await expectError(() => checkGuards({ lossScale: 2 ** 127 }), "invalid-argument", "2^126");
  await expectError(() => checkGuards({ lossScale: 2 ** -127 }), "invalid-argument", "2^-126");
});

test("names: an empty object is one, a name beyond the list is quoted with it", async () => {
  expect(() => checkNames("telemetry", {}, ["every"])).not.toThrow();
  expect(() => checkNames("telemetry", { every: 1 }, ["every"])).not.toThrow();
  await expectError(
    () => checkNames("telemetry", { evry: 1 }, ["every", "onReport"]),
    "invalid-argument",
    "one of every, onReport",
  );
});
