// What the build reads from a rule's WGSL, and what it refuses.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OptimError } from "../../src/errors.js";
import { rules } from "../../src/index.js";
import { reflectRule } from "../../src/reflect.js";
import { type RuleOptions, scalarsAt } from "../../src/rule.js";
import { QUICK } from "../../src/shaders/prelude.js";

const folder = join(import.meta.dirname, "../../src/shaders");
const files = readdirSync(folder).filter((file) => file.endsWith(".wgsl"));
const reflect = (file: string) => reflectRule(file, readFileSync(join(folder, file), "utf8"));

describe("the rules' files", () => {
  test("every file belongs to a rule and every rule to a file", () => {
    expect(new Set(rules.map(({ row }) => row.shader.file))).toEqual(new Set(files));
    expect(files.length).toBeGreaterThan(10);
  });

  test("every family has its name in the folders of rows, shaders and references", () => {
    const familiesIn = (kind: string) =>
      readdirSync(join(folder, "..", kind)).map((file) => file.replace(/\.ts$/, ""));
    const families = familiesIn("rules");
    // The table, and what all references share.
    const others = ["blocks", "matrix", "reference-rule", "rules", "step", "summands"];
    expect(familiesIn("reference").filter((file) => !others.includes(file))).toEqual(families);
    for (const file of files)
      expect(
        families.filter((family) => file.startsWith(family)),
        file,
      ).not.toEqual([]);
    for (const family of families)
      expect(
        files.some((file) => file.startsWith(family)),
        family,
      ).toBe(true);
  });

  test.each(files)("%s: f32 scalars lie one after the other, 4 bytes each", (file) => {
    const { scalars, code } = reflect(file);
    // The uniform's struct, read by hand: f32 members are 4 bytes long and aligned to 4.
    const body = /struct Scalars \{([^}]*)\}/.exec(code.replace(/\/\/.*/g, ""))![1]!;
    const names = [...body.matchAll(/^\s*(\w+): f32,/gm)].map(([, name]) => name!);
    expect(Object.entries(scalars)).toEqual(names.map((name, index) => [name, 4 * index]));
    expect(names.length).toBeGreaterThan(0);
  });

  test("adam, by hand", () => {
    expect(reflect("adam.wgsl")).toMatchObject({
      file: "adam.wgsl",
      scalars: {
        step_size: 0,
        beta1: 4,
        one_minus_beta1: 8,
        beta2: 12,
        one_minus_beta2: 16,
        inverse_bias_correction2: 20,
        eps: 24,
      },
      states: ["exp_avg", "exp_avg_sq"],
      overrides: ["eps_root", QUICK],
      linear: false,
      lookahead: false,
    });
  });

  test("a file without state, one with look-ahead, one with a constant", () => {
    expect(reflect("sgd.wgsl")).toMatchObject({ scalars: { rate: 0 }, states: [], lookahead: false });
    expect(reflect("momentum-nesterov-lookahead.wgsl")).toMatchObject({
      states: ["momentum_buffer"],
      lookahead: true,
    });
    expect(reflect("adagrad.wgsl")).toMatchObject({ states: ["sum"], overrides: ["eps_inside"] });
  });

  test.each(rules.map(({ row }) => ({ name: row.name, row })))(
    "the row of $name fits its file",
    ({ row }) => {
      const options = Object.fromEntries(
        Object.entries(row.options).map(([name, spec]) => [name, spec.default!]),
      ) as RuleOptions;
      const memory = row.advance?.(options, 1, 0.1, row.memory ?? []) ?? [];
      const scalars = scalarsAt(row, options, 1, 0.1, memory);
      expect(new Set(Object.keys(scalars))).toEqual(new Set(Object.keys(row.shader.scalars)));
      for (const value of Object.values(scalars)) expect(value).not.toBeNaN();
      expect(new Set(Object.keys(row.constants?.(options) ?? {}))).toEqual(
        new Set(row.shader.overrides.filter((name) => name !== QUICK)),
      );
      for (const state of Object.keys(row.initial?.(options) ?? {}))
        expect([...row.shader.states, ...row.shader.settled]).toContain(state);
    },
  );
});

