import { describe, expect, test } from "vitest";
import { dialectJobs } from "../../src/conformance/dialect-cases.js";
import {
  type ConformanceCase,
  type ConformanceReport,
  judgeSubject,
  readTrajectories,
  type Subject,
  type SubjectRun,
  summarize,
  toJUnit,
} from "../../src/conformance/index.js";
import { finite, judgeSteps, judgeTrajectory, type Run } from "../../src/conformance/judge.js";
import { ulp } from "../../src/conformance/numbers.js";
import { namedSchedules, scheduleExamples } from "../../src/conformance/schedule-examples.js";
import { vectorJobs } from "../../src/conformance/vector-cases.js";
import { adadelta, adam, frameworks, OptimError, rules, scheduleFromJSON, sgd } from "../../src/index.js";
import { referenceState, referenceStep } from "../../src/reference/step.js";
import { expectError } from "../support/errors.js";

/** A file of one case, a step of gradient descent, with some of it replaced. */
const fileOf = (changes: object = {}, file: object = {}) => ({
  format: "optimizer-trajectories/1",
  framework: "pytorch",
  cases: [
    {
      id: "one",
      optimizer: "SGD",
      config: { lr: 0.5 },
      learning_rates: [0.5],
      tensors: { x: [2] },
      initial: { x: [1, 2] },
      gradients: [{ x: [1, 1] }],
      expected: { 1: { x: [0.5, 1.5] } },
      ...changes,
    },
  ],
  ...file,
});

describe("a file of trajectories", () => {
  test("is read", () => {
    const [run] = readTrajectories(fileOf(), "a.json");
    expect(run).toMatchObject({ id: "one", steps: 1, shapes: { x: [2] }, dependsOnPoint: false });
    expect(run!.gradient(1, "x", new Float64Array(2))).toEqual(Float64Array.of(1, 1));
    expect(run!.expected.get(1)).toEqual({ x: Float64Array.of(0.5, 1.5) });
  });

  test.each([
    ["another format", { format: "schedules/1" }, /a\.json holds no optimizer trajectories/],
    ["no framework", { framework: 3 }, /a\.json: no framework/],
    ["no cases", { cases: [] }, /a\.json: no cases/],
  ])("is refused as a whole: %s", async (_, file, message) => {
    await expectError(() => readTrajectories(fileOf({}, file), "a.json"), "invalid-argument", message);
  });

  test.each([
    [
      "initial of another length",
      { initial: { x: [1, 2, 3] } },
      /initial of 'x' does not match its shape \[2\]/,
    ],
    ["initial that is no number", { initial: { x: [1, null] } }, /initial of 'x' does not match/],
    ["gradient of another length", { gradients: [{ x: [1] }] }, /gradient 1 of 'x' does not match/],
    ["gradient of an unknown tensor", { gradients: [{ x: [1, 1], y: [1] }] }, /gradient 1 has a tensor/],
    ["expected of another length", { expected: { 1: { x: [1] } } }, /expected after step 1 of 'x'/],
    ["expected at no step", { expected: { 2: { x: [1, 2] } } }, /expected step is none of the run/],
    ["nothing expected", { expected: {} }, /nothing is expected/],
    ["a rate too few", { learning_rates: [] }, /a gradient or a rate of some step is missing/],
    ["no gradients", { gradients: undefined }, /a gradient or a rate of some step is missing/],
    ["a shape that is none", { tensors: { x: [-2] } }, /tensor 'x' has no shape/],
    ["no tensors", { tensors: {} }, /no tensors/],
    ["no optimizer", { optimizer: 1 }, /no optimizer/],
    ["no configuration", { config: [] }, /no config/],
    [
      "gradients given twice",
      { gradient_rule: { a: { x: [1, 1] }, c: [{ x: [0, 0] }] } },
      /two kinds of gradients/,
    ],
    [
      "a rule without constants",
      { gradients: undefined, gradient_rule: { a: { x: [1, 1] } } },
      /gradient_rule\.c is no list/,
    ],
  ])("names file and case: %s", async (_, changes, message) => {
    const error = await expectError(
      () => readTrajectories(fileOf(changes), "a.json"),
      "invalid-argument",
      message,
    );
    expect(error.message).toContain("Case 'one' of a.json");
  });
});

