// The library entry on a device: what it reports, and that it finds what is wrong.
import { describe, expect, test } from "vitest";
import { type ConformanceProgress, runConformance, summarize } from "../../src/conformance/index.js";
import { histogramBounds } from "../../src/conformance/judge.js";
import { defineRule, fraction, nonNegative, type ReferenceRule } from "../../src/define-rule.js";
import { adam, rmsprop, rules, sgd } from "../../src/index.js";
import { type RuleFactory, ruleFactory } from "../../src/rule.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { vectorFiles } from "../vectors/trajectories.js";

const watched = useDevice();

/** A rule of the same name whose WGSL is another. */
function mutated({ row }: RuleFactory, from: string, to: string): RuleFactory {
  const code = row.shader.code.replaceAll(from, to);
  expect(code).not.toBe(row.shader.code);
  return ruleFactory(() => ({ ...row, shader: { ...row.shader, code } }) as never) as unknown as RuleFactory;
}

/** What is asked of every rule beside its formula, which has no ULP. */
const isEdge = (id: string): boolean => /\/(finite|not finite|steady)$/.test(id);

describe("a run over some rules", () => {
  test("passes, and reports plausible figures", async () => {
    const { device, software } = watched();
    const progress: ConformanceProgress[] = [];
    const report = await runConformance(device, {
      rules: [sgd, rmsprop],
      vectors: vectorFiles,
      schedules: { "one over": (step) => 1 / (1 + step) },
      onProgress: (one) => progress.push(one),
    });
    expect(report.cases.filter(({ passed }) => !passed)).toEqual([]);
    expect(report.passed).toBe(report.cases.length);
    expect(report.adapterInfo.software).toBe(software);
    expect(report.browser).toContain("Mozilla");
    expect(report.limits.maxBufferSize).toBe(device.limits.maxBufferSize);
    expect(report.seconds).toBeGreaterThan(0);

    const kinds = new Set(report.cases.map(({ kind }) => kind));
    expect([...kinds]).toEqual(["rule", "dialect", "schedule", "vector", "device"]);
    expect(new Set(report.cases.map(({ rule }) => rule))).toEqual(new Set(["sgd", "rmsprop", ""]));
    expect(new Set(report.cases.map(({ id }) => id)).size).toBe(report.cases.length);
    expect(report.cases.map(({ schedule }) => schedule)).toContain("one over");
    for (const { id, kind, rule, worstUlp, worstError, quantities, at } of report.cases) {
      if (rule === "" || isEdge(id)) continue;
      // f32 is not exact, and not far off either. A schedule's rate may be.
      if (kind !== "schedule") expect(worstUlp, id).toBeGreaterThan(0.1);
      expect(worstUlp, id).toBeLessThanOrEqual(software ? 4 : 16);
      expect(worstError, id).toBeLessThanOrEqual(2e-6);
      if (kind !== "schedule") {
        expect(worstError, id).toBeGreaterThan(1e-9);
        expect(Object.keys(quantities)[0], id).toBe("θ");
        expect(at, id).toMatch(/\[\d+\] at step \d+: /);
      }
    }
    const { bounds, rules: distribution } = report.distribution;
    expect(bounds).toEqual(histogramBounds);
    expect(Object.keys(distribution)).toEqual(["sgd", "rmsprop"]);
    for (const counts of Object.values(distribution)) {
      expect(counts).toHaveLength(bounds.length + 1);
      // Most values are off by half an ULP at most.
      expect(counts[0]! + counts[1]!).toBeGreaterThan(counts.slice(2).reduce((sum, count) => sum + count));
    }
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
    expect(summarize(report.cases).map(({ rule }) => rule)).toEqual([
      "sgd",
      "rmsprop",
      "(schedules)",
      "(device)",
    ]);

    // All but the case of the device are followed one by one.
    expect(progress.map(({ done }) => done)).toEqual(
      [...progress.map(({ done }) => done)].sort((a, b) => a - b),
    );
    expect(progress.at(-1)!.done).toBe(report.cases.length - 1);
    expect(progress.every(({ total }) => total === report.cases.length - 1)).toBe(true);
  });

  test.each([
    ["a step off by a third", rmsprop, "scalars.rate", "1.3 * scalars.rate"],
    ["ε left out", rmsprop, "scalars.eps", "0.0 * scalars.eps"],
    ["the sign for the value", sgd, "* gradient", "* sign(gradient)"],
  ] as const)("finds a planted defect: %s", async (what, factory, from, to) => {
    const { device } = watched();
    const wrong = mutated(factory as unknown as RuleFactory, from, to);
    const report = await runConformance(device, { rules: [wrong], kinds: ["rule"] });
    const all = report.cases.filter(({ passed }) => !passed);
    // Without ε there is 0/0, which is not finite either.
    const failed = all.filter(({ id }) => !isEdge(id));
    // What is judged from the row is wrong everywhere.
    expect(new Set(failed.map(({ kind }) => kind))).toEqual(new Set(["rule"]));
    const judged = report.cases.filter(({ id, kind }) => kind === "rule" && !isEdge(id));
    // Decay of the parameters and an average that begins above zero hide ε; nothing hides the others.
    const hidden = (id: string) => what === "ε left out" && (id.includes("initial") || !id.endsWith("/bare"));
    const found = judged.filter(({ id }) => !hidden(id));
    expect(failed.map(({ id }) => id)).toEqual(expect.arrayContaining(found.map(({ id }) => id)));
    expect(found.length).toBeGreaterThan(3);
    expect(report.failed).toBe(all.length);
    for (const { id, error, worstUlp } of failed) {
      expect(error, id).toMatch(/at step \d+: .*, expected /);
      expect(worstUlp, id).toBeGreaterThan(16);
    }
  });

  test("finds WGSL that does not compile", async () => {
    const wrong = mutated(sgd as unknown as RuleFactory, "scalars.rate", "scalars.nothing");
    const { cases } = await runConformance(watched().device, { rules: [wrong], kinds: ["rule"] });
    const failed = cases.filter(({ passed }) => !passed);
    expect(failed.length).toBe(cases.filter(({ kind }) => kind === "rule").length);
    for (const { error } of failed) expect(error).toMatch(/does not compile.*sgd\.wgsl:\d+/);
  });
});