const SCALARS = "struct Scalars { rate: f32 }";
const UNIFORM = "@group(0) @binding(0) var<uniform> scalars: Scalars;";
const STATE = "struct State { sum: vec4f }";
const UPDATE =
  "fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f { return gradient; }";
const lines = (...parts: readonly string[]) => parts.join("\n");

function refusal(code: string): OptimError {
  try {
    reflectRule("mine.wgsl", code);
  } catch (error) {
    expect(error).toBeInstanceOf(OptimError);
    return error as OptimError;
  }
  throw new Error(`accepted:\n${code}`);
}

describe("the rule contract", () => {
  test("is kept by a rule with state and by one without", () => {
    expect(reflectRule("mine.wgsl", lines(SCALARS, UNIFORM, STATE, UPDATE)).states).toEqual(["sum"]);
    const stateless = "fn update(parameter: vec4<f32>, gradient: vec4f) -> vec4<f32> { return gradient; }";
    expect(reflectRule("mine.wgsl", lines(SCALARS, UNIFORM, stateless)).states).toEqual([]);
  });

  test("offsets are those of WGSL, whatever the layout attributes say", () => {
    const scalars = "struct Scalars { a: f32, @align(16) b: f32, @size(12) c: f32, d: f32 }";
    expect(reflectRule("mine.wgsl", lines(scalars, UNIFORM, STATE, UPDATE)).scalars).toEqual({
      a: 0,
      b: 16,
      c: 20,
      d: 32,
    });
  });

  test.each([
    ["no Scalars", lines(STATE, UPDATE), undefined, "no struct Scalars"],
    [
      "a scalar that is no f32",
      lines("struct Scalars { rate: u32 }", UNIFORM, STATE, UPDATE),
      1,
      "scalar 'rate' is not f32",
    ],
    [
      "a vector among the scalars",
      lines("", "struct Scalars { rate: vec2f }", UNIFORM, STATE, UPDATE),
      2,
      "got vec2",
    ],
    [
      "more scalars than a slot holds",
      lines(
        `struct Scalars { ${Array.from({ length: 65 }, (_, i) => `s${i}: f32`).join(", ")} }`,
        UNIFORM,
        STATE,
        UPDATE,
      ),
      1,
      "at most 256 bytes, got 260",
    ],
    [
      "a uniform of another name",
      lines(SCALARS, "@group(0) @binding(0) var<uniform> values: Scalars;", STATE, UPDATE),
      2,
      "a binding named values",
    ],
    [
      "a uniform at another binding",
      lines(SCALARS, "@group(0) @binding(1) var<uniform> scalars: Scalars;", STATE, UPDATE),
      2,
      "the uniform is another",
    ],
    [
      "a uniform in another group",
      lines(SCALARS, "@group(1) @binding(0) var<uniform> scalars: Scalars;", STATE, UPDATE),
      2,
      "the uniform is another",
    ],
    [
      "a second binding",
      lines(SCALARS, UNIFORM, STATE, "@group(0) @binding(2) var<storage> more: array<f32>;", UPDATE),
      4,
      "binds nothing else",
    ],
    [
      "a state that is no vec4f",
      lines(SCALARS, UNIFORM, "struct State { sum: f32 }", UPDATE),
      3,
      "state 'sum' is not vec4f",
    ],
    ["a state of integers", lines(SCALARS, UNIFORM, "struct State { sum: vec4u }", UPDATE), 3, "got vec4"],
    ["no update", lines(SCALARS, UNIFORM, STATE), undefined, "no function update"],
    [
      "an update without the state",
      lines(
        SCALARS,
        UNIFORM,
        STATE,
        "fn update(parameter: vec4f, gradient: vec4f) -> vec4f { return gradient; }",
      ),
      4,
      "signature of 'update'",
    ],
    [
      "an update that returns nothing",
      lines(
        SCALARS,
        UNIFORM,
        STATE,
        "fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) { }",
      ),
      4,
      "-> nothing",
    ],
    [
      "an update of scalars",
      lines(
        SCALARS,
        UNIFORM,
        STATE,
        "fn update(parameter: f32, gradient: vec4f, state: ptr<function, State>) -> vec4f { return gradient; }",
      ),
      4,
      "(f32,",
    ],
    [
      "a look-ahead with another signature",
      lines(SCALARS, UNIFORM, STATE, UPDATE, "fn lookahead(parameter: vec4f) -> vec4f { return parameter; }"),
      5,
      "signature of 'lookahead'",
    ],
    [
      "a name of the engine's",
      lines(SCALARS, UNIFORM, STATE, "const engine_index = 1;", UPDATE),
      4,
      "got engine_index",
    ],
    [
      "a name of the engine's inside a function",
      lines(
        SCALARS,
        UNIFORM,
        STATE,
        "fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {",
        "let engine_x = gradient; return engine_x; }",
      ),
      5,
      "got engine_x",
    ],
    ["broken WGSL", lines(SCALARS, UNIFORM, STATE, "fn update(parameter: vec4f gradient"), 4, /mine\.wgsl/],
  ] as const)("refuses %s", (_what, code, line, part) => {
    const error = refusal(code);
    expect(error.code).toBe("invalid-shader");
    expect(error.message).toMatch(
      line === undefined ? /^mine\.wgsl: / : new RegExp(`^mine\\.wgsl:${line}: `),
    );
    if (typeof part === "string") expect(error.message).toContain(part);
    else expect(error.message).toMatch(part);
  });
});