describe("the cases of files", () => {
  const heads = (text: string, isWanted = (_: string) => true) =>
    vectorJobs({ file: "a.json", text }, isWanted);
  /** Running what cannot run needs no device. */
  const failure = (text: string) =>
    heads(text)[0]!
      .run(undefined as never)
      .then(
        () => undefined,
        (error: unknown) => error as OptimError,
      );

  test("a good one is a case of its rule and dialect", () => {
    expect(heads(JSON.stringify(fileOf())).map(({ cases }) => cases)).toEqual([
      [{ id: "vector/one", kind: "vector", rule: "sgd", dialect: "pytorch" }],
    ]);
  });

  test.each([
    ["truncated", JSON.stringify(fileOf()).slice(0, 100), /a\.json is no JSON/, "vector/a.json"],
    ["of another format", '{"format": "other/7"}', /a\.json holds no .*'other\/7'/, "vector/a.json"],
    ["a list", "[]", /a\.json holds no .*no format/, "vector/a.json"],
    ["a bad shape", JSON.stringify(fileOf({ initial: { x: [1] } })), /Case 'one' of a\.json/, "vector/one"],
    [
      "an unknown optimizer",
      JSON.stringify(fileOf({ optimizer: "Sgd" })),
      /Case 'one' of a\.json: PyTorch has no optimizer 'Sgd'/,
      "vector/one",
    ],
    [
      "an unknown key",
      JSON.stringify(fileOf({ config: { lr: 1, mu: 2 } })),
      /Case 'one' of a\.json: PyTorch's SGD has no key 'mu'/,
      "vector/one",
    ],
    [
      "an unknown framework",
      JSON.stringify(fileOf({}, { framework: "caffe" })),
      /Case 'one' of a\.json: There is no framework called 'caffe'/,
      "vector/one",
    ],
  ])("%s: a case that fails by name", async (_, text, message, id) => {
    const jobs = heads(text);
    expect(jobs).toHaveLength(1);
    expect(jobs[0]!.cases[0]!.id).toBe(id);
    const error = await failure(text);
    expect(error).toBeInstanceOf(OptimError);
    expect(error!.message).toMatch(message);
  });

  test("a bad case hides no other", () => {
    const bad = { ...fileOf().cases[0], id: "bad", tensors: { x: [3] } };
    const file = fileOf();
    const jobs = heads(JSON.stringify({ ...file, cases: [bad, ...file.cases] }));
    expect(jobs.map(({ cases }) => cases[0]!.id)).toEqual(["vector/bad", "vector/one"]);
  });

  test("schedules of a framework are cases without a rule, and bad ones fail by name", async () => {
    const schedule = (id: string, params: object, learning_rates = [1, 0.5, 0.25]) => ({
      ...{ id, base_lr: 1, params, learning_rates },
    });
    const cases = [
      schedule("right", { gamma: 0.5 }),
      schedule("wrong", { gamma: 0.6 }),
      schedule("unknown", { gama: 0.5 }),
    ];
    const jobs = heads(
      JSON.stringify({ format: "schedules/1", framework: "pytorch", schedule: "ExponentialLR", cases }),
    );
    expect(jobs.map(({ cases }) => cases[0]!.id)).toEqual(["vector/right", "vector/wrong", "vector/unknown"]);
    expect(jobs[0]!.cases[0]).toMatchObject({ rule: "", dialect: "pytorch", schedule: "ExponentialLR" });
    const [right] = await jobs[0]!.run(undefined as never);
    expect(right!.errors).toEqual([]);
    const [wrong] = await jobs[1]!.run(undefined as never);
    expect(wrong!.errors.join()).toMatch(/Case 'wrong' of a\.json: step 2: off by 0\.44/);
    expect(wrong!.worstError).toBeCloseTo(0.44, 12);
    await expect(jobs[2]!.run(undefined as never)).rejects.toThrow(/a\.json, case unknown: .*gama/);
  });

  test("of rules that are not asked for are left out, unreadable ones are not", () => {
    const isWanted = (rule: string) => rule === "" || rule === "adam";
    expect(heads(JSON.stringify(fileOf()), isWanted)).toEqual([]);
    expect(heads("{", isWanted)).toHaveLength(1);
  });
});