describe("a rule of the caller's", () => {
  /** Signum, whose reference takes another function for the sign. */
  const signum = (sign?: (value: number) => number, kept?: number) =>
    defineRule({
      name: "my-signum",
      wgsl: `
        struct Scalars { rate: f32, beta: f32, one_minus_beta: f32 }
        @group(0) @binding(0) var<uniform> scalars: Scalars;
        struct State { exp_avg: vec4f }
        fn update(parameter: vec4f, gradient: vec4f, state: ptr<function, State>) -> vec4f {
          (*state).exp_avg = scalars.beta * (*state).exp_avg + scalars.one_minus_beta * gradient;
          return scalars.rate * sign((*state).exp_avg);
        }`,
      defaults: { beta: fraction(0.9) },
      scalars: ({ beta }, _t, lr) => ({ rate: lr, beta, one_minus_beta: 1 - beta }),
      ...(sign && {
        reference: {
          initial: () => ({ exp_avg: 0 }),
          step({ options: { beta }, lr, gradient, state }) {
            const exp_avg = [beta * state.exp_avg!, ...gradient.map((summand) => (1 - beta) * summand)];
            return {
              update: [lr * sign(exp_avg.reduce((sum, value) => sum + value))],
              state: { exp_avg: kept === undefined ? exp_avg : [kept] },
            };
          },
        } satisfies ReferenceRule<{ beta: number }>,
      }),
    });

  test.each([
    ["its reference", Math.sign, 0],
    ["another one", Math.cbrt, 1],
  ] as const)("is held against %s", async (_, sign, failures) => {
    const { cases } = await runConformance(watched().device, { rules: [signum(sign)] });
    expect(cases.map(({ id }) => id)).toContain("rule/my-signum/beta=0.6/staged");
    expect(cases.filter(({ passed }) => !passed).length > 0).toBe(failures > 0);
  });

  test("without a reference fails and says so", async () => {
    const { cases } = await runConformance(watched().device, { rules: [signum()] });
    expect(cases[0]!.error).toMatch(/no reference of a rule called 'my-signum'/);
  });

  test("is tried at values that its options take", async () => {
    const rule = defineRule({
      // Of the library's Yogi, other options are tried together.
      name: "yogi",
      wgsl: `
        struct Scalars { rate: f32 }
        @group(0) @binding(0) var<uniform> scalars: Scalars;
        fn update(parameter: vec4f, gradient: vec4f) -> vec4f { return scalars.rate * gradient; }`,
      defaults: {
        look: { kind: "number", default: 3, min: 2, max: 5 },
        dCoef: { kind: "number", default: 4, min: 2, max: 8 },
        needed: nonNegative(),
      },
      scalars: ({ look, dCoef, needed }, _t, lr) => ({ rate: (lr * look * dCoef) / (1 + needed) }),
      reference: {
        initial: () => ({}),
        step: ({ options: { look, dCoef, needed }, lr, gradient }) => ({
          update: gradient.map((summand) => ((lr * look * dCoef) / (1 + needed)) * summand),
          state: {},
        }),
      } satisfies ReferenceRule<{ look: number; dCoef: number; needed: number }>,
    });
    const { cases } = await runConformance(watched().device, { rules: [rule], kinds: ["rule"] });
    const own = cases.filter(({ kind }) => kind === "rule");
    expect(own.length).toBeGreaterThan(8);
    expect(own.filter(({ passed }) => !passed)).toEqual([]);
  });

  test("with a reference whose state is infinite fails", async () => {
    const { cases } = await runConformance(watched().device, {
      rules: [signum(Math.sign, Number.POSITIVE_INFINITY)],
    });
    expect(cases.find(({ id }) => id === "rule/my-signum/defaults/bare")!.passed).toBe(false);
  });

  test.each([
    ["a rule and not its factory", adam()],
    ["a name", "adam"],
    ["nothing", undefined],
    ["another function", () => adam()],
  ])("is none: %s", async (_, rule) => {
    await expectError(
      () => runConformance(watched().device, { rules: [rule as never] }),
      "invalid-argument",
      "A rule to judge is none",
    );
  });
});