test("linear rules are those of sums and products", () => {
  const linear = rules.filter(({ row }) => row.shader.linear).map(({ row }) => row.name);
  expect(linear).toEqual([
    "sgd",
    "momentum",
    "nesterov",
    "nesterov-lookahead",
    "optimistic-sgd",
    "schedule-free-sgd",
    "angd",
    "sm3",
    "noisy-sgd",
  ]);
  const of = (update: string) =>
    reflectRule("mine.wgsl", lines(SCALARS, STATE, UPDATE.replace("return gradient;", update))).linear;
  for (const update of ["return 2.0 * gradient - vec4f(1.0);", "let a = gradient; return a + vec4f();"])
    expect(of(update), update).toBe(true);
  for (const update of [
    "return sign(gradient);",
    "return 1.0 / gradient;",
    "if (gradient.x == 0.0) { return vec4f(); } return gradient;",
    "return tanh(gradient);",
  ])
    expect(of(update), update).toBe(false);
});

describe("the prelude", () => {
  const text = lines(SCALARS, STATE, UPDATE);
  const squares = UPDATE.replace("return gradient;", "return bounded(gradient * gradient);");
  const own = "fn bounded(square: vec4f) -> vec4f { return min(square, vec4f(1.0)); }";
  const codeOf = (...parts: string[]) => reflectRule("mine.wgsl", lines(...parts)).code;

  test("adds the uniform to a text that has none, behind it, so that its lines stay", () => {
    const { code, scalars } = reflectRule("mine.wgsl", text);
    expect(code).toBe(`${text}\n\n${UNIFORM}\n`);
    expect(scalars).toEqual({ rate: 0 });
  });

  test("adds a function where it is called and not there", () => {
    const code = codeOf(SCALARS, UNIFORM, STATE, squares);
    expect(code.startsWith(`${lines(SCALARS, UNIFORM, STATE, squares)}\n\n`)).toBe(true);
    expect(code.match(/fn bounded\(square: vec4f\) -> vec4f/g)).toHaveLength(1);
    expect(code.match(/var<uniform>/g)).toHaveLength(1);
    expect(codeOf(SCALARS, STATE, squares).match(/var<uniform>|fn bounded/g)).toHaveLength(2);
  });

  test("leaves a text alone that has the uniform and a bounded of its own, or a value of that name", () => {
    for (const parts of [
      [SCALARS, UNIFORM, STATE, own, squares],
      [
        SCALARS,
        UNIFORM,
        STATE,
        UPDATE.replace("return gradient;", "let bounded = gradient; return bounded;"),
      ],
    ])
      expect(codeOf(...parts)).toBe(lines(...parts));
    expect(codeOf(SCALARS, STATE, own, squares).match(/fn bounded/g)).toHaveLength(1);
  });

  test("comments go, lines stay; a text with block comments stays whole", () => {
    const commented = lines("// Mine.", SCALARS, `${UNIFORM} // bounded(it)`, "", STATE, UPDATE);
    expect(codeOf(commented)).toBe(lines("", SCALARS, UNIFORM, "", STATE, UPDATE));
    expect(codeOf("/* a /* b */ // c */", SCALARS, UNIFORM, STATE, UPDATE)).toContain("/* a /* b */ // c */");
  });

  test("does not move the line of a syntax error", () => {
    expect(refusal(lines(SCALARS, STATE, "fn update(parameter: vec4f gradient")).message).toMatch(
      /^mine\.wgsl:3: /,
    );
  });
});

