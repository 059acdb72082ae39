// What defineRule takes and what it refuses, before there is a device.
import { describe, expect, test } from "vitest";
import { choice, defineRule, fraction } from "../../src/define-rule.js";
import type { OptimErrorCode } from "../../src/index.js";
import { scalarsAt } from "../../src/rule.js";
import { expectError } from "../support/errors.js";
import { plainRule } from "../support/plain-rule.js";

describe("bad definitions", () => {
  const withState = `${plainRule.wgsl.replace("gradient: vec4f)", "gradient: vec4f, state: ptr<function, State>)")}
struct State { m: vec4f }`;
  test.each([
    ["nothing", undefined, "invalid-option"],
    ["a part that no rule has", { ...plainRule, startAtParameter: ["m"] }, "invalid-option"],
    ["an empty name", { ...plainRule, name: "" }, "invalid-option"],
    ["no WGSL", { ...plainRule, wgsl: undefined }, "invalid-option"],
    ["scalars that are no function", { ...plainRule, scalars: { rate: 1 } }, "invalid-option"],
    [
      "a scalar that the WGSL has not",
      { ...plainRule, scalars: () => ({ rate: 1, other: 1 }) },
      "invalid-option",
    ],
    [
      "a scalar too few",
      { ...plainRule, wgsl: plainRule.wgsl.replaceAll("rate", "step_size"), scalars: () => ({}) },
      "invalid-option",
    ],
    ["a scalar that is NaN", { ...plainRule, scalars: () => ({ rate: Number.NaN }) }, "invalid-option"],
    ["a state that is not there", { ...plainRule, startsAtParameter: ["m"] }, "invalid-option"],
    ["an initial value of no state", { ...plainRule, initial: () => ({ m: 1 }) }, "invalid-option"],
    ["a constant that is not there", { ...plainRule, constants: () => ({ m: 1 }) }, "invalid-option"],
    ["a default of another kind", { ...plainRule, defaults: { beta: "0.9" } }, "invalid-option"],
    ["no defaults", { ...plainRule, defaults: null }, "invalid-option"],
    ["a list of defaults", { ...plainRule, defaults: [1, 2] }, "invalid-option"],
    [
      "a spec of no kind",
      { ...plainRule, defaults: { beta: { kind: "foo", default: 1 } } },
      "invalid-option",
    ],
    ["a choice of nothing", { ...plainRule, defaults: { beta: { kind: "choice" } } }, "invalid-option"],
    ["a default out of its range", { ...plainRule, defaults: { beta: fraction(1) } }, "invalid-option"],
    ["a default that is NaN", { ...plainRule, defaults: { beta: Number.NaN } }, "invalid-option"],
    ["the engine's decay for a rate", { ...plainRule, defaults: { decay: 0.9 } }, "invalid-option"],
    [
      "the engine's decay for a fraction",
      { ...plainRule, defaults: { decay: fraction(0.9) } },
      "invalid-option",
    ],
    [
      "the engine's decay in another style",
      { ...plainRule, defaults: { decay: choice("late") } },
      "invalid-option",
    ],
    ["the engine's direction for a number", { ...plainRule, defaults: { maximize: 1 } }, "invalid-option"],
    ["a negative rate", { ...plainRule, defaults: { lr: -1 } }, "invalid-option"],
    ["states that are no list", { ...plainRule, startsAtParameter: "m" }, "invalid-option"],
    ["constants that are no function", { ...plainRule, constants: {} }, "invalid-option"],
    ["advance that is no function", { ...plainRule, advance: 3 }, "invalid-option"],
    ["memory that is no list", { ...plainRule, memory: 3 }, "invalid-option"],
    ["a point to evaluate at that is no name", { ...plainRule, evaluate: 3 }, "invalid-option"],
    ["a decay of its own that is none", { ...plainRule, ownDecay: "decoupled" }, "invalid-option"],
    ["an absoluteness that is none", { ...plainRule, absolute: 1 }, "invalid-option"],
    [
      "a state with the name of the engine's",
      { ...plainRule, wgsl: withState.replace("m: vec4f", "compensation: vec4f") },
      "invalid-option",
    ],
    ["another scope", { ...plainRule, scope: "al" }, "invalid-option"],
    ["a reference without a step", { ...plainRule, reference: { initial: () => ({}) } }, "invalid-option"],
    [
      "a state that begins at NaN",
      { ...plainRule, wgsl: withState, initial: () => ({ m: Number.NaN }) },
      "invalid-option",
    ],
    [
      "a state that begins beyond f32",
      { ...plainRule, wgsl: withState, initial: () => ({ m: 1e39 }) },
      "invalid-option",
    ],
    ["WGSL that is none", { ...plainRule, wgsl: "struct Scalars {" }, "invalid-shader"],
    [
      "another signature",
      { ...plainRule, wgsl: plainRule.wgsl.replace("gradient: vec4f", "gradient: f32") },
      "invalid-shader",
    ],
    [
      "a state of the engine's name",
      { ...plainRule, wgsl: `${plainRule.wgsl}\nstruct State { average: vec4f }` },
      "invalid-shader",
    ],
    [
      "sums without settle",
      { ...plainRule, wgsl: `${plainRule.wgsl}\nstruct Sums { a: f32 }` },
      "invalid-shader",
    ],
  ])("%s", async (_, definition, code) => {
    await expectError(() => defineRule(definition as never), code as OptimErrorCode);
  });

  test("a rule may have a rate and a style of decay of its own", () => {
    const { row } = defineRule({
      ...plainRule,
      defaults: { lr: 0.5, decay: choice("decoupled", "coupled") },
    });
    expect(row.options.lr).toEqual({ kind: "number", default: 0.5, min: 0, max: Infinity });
    expect(defineRule({ ...plainRule, wgsl: withState, initial: () => ({ m: 1 }) }).row.name).toBe("plain");
  });

  test("scalars whose names say what they are need no function", () => {
    const { row } = defineRule({
      name: "named",
      wgsl: plainRule.wgsl.replace("rate: f32", "rate: f32, one_minus_beta: f32"),
      defaults: { beta: fraction(0.9) },
    });
    const options = { ...row.options, beta: 0.75 } as never;
    expect(scalarsAt(row, options, 3, 0.5, [])).toEqual({ rate: 0.5, one_minus_beta: 0.25 });
  });

  test("without a name it is custom", () => {
    const { name: _, ...nameless } = plainRule;
    expect(defineRule(nameless).row.name).toBe("custom");
  });
});
