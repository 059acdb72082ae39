import { describe, expect, test } from "vitest";
import {
  checkScheduleCase,
  readScheduleVectors,
  type ScheduleCase,
} from "../../src/conformance/schedule-vectors.js";
import { OptimError } from "../../src/errors.js";
import textbook from "../vectors/textbook/schedules/textbook.json";

const files = import.meta.glob("../vectors/*/schedules/*.json", { eager: true, import: "default" });

/** Every case of a file, none of them invalid. */
function casesOf(content: unknown, file: string): readonly ScheduleCase[] {
  return readScheduleVectors(content, file).map((read) => {
    if ("error" in read) throw read.error;
    return read;
  });
}

const cases = Object.entries(files).flatMap(([file, content]) => casesOf(content, file));

describe("schedules of the frameworks and of the textbooks, through the importers", () => {
  test("the files have 150 cases", () => expect(cases.length).toBe(150));

  test.each(cases.map((given) => [given.id, given] as const))("%s", (id, given) => {
    const { passed, worstError, at } = checkScheduleCase(given);
    expect(passed, `${id}: relative error ${worstError} at step ${at}`).toBe(true);
  });

  test.each(cases.map((given) => [given.id, given] as const))("%s fails with one rate off", (_id, given) => {
    const wrong = given.rates.lastIndexOf(given.rates.filter((rate) => rate !== 0).at(-1)!);
    const rates = given.rates.map((rate, i) => (i === wrong ? rate * (1 + 1e-11) : rate));
    const { passed, at } = checkScheduleCase({ ...given, rates });
    expect(passed).toBe(false);
    expect(at).toBe(given.steps[wrong]);
  });
});

describe("vector files with faults", () => {
  const [first, second] = textbook.cases;
  const good = {
    id: "good",
    schedule: "linear",
    params: { lr: 1, total: 2 },
    steps: [1],
    learning_rates: [0.5],
  };
  const fileOf = (...bad: unknown[]) => ({
    format: "schedules/1",
    framework: "textbook",
    cases: [...bad, good],
  });

  test.each([
    ["nothing", undefined],
    ["a list", []],
    ["another format", { ...textbook, format: "schedules/2" }],
    ["no framework", { ...textbook, framework: undefined }],
    ["no cases", { format: "schedules/1", framework: "textbook" }],
    ["an empty list of cases", { format: "schedules/1", framework: "textbook", cases: [] }],
  ])("%s is no file of vectors", (_name, content) => {
    expect(() => readScheduleVectors(content, "bad.json")).toThrow(OptimError);
    expect(() => readScheduleVectors(content, "bad.json")).toThrow(
      /bad\.json is no file of schedule vectors/,
    );
  });

  test.each([
    ["null", null],
    ["an unknown schedule", { ...first, schedule: "exponentail" }],
    ["no schedule", { ...first, schedule: undefined }],
    ["an unknown parameter", { ...first, params: { ...first!.params, gama: 1 } }],
    ["a missing parameter", { ...first, params: { lr: 0.1 } }],
    ["a parameter of another type", { ...first, params: { ...first!.params, lr: "0.1" } }],
    ["too few steps", { ...first, steps: first!.steps.slice(1) }],
    ["a negative step", { ...first, steps: first!.steps.map((s) => s - 1) }],
    ["no rates", { ...first, learning_rates: [] }],
    ["a rate that is no number", { ...second, learning_rates: second!.steps.map(() => null) }],
    ["metrics for a schedule without", { ...first, metrics: first!.steps }],
    ["a base rate that is no number", { ...first, base_lr: "1" }],
  ])("%s: the case is named, the others still run", (_name, bad) => {
    const [invalid, valid] = readScheduleVectors(fileOf(bad), "mixed.json");
    const id = bad === null ? "number 0" : (bad as { id: string }).id;
    expect(invalid).toEqual({ id, error: expect.any(OptimError) });
    expect((invalid as { error: OptimError }).error.message).toContain(`mixed.json, case ${id}: `);
    expect(checkScheduleCase(valid as ScheduleCase)).toEqual({ passed: true, worstError: 0, at: 1 });
  });

  test("a framework that is unknown is an error of each case", () => {
    const [invalid] = readScheduleVectors({ ...fileOf(), framework: "caffe" }, "caffe.json");
    expect((invalid as { error: OptimError }).error.message).toMatch(
      /caffe\.json, case good: .*pytorch, keras/,
    );
  });

  test("nesting without end is an error of the case", () => {
    let params: object = { type: "ExponentialLR", gamma: 0.5 };
    for (let depth = 0; depth < 20_000; depth++) params = { type: "ChainedScheduler", schedulers: [params] };
    const nested = {
      id: "deep",
      schedule: "ChainedScheduler",
      base_lr: 1,
      params: { schedulers: [params] },
      learning_rates: [1],
    };
    const content = { format: "schedules/1", framework: "pytorch", cases: [nested] };
    expect(readScheduleVectors(content, "deep.json")).toEqual([
      { id: "deep", error: expect.any(OptimError) },
    ]);
  });
});