describe("the judge", () => {
  /** Adam's run by the reference, rounded to f32 after each step. */
  const exact = (): Run => {
    const rule = adam({ lr: 0.1 });
    const initial = Float32Array.of(0.5, -1.5, 2, 0.25);
    const gradients = [1, 2, 3].map((t) => Float32Array.of(t, -t, 0.5, 0));
    let parameters = Float64Array.from(initial);
    let state = referenceState("adam", rule.options, Float64Array.from(initial).length);
    const after = gradients.map((row, index) => {
      const at = { t: index + 1, lr: 0.1 };
      const step = referenceStep("adam", rule.options, at, parameters, Float64Array.from(row), state);
      const f32 = [step.parameters, step.state.exp_avg!, step.state.exp_avg_sq!].map((v) =>
        Float32Array.from(v),
      );
      parameters = Float64Array.from(f32[0]!);
      state = { exp_avg: Float64Array.from(f32[1]!), exp_avg_sq: Float64Array.from(f32[2]!) };
      return f32;
    });
    return { rule, initial, gradients, rates: [0.1, 0.1, 0.1], after };
  };

  test("finds one rounding in what was rounded once", () => {
    const { worstUlp, errors, quantities, histogram } = judgeSteps(exact(), 8);
    expect(worstUlp).toBeGreaterThan(0);
    // Half an ULP of the value, which may be twice its largest summand.
    expect(worstUlp).toBeLessThanOrEqual(1);
    expect(errors).toEqual([]);
    expect(Object.keys(quantities)).toEqual(["θ", "exp_avg", "exp_avg_sq"]);
    expect(quantities.θ!.worstUpdateError).toBe(0);
    // Three steps of four values of three quantities.
    expect(histogram.slice(0, 3).reduce((sum, count) => sum + count)).toBe(36);
    expect(judgeTrajectory(exact()).errors).toEqual([]);
  });

  test("finds where a value is off, and by how much", () => {
    const run = exact();
    const largest = 2;
    run.after[1]![0]![2]! += 100 * ulp(largest);
    const { worstUlp, at, errors, quantities } = judgeSteps(run, 8);
    expect(worstUlp).toBeGreaterThan(98);
    expect(worstUlp).toBeLessThan(202);
    expect(at).toMatch(/^θ\[2\] at step [23]: /);
    // The step to the wrong value, and the step from it to the right one.
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatch(/^θ\[2\] at step 2: /);
    expect(errors).toContain(at);
    expect(quantities.θ!.worstUlp).toBe(worstUlp);
    expect(quantities.θ!.worstUpdateError).toBeGreaterThan(1e-5);
    expect(quantities.exp_avg!.worstUlp).toBeLessThan(1);
    const whole = judgeTrajectory(run);
    expect(whole.worstError).toBeGreaterThan(2e-6);
    expect(whole.at).toMatch(/^θ\[2\] at step 2: /);
  });

  test("takes what is no number for as far off as numbers go, which JSON can hold", () => {
    const run = exact();
    run.after[2]![1]![0] = Number.NaN;
    const { worstUlp, errors } = judgeSteps(run, 8);
    expect(worstUlp).toBe(Number.MAX_VALUE);
    expect(errors).toHaveLength(1);
    expect(finite(Infinity)).toBe(Number.MAX_VALUE);
    expect(finite(0.25)).toBe(0.25);
  });
});

describe("the plan", () => {
  test("has a schedule of every kind", async () => {
    const error = await expectError(() => scheduleFromJSON({ kind: "none" }), "invalid-schedule");
    const kinds = error.details.expected!.replace("one of ", "").split(", ");
    expect(scheduleExamples.map(({ kind }) => kind)).toEqual(kinds);
    for (const { make } of namedSchedules())
      expect(new Set(Array.from({ length: 40 }, (_, s) => make()(s))).size).toBeGreaterThan(0);
  });

  test("has every optimizer of every framework, under configurations that it takes", async () => {
    const schedules = namedSchedules({ mine: (step) => 1 / (1 + step) });
    const cases = dialectJobs(schedules, () => true).flatMap(({ cases }) => cases);
    for (const [framework, { optimizers }] of Object.entries(frameworks))
      for (const optimizer of Object.keys(optimizers)) {
        const head = `dialect/${framework}/${optimizer}/defaults/`;
        const defaults = cases.filter(({ id }) => id.startsWith(head));
        const { row } = rules.find(({ row }) => row.name === defaults[0]?.rule)!;
        const driven = defaults.map(({ schedule }) => schedule);
        if (row.whole) expect(driven).toHaveLength(1);
        else expect(driven).toEqual(schedules.map(({ name }) => name));
      }
    // Where a framework refused every configuration with a key changed, there would be no rule.
    expect(cases.filter(({ rule }) => rule === "")).toEqual([]);
    expect(new Set(cases.map(({ id }) => id)).size).toBe(cases.length);
    for (const { rule } of cases) expect(rules.map(({ row }) => row.name)).toContain(rule);
  });
});

