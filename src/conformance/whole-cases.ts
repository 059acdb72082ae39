// Rules that look at whole tensors, judged over shapes.
import { type BufferRange, createOptimizer, type Rule, type RuleFactory, type Schedule } from "../index.js";
import { describeOptions, type Job } from "./job.js";
import { keptBy, type Run } from "./judge.js";
import { normals } from "./numbers.js";
import { judgeRuns } from "./outcome.js";
import { record } from "./record.js";
import { type Extras, type RegimeRun, storage } from "./run-rule.js";
import { variantsOf } from "./variants.js";

const STEPS = 12;

/** Vectors, and matrices higher than wide, wider than high, with rows that no four lanes and no 16 bytes fit. */
const shapes: readonly (readonly number[])[] = [
  [9],
  [70],
  [6, 8],
  [13, 5],
  [3, 33],
  [2, 3, 7],
  [3, 2, 1, 2, 5],
  [1, 1],
];

/** What gradients do over a run: of elements `i` of a tensor at step t. */
const regimes: readonly { readonly name: string; readonly scale: (t: number, i: number) => number }[] = [
  { name: "noisy", scale: () => 1 },
  { name: "shrinking", scale: (t) => 0.5 ** t },
  { name: "growing", scale: (t) => 1.2 ** t },
  { name: "vanishing", scale: (t, i) => (t > 6 || i % 3 === 0 ? 0 : 1) },
];

/** What a rule is tried over: all that, or where kernels are the same and options differ, a part. */
interface Tried {
  readonly shapes: typeof shapes;
  readonly regimes: typeof regimes;
}
export const EVERYTHING: Tried = { shapes, regimes };
export const SAMPLE: Tried = {
  shapes: shapes.filter((_, index) => index % 2 === 0),
  regimes: regimes.filter(({ name }) => name === "noisy" || name === "vanishing"),
};

/**
 * Whether a free run in f32 is that in float64: an inverse that adapts fast takes roundings up, as do roots of matrices that are
 * nearly singular and what is made of the last steps, and bases of what no gradient has told of are any.
 */
function runsFree({ row, options }: Rule): boolean {
  if (row.name === "soap" || row.scope === "all") return false;
  if (row.name === "shampoo") return Number(options.eps) > 1e-2;
  return !(Number(options.delta) > 1e-3);
}

/** A rate that changes in mid-run. */
const change: Schedule = (step) => (step < STEPS / 2 ? 1 : 0.25);

/**
 * A rule over the shapes that it takes, under each regime, as tensors of one optimizer; one regime after the other where sums
 * go over all tensors, which are one then.
 */
export async function runWhole(
  device: GPUDevice,
  rule: Rule,
  extras: Extras = {},
  schedule = change,
  over = EVERYTHING,
): Promise<RegimeRun[]> {
  if (rule.row.scope !== "all") return runShapes(device, rule, extras, schedule, over);
  const runs: RegimeRun[] = [];
  for (const regime of over.regimes) {
    const parts = await runShapes(device, rule, extras, schedule, { ...over, regimes: [regime] });
    runs.push(asOne(regime.name, parts));
  }
  return runs;
}

/** Tensors that share their sums as one vector, and arrays with a row of each as one array; others are the same for each. */
function asOne(name: string, parts: readonly RegimeRun[]): RegimeRun {
  const runs = parts.map(({ run }) => run);
  const counts = runs.map(({ initial }) => initial.length);
  const count = counts.reduce((sum, own) => sum + own, 0);
  const joined = (lists: readonly Float32Array[]): Float32Array => {
    const rows = lists[0]!.length / counts[0]!;
    if (lists.some((list, i) => list.length !== rows * counts[i]!)) return lists[0]!;
    return Float32Array.from(
      Array.from({ length: rows }, (_, row) =>
        lists.flatMap((list, i) => [...list.subarray(row * counts[i]!, (row + 1) * counts[i]!)]),
      ).flat(),
    );
  };
  const [{ rule, rates, gradients, after }] = runs as [Run];
  return {
    name,
    stepwise: true,
    free: parts[0]!.free,
    run: {
      rule,
      rates,
      shape: [count],
      initial: joined(runs.map(({ initial }) => initial)),
      gradients: gradients.map((_, step) => joined(runs.map((run) => run.gradients[step]!))),
      after: after.map((kept, step) => kept.map((_, k) => joined(runs.map((run) => run.after[step]![k]!)))),
    },
  };
}