describe("files that are wrong", () => {
  test("fail by name, and the others run", async () => {
    const good = vectorFiles.find(({ file }) => file.endsWith("pytorch/optimizers/sgd.json"))!;
    const { cases } = await runConformance(watched().device, {
      rules: [sgd],
      kinds: ["vector"],
      vectors: [{ file: "cut.json", text: good.text.slice(0, 1000) }, good],
    });
    const vectors = cases.filter(({ kind }) => kind === "vector");
    expect(vectors.filter(({ passed }) => !passed).map(({ id }) => id)).toEqual(["vector/cut.json"]);
    expect(vectors.length).toBeGreaterThan(2);
  });

  test("with a run that is another's fail where it parts", async () => {
    const good = vectorFiles.find(({ file }) => file.endsWith("pytorch/optimizers/adam.json"))!;
    const file = JSON.parse(good.text) as {
      cases: { id: string; config: { eps: number }; learning_rates: number[] }[];
    };
    file.cases[0]!.config.eps = 1e-2;
    // What only the run finds out.
    file.cases[1]!.learning_rates[1] = -1;
    const { cases } = await runConformance(watched().device, {
      rules: [adam],
      kinds: ["vector"],
      vectors: [{ file: "adam.json", text: JSON.stringify(file) }],
    });
    const [failed, refused, ...others] = cases.filter(({ passed }) => !passed);
    expect(others).toEqual([]);
    expect(failed!.id).toBe("vector/pytorch/adam/default");
    expect(failed!.worstError).toBeGreaterThan(2e-6);
    expect(failed!.error).toMatch(
      /^Case 'pytorch\/adam\/default' of adam\.json: [abc]: θ\[\d+\] after step 1: /,
    );
    const { id } = file.cases[1]!;
    expect(refused!.id).toBe(`vector/${id}`);
    expect(refused!.error).toMatch(/^Case '.*' of adam\.json: Option 'lr' of adam is out of range/);
  });
});

test("a signal ends a run", async () => {
  const abort = new AbortController();
  const run = runConformance(watched().device, {
    rules,
    signal: abort.signal,
    onProgress: () => abort.abort(new Error("enough")),
  });
  // Nothing of it is left: buffers alive would fail the test.
  await expect(run).rejects.toThrow("enough");
});