describe("a report", () => {
  const one = (id: string, rule: string, more: Partial<ConformanceCase> = {}): ConformanceCase => ({
    id,
    kind: "rule",
    rule,
    passed: true,
    worstUlp: 1,
    worstError: 1e-7,
    worstUpdateError: 1e-6,
    quantities: {},
    at: "",
    ...more,
  });
  const cases = [
    one("a", "adam"),
    one("b", "adam", { worstUlp: 3, passed: false, error: 'θ < 1 & "more"\u0001' }),
    one("c", "sgd", { worstError: 5e-7 }),
    one("d", "", { kind: "vector", passed: false, error: "x.json is no JSON" }),
  ];
  const report: ConformanceReport = {
    library: "webgpu-optim",
    version: "1.2.3",
    adapter: "v a (software)",
    adapterInfo: { vendor: "v", architecture: "a", device: "", description: "", software: true },
    browser: "<browser>",
    limits: {},
    seconds: 1.5,
    passed: 2,
    failed: 2,
    cases,
    distribution: { bounds: [], rules: {} },
  };

  test("is summed up by rule", () => {
    expect(summarize(cases)).toEqual([
      { rule: "adam", cases: 2, failed: 1, worstUlp: 3, worstError: 1e-7, worstUpdateError: 1e-6 },
      { rule: "sgd", cases: 1, failed: 0, worstUlp: 1, worstError: 5e-7, worstUpdateError: 1e-6 },
      { rule: "(vector)", cases: 1, failed: 1, worstUlp: 1, worstError: 1e-7, worstUpdateError: 1e-6 },
    ]);
  });

  test("is written as JUnit XML", () => {
    const xml = toJUnit(report);
    expect(xml).toMatch(
      /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites tests="4" failures="2" time="1\.500">/,
    );
    expect(xml.match(/<testcase /g)).toHaveLength(4);
    expect(xml.match(/<failure /g)).toHaveLength(2);
    expect(xml).toContain('<testcase classname="conformance.adam" name="b">');
    expect(xml).toContain('<failure message="θ &lt; 1 &amp; &quot;more&quot;"/>');
    expect(xml).toContain('<testcase classname="conformance.vector" name="d">');
    expect(xml).toContain('value="&lt;browser&gt;"');
    // Every element that is opened is closed, in order.
    const open: string[] = [];
    for (const [, close, name, own] of xml.matchAll(/<(\/?)([a-z-]+)(?:\s[^>]*?)?(\/?)>/g))
      if (close) expect(open.pop()).toBe(name);
      else if (!own) open.push(name!);
    expect(open).toEqual([]);
  });
});

describe("another library", () => {
  /** A library that runs our references in f32: `defect` is what its Adadelta does to the state before each step. */
  const library = (defect: (state: Record<string, Float64Array>) => void): Subject => {
    const run =
      (rule: ReturnType<typeof sgd>) =>
      ({ initial, gradients }: SubjectRun) => {
        let parameters: Float64Array = Float64Array.from(initial);
        let state = referenceState(rule.row.name, rule.options, initial.length);
        return Promise.resolve(
          gradients.map((row, index) => {
            const at = { t: index + 1, lr: rule.options.lr };
            defect(state as Record<string, Float64Array>);
            ({ parameters, state } = referenceStep(
              rule.row.name,
              rule.options,
              at,
              parameters,
              Float64Array.from(row),
              state,
            ));
            parameters = Float64Array.from(Float32Array.from(parameters));
            return Float32Array.from(parameters);
          }),
        );
      };
    const optimizer = (rule: ReturnType<typeof sgd>) => ({
      name: rule.row.name,
      config: {},
      paper: rule,
      dialect: rule,
      run: run(rule),
    });
    return {
      name: "other",
      version: "1",
      backend: "cpu",
      optimizers: [optimizer(sgd({ lr: 0.1 })), optimizer(adadelta({ lr: 1 }))],
    };
  };

  test("that does as papers say agrees", async () => {
    const seen: string[] = [];
    const { cases, library: name } = await judgeSubject(
      library(() => {}),
      (done, total, id) => seen.push(`${done}/${total} ${id}`),
    );
    expect(name).toBe("other");
    expect(cases.map(({ optimizer, against, agrees }) => [optimizer, against, agrees])).toEqual([
      ["sgd", "paper", true],
      ["sgd", "dialect", true],
      ["adadelta", "paper", true],
      ["adadelta", "dialect", true],
    ]);
    expect(seen).toEqual(["1/2 sgd", "2/2 adadelta"]);
  });

  test("that forgets half of a state parts, and the report says where", async () => {
    const { cases } = await judgeSubject(library(({ acc_delta }) => acc_delta?.fill(0)));
    expect(cases.map(({ agrees }) => agrees)).toEqual([true, true, false, false]);
    const parted = cases[2]!;
    expect(parted.partsAt).toBe(2);
    expect(parted.worstError).toBeGreaterThan(2e-6);
    expect(parted.at).toMatch(/: θ\[\d+\] after step \d+: /);
  });
});