async function runShapes(
  device: GPUDevice,
  rule: Rule,
  extras: Extras,
  schedule: Schedule,
  over: Tried,
): Promise<RegimeRun[]> {
  const { row, options } = rule;
  const tensors = over.shapes
    .filter((shape) => row.whole?.refuse?.(shape, options) === undefined)
    .flatMap((shape) =>
      // To first order, the inverse is wrong and diverges under gradients that are not small.
      over.regimes
        .filter(({ name }) => options.form !== "firstOrder" || name !== "growing")
        .map((regime) => ({ shape, ...regime })),
    )
    .map(({ shape, name: regime, scale }, index) => {
      const count = shape.reduce((product, extent) => product * extent, 1);
      const range = (kind: string, offset: number): BufferRange => ({
        buffer: storage(device, `conformance ${kind} ${index}`, offset + 4 * count),
        offset,
        size: 4 * count,
      });
      const name = `${regime} [${shape.join(", ")}]`;
      const initial = normals(500 + index, count);
      // Every other one goes by single lanes.
      const param = range("parameter", 4 * (index % 2));
      const grad = range("gradient", 8 * (index % 2));
      const gradient = (seed: number) => (t: number) =>
        normals(100 * (seed + index) + t, count).map((value, i) => Math.fround(value * scale(t, i)));
      return {
        name,
        shape,
        initial,
        param,
        grad,
        gradient: gradient(600),
        output: (o: number) => gradient(700 + 50 * o),
      };
    });
  try {
    for (const { param, initial } of tensors)
      device.queue.writeBuffer(param.buffer, param.offset, Float32Array.from(initial));
    const count = row.whole?.outputs?.(options) ?? 0;
    const numbers = Array.from({ length: count }, (_, output) => output);
    const optimizer = await createOptimizer(device, {
      rule,
      schedule,
      parameters: tensors.map(({ name, param, grad, shape }) => ({ name, param, grad, shape })),
      stepsInFlight: (2 + count) * STEPS,
      ...extras,
    });
    try {
      const kinds = tensors.map(({ shape }) => keptBy(rule, shape));
      const { rates, after } = await record(device, optimizer, {
        steps: STEPS,
        grads: tensors.map(({ grad }) => grad),
        gradients: (t) => tensors.map(({ gradient }) => gradient(t)),
        ...(count > 0 && {
          outputs: (t) => numbers.map((output) => tensors.map((tensor) => tensor.output(output)(t))),
        }),
        watch: tensors.flatMap(({ name, param }, index) => [
          param,
          ...kinds[index]!.map((kind) => optimizer.state(name, kind)),
        ]),
      });
      let first = 0;
      return tensors.map(({ name, shape, initial, gradient, output }, index): RegimeRun => {
        const from = first;
        first += 1 + kinds[index]!.length;
        const end = first;
        const steps = Array.from({ length: STEPS }, (_, step) => step + 1);
        const run: Run = {
          rule,
          shape,
          name,
          initial,
          gradients: steps.map(gradient),
          outputs: count > 0 ? steps.map((t) => numbers.map((o) => output(o)(t))) : undefined,
          rates,
          after: after.map((values) => values.slice(from, end)),
        };
        return { name, stepwise: true, free: runsFree(rule), run };
      });
    } finally {
      optimizer.destroy();
    }
  } finally {
    for (const { param, grad } of tensors) {
      param.buffer.destroy();
      grad.buffer.destroy();
    }
  }
}

/** The kernels of a step: as they are, with the stages around the rule, guarded, reported. */
const forms: readonly { readonly name: string; readonly options: object; readonly extras?: Extras }[] = [
  { name: "bare", options: { weightDecay: 0 } },
  { name: "staged", options: { weightDecay: 0.05, maximize: true } },
  { name: "guarded", options: { weightDecay: 0.05 }, extras: { guards: {} } },
  {
    name: "reported",
    options: {},
    extras: { guards: { nonFinite: "keep", clipNorm: 3.4e38 }, telemetry: {} },
  },
  { name: "compensated", options: {}, extras: { compensated: true } },
];

/**
 * A rule with passes over whole tensors at each of its variants, and through all forms of its kernels.
 * @param all what it is tried over once
 * @param some what it is tried over in its other variants and forms
 */
export function wholeJobs(factory: RuleFactory, all = EVERYTHING, some = SAMPLE): Job[] {
  const { name } = factory.row;
  const job = (id: string, options: object, extras?: Extras, over = some): Job => ({
    cases: [{ id: `rule/${name}/${id}`, kind: "rule", rule: name }],
    run: async ({ device, software }) => [
      judgeRuns(await runWhole(device, factory(options), extras, undefined, over), software),
    ],
  });
  const [defaults, ...others] = variantsOf(factory);
  return [
    // All shapes and regimes once; the other forms have the same passes.
    ...forms.map(({ name, options, extras }, index) =>
      job(`defaults/${name}`, { ...defaults, ...options }, extras, index === 0 ? all : some),
    ),
    ...others.map((options) => job(describeOptions(options), options)),
  ];
}