describe("the contract of rules with sums, and of curvature", () => {
  const sums = "struct Sums { a: f32 }";
  const settled = "struct Settled { b: f32 }";
  const measure =
    "fn measure(parameter: vec4f, gradient: vec4f, state: State, settled: Settled) -> Sums { return Sums(0.0); }";
  const settle = "fn settle(sums: Sums, settled: Settled) -> Settled { return settled; }";
  const update =
    "fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>, settled: Settled) -> vec4f { return gradient; }";
  const parts = [SCALARS, UNIFORM, STATE, sums, settled, measure, settle, update];
  const withPart = (from: string, to: string) => lines(...parts.map((part) => (part === from ? to : part)));
  const fields = (count: number) => Array.from({ length: count }, (_, i) => `f${i}: f32`).join(", ");

  test("is kept with up to four fields each", () => {
    expect(reflectRule("mine.wgsl", lines(...parts))).toMatchObject({ sums: ["a"], settled: ["b"] });
    const four = withPart(settled, `struct Settled { ${fields(4)} }`);
    expect(reflectRule("mine.wgsl", four).settled).toEqual(["f0", "f1", "f2", "f3"]);
  });

  test("curvature belongs to a rule with state", () => {
    const curvature = "fn curvature(estimate: vec4f, state: ptr<function, State>) { }";
    expect(reflectRule("mine.wgsl", lines(SCALARS, UNIFORM, STATE, UPDATE, curvature)).curvature).toBe(true);
    // A helper of that name is none.
    const helper = "fn curvature(estimate: vec4f) { }";
    const stateless = "fn update(parameter: vec4f, gradient: vec4f) -> vec4f { return gradient; }";
    expect(reflectRule("mine.wgsl", lines(SCALARS, UNIFORM, stateless, helper)).curvature).toBe(false);
  });

  test.each([
    ["five sums", withPart(sums, `struct Sums { ${fields(5)} }`), "Sums has too many fields"],
    [
      "five settled values",
      withPart(settled, `struct Settled { ${fields(5)} }`),
      "Settled has too many fields",
    ],
    ["a sum of integers", withPart(sums, "struct Sums { a: i32 }"), "'a' of Sums is not f32"],
    ["a settled vector", withPart(settled, "struct Settled { b: vec4f }"), "'b' of Settled is not f32"],
    ["no measure", withPart(measure, ""), "a rule with sums is incomplete"],
    ["no settle", withPart(settle, ""), "a rule with sums is incomplete"],
    [
      "sums and settled values alone",
      withPart(measure, "").replace(settle, ""),
      "a rule with sums is incomplete",
    ],
    [
      "a texture",
      lines(SCALARS, UNIFORM, STATE, "@group(0) @binding(1) var image: texture_2d<f32>;", UPDATE),
      "binds nothing else",
    ],
    [
      "a sampler",
      lines(SCALARS, UNIFORM, STATE, "@group(0) @binding(1) var nearest: sampler;", UPDATE),
      "binds nothing else",
    ],
    ...["average", "slow_weights", "lookahead_origin", "gradient_accumulator"].map(
      (name) =>
        [
          `a state '${name}'`,
          lines(SCALARS, UNIFORM, `struct State { ${name}: vec4f }`, UPDATE),
          "has a name of the engine's",
        ] as const,
    ),
  ] as const)("refuses %s", (_what, code, part) => {
    const error = refusal(code);
    expect(error.code).toBe("invalid-shader");
    expect(error.message).toContain(part);
  });
});
