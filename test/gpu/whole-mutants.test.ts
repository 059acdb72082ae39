// Planted defects in passes over whole tensors: what is wrong in one place must fail the conformance run of its rule.
import { expect, test } from "vitest";
import type { Job } from "../../src/conformance/job.js";
import { wholeJobs } from "../../src/conformance/whole-cases.js";
import { type RuleFactory, rules } from "../../src/index.js";
import { checkOptions } from "../../src/rule.js";
import { useDevice } from "../support/device.js";

const watched = useDevice();

/** Rule, what is wrong, and the text of its passes that becomes another. */
type Defect = readonly [rule: string, what: string, from: string, to: string];

const defects: readonly Defect[] = [
  [
    "sm3",
    "largest accumulator for the least",
    "least = min(least, ",
    "least = max(select(0.0, least, d > 0u), ",
  ],
  ["sm3", "the first dimension's accumulators alone", "d < tensor.dimensions; d++", "d < 1u; d++"],
  ["sm3", "accumulators that forget", "min(least + gradient", "min(0.9 * least + gradient"],
  ["sm3", "one lane's elements accumulated", "most = max(most, maxima[k])", "most = max(most, 0.0)"],
  ["sm3", "no root", "gradient / root", "gradient / (root * root)"],
  ["adafactor", "no mean of the rows", "kept[tensor.row_var + row] / mean", "kept[tensor.row_var + row]"],
  ["adafactor", "averages of the first matrix", "matrix * tensor.columns + column", "column"],
  ["adafactor", "not clipped", "max(1.0, roots.x * scalars.inverse_threshold)", "1.0"],
  ["adafactor", "a scale of the directions", "scalars.scale * roots.y", "scalars.scale * roots.x"],
  [
    "adafactor",
    "ε1 added to the rows alone",
    "total.x + scalars.added);\n  }\n}\n\nfn",
    "total.x);\n  }\n}\n\nfn",
  ],
  [
    "adafactor",
    "v below its floor",
    "max(variance_of(tensor, element), scalars.floor)",
    "variance_of(tensor, element)",
  ],
  ["adafactor", "sums for means", "64.0 / f32(count)", "64.0"],
  ["adafactor-momentum", "no bound below the scale", "max(scalars.least_scale, ", "max(0.0, "],
  ["lbfgs", "pairs that break curvature kept", "s_new.x > LEAST &&", "true &&"],
  [
    "lbfgs",
    "H₀ of the oldest pair",
    "let place = (after - 1u) % pairs;",
    "let place = (after - count) % pairs;",
  ],
  [
    "lbfgs",
    "a pair less than is kept",
    "used_pairs = min(after, pairs);",
    "used_pairs = min(after, max(pairs, 2u) - 1u);",
  ],
  ["noisy-sgd", "nine rounds", "n < 10u", "n < 9u"],
  ["noisy-sgd", "one noise for all tensors", "tensor.key, step", "0u, step"],
  ["noisy-sgd", "one noise for all steps", "tensor.key, step", "tensor.key, 1u"],
  ["noisy-sgd", "a coarse cosine", " * (1.0 - z / 30.0 * (1.0 - z / 56.0 * (1.0 - z / 90.0)))", ""],
  ["noisy-sgd", "a coarse logarithm", "(1.0 / 3.0 + z * (0.2 + z * (1.0 / 7.0 + z / 9.0)))", "(1.0 / 3.0)"],
];

const factoryOf = (name: string): RuleFactory => rules.find(({ row }) => row.name === name)!;

/** The same rule with other passes. */
function withPasses({ row }: RuleFactory, code: string): RuleFactory {
  const mutant = { ...row, whole: { ...row.whole!, shader: { ...row.whole!.shader, code } } };
  return Object.assign((options: object = {}) => ({ row: mutant, options: checkOptions(mutant, options) }), {
    row: mutant,
  });
}

/** Runs the jobs of a rule up to the first that fails. */
async function firstFailure(factory: RuleFactory): Promise<number | undefined> {
  for (const [index, job] of wholeJobs(factory).entries()) if ((await errorsOf(job)).length > 0) return index;
  return undefined;
}

async function errorsOf({ run }: Job): Promise<readonly string[]> {
  const { device, software } = watched();
  return (await run({ device, software })).flatMap(({ errors }) => errors.slice(0, 5));
}

test.each(defects)("%s: %s", { timeout: 300_000 }, async (rule, _, from, to) => {
  const factory = factoryOf(rule);
  const { code } = factory.row.whole!.shader;
  expect(code, "the text that the defect replaces").toContain(from);
  const found = await firstFailure(withPasses(factory, code.replace(from, to)));
  expect(found, "a job that fails").toBeDefined();
  // As it is, the rule passes the job that found the defect.
  expect(await errorsOf(wholeJobs(factory)[found!]!)).toEqual([]);
});
