// Planted defects in passes over whole tensors: what is wrong in one place must fail what judges its rule.
import { expect, test } from "vitest";
import { judgeRuns } from "../../src/conformance/outcome.js";
import { neededBy } from "../../src/conformance/variants.js";
import { EVERYTHING, runWhole } from "../../src/conformance/whole-cases.js";
import { type Rule, type RuleFactory, rules } from "../../src/index.js";
import { useDevice } from "../support/device.js";
import { long } from "../support/long.js";

const watched = useDevice();

/** Rule, what is wrong, the text of its passes that becomes another, and options under which that shows. */
type Defect = readonly [rule: string, what: string, from: string, to: string, options?: object];

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
    { eps1: 0.1, eps1Form: "added" },
  ],
  [
    "adafactor",
    "v below its floor",
    "max(variance_of(tensor, element), scalars.floor)",
    "variance_of(tensor, element)",
    { eps1: 0.3 },
  ],
  ["adafactor", "sums for means", "64.0 / f32(count)", "64.0"],
  ["adafactor-momentum", "no bound below the scale", "max(scalars.least_scale, ", "max(0.0, ", { eps2: 2 }],
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
    { historySize: 3 },
  ],
  ["noisy-sgd", "nine rounds", "n < 10u", "n < 9u"],
  ["noisy-sgd", "one noise for all tensors", "tensor.key, step", "0u, step"],
  ["noisy-sgd", "one noise for all steps", "tensor.key, step", "tensor.key, 1u"],
  ["noisy-sgd", "a coarse cosine", " * (1.0 - z / 30.0 * (1.0 - z / 56.0 * (1.0 - z / 90.0)))", ""],
  ["noisy-sgd", "a coarse logarithm", "(1.0 / 3.0 + z * (0.2 + z * (1.0 / 7.0 + z / 9.0)))", "(1.0 / 3.0)"],
  ["shampoo", "roots worked out at every step", "scalars.refresh == 0.0", "false"],
  ["shampoo", "nothing on the diagonal", "scalars.eps * norm", "0.0"],
  ["soap", "a basis turned the wrong way", "basis, !is_back, cells", "basis, is_back, cells", { every: 3 }],
  ["soap", "columns that are not orthogonal", "let rest = column[row] - along;", "let rest = column[row];"],
  ["angd", "the gradient's own square", "image.x * image.y", "image.y * image.y", { delta: 0.1 }],
  ["angd", "no share of the old estimate", "counted(scalars.kept,", "counted(0.0,", { delta: 0.1 }],
  [
    "angd",
    "one half of the matrix alone",
    "kept[tile.matrix + k * tensor.columns + tile.row] = after;",
    "",
    { delta: 0.1 },
  ],
  [
    "angd",
    "every tile at the first one's gradient",
    "directions[tensor.first + tile.first + k]",
    "directions[tensor.first + k]",
    { delta: 0.1, block: 8 },
  ],
  [
    "angd",
    "a decay for each output",
    "change(tensor, tile, 0.0, select",
    "change(tensor, tile, scalars.gain, select",
    { delta: 0.1, outputs: 2 },
  ],
  ["muon", "no square of XXᵀ", "scalars.c, gram, scalars.b", "0.0, gram, scalars.b", { lr: 0.1 }],
  ["muon", "a power of two for the norm", "sqrt(total(lane, sum))", "1.0", { lr: 0.1 }],
  ["muon", "the scale of the transpose", "sqrt(max(1.0, ratio))", "sqrt(max(1.0, 1.0 / ratio))", { lr: 0.1 }],
  ["muon", "an iteration less", "steps % 2u == 1u", "steps % 2u == 0u", { lr: 0.1 }],
  ["muon", "a product without its last terms", "term < terms; term", "term + 4u < terms; term", { lr: 0.1 }],
];

const factoryOf = (name: string): RuleFactory => rules.find(({ row }) => row.name === name)!;

/** Enough to find them: vectors, and matrices higher than wide, wider than high, and of three dimensions. */
const FEW = {
  shapes: EVERYTHING.shapes.filter((shape) => ["9", "6,8", "13,5", "3,33", "2,3,7"].includes(`${shape}`)),
  regimes: EVERYTHING.regimes.filter(({ name }) => name === "noisy"),
};

async function errorsOf(rule: Rule): Promise<readonly string[]> {
  const { device, software } = watched();
  // Roots and bases take their time, and all sides are worked out alike.
  const slow = ["shampoo", "soap"].includes(rule.row.name);
  const over = { ...FEW, shapes: slow ? [[6, 8]] : FEW.shapes };
  return judgeRuns(await runWhole(device, rule, {}, undefined, over), software).errors.slice(0, 5);
}

/** Rules that pass as they are, by name and options. */
const sound = new Set<string>();

// Each is kernels of its own to compile, SOAP's for 20 s: a third of the others, and with `test --long` all.
const judged = defects
  .filter(([rule], index) => long || (index % 3 === 0 && rule !== "soap"))
  .map(([rule, what, from, to, options = {}]) => [rule, what, { from, to, options }] as const);

test.each(judged)("%s: %s", async (name, _, { from, to, options }) => {
  const factory = factoryOf(name);
  const rule = factory({ ...neededBy(factory), ...options });
  const { row } = rule;
  const { shader } = row.whole!;
  expect(shader.code, "the text that the defect replaces").toContain(from);
  const key = `${name} ${JSON.stringify(options)}`;
  if (!sound.has(key)) expect(await errorsOf(rule)).toEqual([]);
  sound.add(key);
  const whole = { ...row.whole!, shader: { ...shader, code: shader.code.replaceAll(from, to) } };
  expect(await errorsOf({ ...rule, row: { ...row, whole } })).not.toEqual([]);
});
