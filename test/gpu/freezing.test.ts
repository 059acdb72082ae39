// Tensors that steps leave out, that freeze and thaw, and that join: each counts its own steps, as in PyTorch.
import { describe, expect, test } from "vitest";
import {
  adabelief,
  adafactor,
  adam,
  adamax,
  adamw,
  adan,
  adopt,
  amsgrad,
  angd,
  type BufferRange,
  createArena,
  createOptimizer,
  fromPyTorch,
  type GuardOptions,
  lamb,
  laprop,
  momentum,
  muon,
  nadam,
  novograd,
  type Optimizer,
  type OptimizerOptions,
  optimisticAdam,
  prodigy,
  type Rule,
  radam,
  type StepReport,
  scheduleFreeSgd,
  sgd,
  sm3,
  stableAdamw,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { long } from "../support/long.js";
import { gradients } from "../support/numbers.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";
import recorded from "../vectors/pytorch/freezing.json";

const watched = useDevice();

const forms: readonly [name: string, options: Pick<OptimizerOptions, "guards" | "telemetry">][] = [
  ["plain", {}],
  ["with guards", { guards: {} }],
  ["with telemetry by tensor", { guards: { clipGlobalNorm: 1e6 }, telemetry: { perTensor: true } }],
];

type Case = (typeof recorded.cases)[number];
type Values = Readonly<Record<string, readonly number[] | null>>;

/** The tensors of a recorded run. */
const tensorsOf = (device: GPUDevice, { initial }: Case): TestTensor[] =>
  Object.entries(initial).map(([name, values]) => ({
    name,
    param: upload(device, values, { after: 16, label: name }),
    grad: upload(device, new Float32Array(values.length), { label: `${name} gradient` }),
  }));

async function largestError(device: GPUDevice, tensors: readonly TestTensor[], expected: Values) {
  const got = await read(
    device,
    tensors.map(({ param }) => param),
  );
  return Math.max(
    ...tensors.flatMap(({ name }, index) =>
      [...got[index]!].map((value, i) => {
        const right = expected[name]![i]!;
        return Math.abs(value - right) / Math.max(1, Math.abs(right));
      }),
    ),
  );
}

describe.each(forms)("as PyTorch's own runs: %s", (_form, options) => {
  test.each(recorded.cases.map((run) => [run.id, run] as const))("%s", async (_id, run) => {
    const { device } = watched();
    const tensors = tensorsOf(device, run);
    const joins = run.joins as Readonly<Record<string, number>>;
    const rule = fromPyTorch(run.optimizer, run.config);
    const base = run.config.lr;
    const optimizer = await createOptimizer(device, {
      ...options,
      rule,
      schedule: (step) => run.learning_rates[step]! / base,
      parameters: tensors.filter(({ name }) => !(name in joins)),
    });
    const joined = new Set(tensors.map(({ name }) => name).filter((name) => !(name in joins)));
    let frozen = false;
    for (const [index, given] of run.gradients.entries()) {
      for (const one of tensors)
        if (joins[one.name] === index + 1) {
          await optimizer.addParameters(optimizer.groups[0]!, [one]);
          joined.add(one.name);
        }
      // One way or the other.
      const out = (given as Values).w === null;
      if (out !== frozen) {
        if (out) await optimizer.freeze("w");
        else await optimizer.thaw("w");
        frozen = out;
      }
      const without = [...joined].filter((name) => name !== "w" && (given as Values)[name] === null);
      for (const { name, grad } of tensors)
        write(device, grad, (given as Values)[name] ?? new Float32Array(grad.size / 4).fill(Number.NaN));
      optimizer.step({ without });
    }
    await optimizer.settled();
    const last = run.gradients.length - 1;
    expect(await largestError(device, tensors, run.expected[last] as Values)).toBeLessThan(2e-6);
    for (const { name } of tensors)
      expect(optimizer.groups[0]!.stepsOf(name), name).toBe(
        run.gradients.filter((given) => (given as Values)[name] !== null).length,
      );
    optimizer.destroy();
    destroyTensors(tensors);
  });
});

/** A tensor of the name that rules for matrices take, too. */
const square = (device: GPUDevice, name: string): TestTensor => ({
  ...tensor(device, name, 4),
  shape: [2, 2],
});

/** Updates at rate 1 of a tensor that thaws after many steps of another, its gradients 1. */
async function thawed(rule: Rule, steps: number, others: number): Promise<number[]> {
  const { device } = watched();
  const tensors = [square(device, "x"), square(device, "y")];
  const optimizer = await createOptimizer(device, { rule, parameters: tensors });
  await optimizer.freeze("y");
  for (const { grad } of tensors) write(device, grad, [1, 1, 1, 1]);
  for (let t = 0; t < others; t += 1) optimizer.step();
  await optimizer.thaw("y");
  const moved: number[] = [];
  write(device, tensors[1]!.param, [0, 0, 0, 0]);
  let before = 0;
  for (let t = 0; t < steps; t += 1) {
    optimizer.step();
    const [now] = await read(device, [tensors[1]!.param]);
    moved.push(before - now![0]!);
    before = now![0]!;
  }
  optimizer.destroy();
  destroyTensors(tensors);
  return moved;
}

const rules: readonly [name: string, rule: Rule, others?: number][] = [
  ["adam", adam({ lr: 1 })],
  ["adamw", adamw({ lr: 1, weightDecay: 0 })],
  ["amsgrad", amsgrad({ lr: 1 })],
  ["adamax", adamax({ lr: 1 })],
  ["nadam", nadam({ lr: 1 })],
  ["radam", radam({ lr: 1 })],
  ["adabelief", adabelief({ lr: 1 })],
  ["novograd", novograd({ lr: 1 })],
  ["adan", adan({ lr: 1 })],
  ["momentum with dampening", momentum({ lr: 1, momentum: 0.9, dampening: 0.9 })],
  ["scheduleFreeSgd", scheduleFreeSgd({ lr: 0.1 })],
  // Of rules with sums and passes, whose steps take longer, and of those whose first step is another.
  ["adopt", adopt({ lr: 1 }), 50],
  ["laprop", laprop({ lr: 1 }), 50],
  ["optimisticAdam", optimisticAdam({ lr: 1 }), 50],
  ["stableAdamw", stableAdamw({ lr: 1, weightDecay: 0 }), 50],
  ["lamb", lamb({ lr: 1 }), 50],
  ["adafactor", adafactor({ lr: 1 }), 50],
  ["sm3", sm3({ lr: 1 }), 50],
  ["angd", angd({ lr: 1, damping: 0.1 }), 50],
  ["muon", muon({ lr: 1, steps: 2 }), 10],
];

describe("a tensor that thaws after 1000 steps, or fewer, moves as one that is new", () => {
  // Half of them, and with `test --long` all.
  test.each(rules.filter((_, index) => long || index % 2 === 0))("%s", async (_name, rule, others = 1000) => {
    const { device } = watched();
    const alone = [square(device, "y")];
    write(device, alone[0]!.param, [0, 0, 0, 0]);
    write(device, alone[0]!.grad, [1, 1, 1, 1]);
    const optimizer = await createOptimizer(device, { rule, parameters: alone });
    const fresh: number[] = [];
    let before = 0;
    for (let t = 0; t < 8; t += 1) {
      optimizer.step();
      const [now] = await read(device, [alone[0]!.param]);
      fresh.push(before - now![0]!);
      before = now![0]!;
    }
    optimizer.destroy();
    destroyTensors(alone);
    const moved = await thawed(rule, 8, others);
    // scheduleFreeSgd begins with the parameters at the first step, whatever was written since.
    if (rule.row.startsAtParameter) expect(moved).toHaveLength(8);
    else expect(moved).toEqual(fresh);
    if (rule.row.name === "adam") for (const move of moved) expect(move).toBeCloseTo(1, 5);
  });
});

/** Steps of a model whose tensors take turns, some of which the GPU skips; gives all that it holds. */
async function turns(
  guards: GuardOptions | undefined,
  rule: Rule,
  bad: readonly number[],
  settle: boolean,
): Promise<{ values: Uint32Array[]; steps: number[]; dispatches: number }> {
  const { device } = watched();
  const tensors = (
    [
      ["x", [2, 4]],
      ["y", [4, 3]],
      ["z", [2, 2]],
    ] as const
  ).map(([name, shape]) => ({ ...tensor(device, name, shape[0] * shape[1]), shape }));
  const optimizer = await createOptimizer(device, {
    rule,
    schedule: (step) => 0.9 ** step,
    parameters: tensors,
    ...(guards && { guards }),
  });
  for (let t = 1; t <= 24; t += 1) {
    // With guards the bad steps are there and skipped, without they are not made.
    const broken = bad.includes(t);
    if (broken && !guards) continue;
    tensors.forEach(({ grad }, index) => {
      const values = gradients(index + 3, t, grad.size / 4).slice();
      if (broken && index === 1) values[2] = Number.NaN;
      write(device, grad, values);
    });
    const without = [...(t % 3 === 0 ? ["x"] : []), ...(t % 5 === 0 ? ["z"] : [])];
    optimizer.step({ without });
    if (settle) await optimizer.settled();
  }
  await optimizer.settled();
  const ranges = tensors.map(({ param }) => param);
  const values = bits(await read(device, ranges));
  const steps = tensors.map(({ name }) => optimizer.groups[0]!.stepsOf(name));
  optimizer.destroy();
  destroyTensors(tensors);
  return { values, steps: [...steps, optimizer.groups[0]!.steps], dispatches: 0 };
}

describe("a skipped step leaves no trace, whichever tensors it left out", () => {
  const bad = [4, 5, 6, 9, 10, 15, 21, 22];
  test.each([
    ["adam", adam({ lr: 0.1 })],
    ["nadam", nadam({ lr: 0.1 })],
    ["novograd", novograd({ lr: 0.1 })],
    ["adafactor", adafactor({ lr: 0.1 })],
    ["muon", muon({ lr: 0.1, steps: 2 })],
  ] as const)("%s", async (_name, rule) => {
    const guards = { skipsInFlight: 8 };
    const right = rule.row.shader.sums.length > 0 ? undefined : await turns(undefined, rule, bad, false);
    const settled = await turns(guards, rule, bad, true);
    const inFlight = await turns(guards, rule, bad, false);
    expect(inFlight).toEqual(settled);
    if (right) expect(inFlight).toEqual(right);
    // Of 24 steps 8 were skipped; x missed those divisible by 3, z those by 5.
    const taken = Array.from({ length: 24 }, (_, i) => i + 1).filter((t) => !bad.includes(t));
    expect(inFlight.steps).toEqual([
      taken.filter((t) => t % 3 !== 0).length,
      taken.length,
      taken.filter((t) => t % 5 !== 0).length,
      taken.length,
    ]);
  });
});

test("a tensor that is left out stays as it is, to the bit, and so does its state", async () => {
  const { device } = watched();
  for (const [, options] of forms) {
    const tensors = [tensor(device, "x", 9), tensor(device, "y", 6, { offset: 4 })];
    const optimizer = await createOptimizer(device, {
      ...options,
      rule: adamw({ weightDecay: 0.1, lr: 0.1 }),
      slowWeights: { every: 2 },
      parameters: tensors,
    });
    const look = async () =>
      bits(
        await read(device, [
          tensors[0]!.param,
          ...["exp_avg", "exp_avg_sq", "slow_weights"].map((state) => optimizer.state("x", state)),
        ]),
      );
    for (let t = 0; t < 3; t += 1) optimizer.step();
    const before = await look();
    for (let t = 0; t < 3; t += 1) optimizer.step({ without: ["x"] });
    expect(await look()).toEqual(before);
    const { buffer } = optimizer.state("x", "exp_avg");
    await optimizer.freeze("x");
    optimizer.step();
    expect(await look()).toEqual(before);
    await optimizer.thaw("x");
    // No memory was made anew.
    expect(optimizer.state("x", "exp_avg").buffer).toBe(buffer);
    optimizer.step();
    expect(await look()).not.toEqual(before);
    optimizer.destroy();
    destroyTensors(tensors);
  }
});

test("reports are of the tensors that were stepped", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 9), tensor(device, "y", 300), tensor(device, "z", 4)];
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    rule: sgd({ lr: 0.1 }),
    telemetry: { perTensor: true, onReport: (report) => reports.push(report) },
    parameters: tensors,
  });
  const norm = (values: ArrayLike<number>) => Math.hypot(...Array.from(values));
  const step = async (without: readonly string[]) => {
    optimizer.step({ without });
    await optimizer.settled();
    return reports.at(-1)!;
  };
  const grads = await read(
    device,
    tensors.map(({ grad }) => grad),
  );
  expect([...(await step([])).tensors!.keys()]).toEqual(["x", "y", "z"]);
  const some = await step(["y"]);
  expect([...some.tensors!.keys()]).toEqual(["x", "z"]);
  expect(some.gradientNorm).toBeCloseTo(Math.hypot(norm(grads[0]!), norm(grads[2]!)), 5);
  await optimizer.freeze("x");
  expect([...(await step([])).tensors!.keys()]).toEqual(["y", "z"]);
  await optimizer.thaw("x");
  // What was given up left other tensors out under the same number.
  optimizer.encode(device.createCommandEncoder(), { without: ["z"] });
  optimizer.abandon();
  const all = await step([]);
  expect([...all.tensors!.keys()]).toEqual(["x", "y", "z"]);
  expect(all.gradientNorm).toBeCloseTo(Math.hypot(...grads.map(norm)), 4);
  optimizer.destroy();
  destroyTensors(tensors);
});

test("what was left out after a look-ahead or an ascent goes back", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 9), tensor(device, "y", 6)];
  const optimizer = await createOptimizer(device, { rule: sgd({ lr: 0.1 }), sam: {}, parameters: tensors });
  const before = bits(await read(device, [tensors[0]!.param]));
  optimizer.ascend();
  expect(bits(await read(device, [tensors[0]!.param]))).not.toEqual(before);
  optimizer.step({ without: ["x"] });
  expect(bits(await read(device, [tensors[0]!.param]))).toEqual(before);
  optimizer.destroy();
  destroyTensors(tensors);
});

describe("dispatches", () => {
  /** Dispatches of a step. */
  function counted(optimizer: Optimizer, without: readonly string[] = []): number {
    let dispatches = 0;
    const { prototype } = GPUComputePassEncoder;
    const { dispatchWorkgroups } = prototype;
    prototype.dispatchWorkgroups = function (...args) {
      dispatches += 1;
      return dispatchWorkgroups.apply(this, args);
    };
    try {
      optimizer.step({ without });
    } finally {
      prototype.dispatchWorkgroups = dispatchWorkgroups;
    }
    return dispatches;
  }

  const kinds: readonly [
    name: string,
    rule: Rule,
    options: Pick<OptimizerOptions, "guards" | "telemetry" | "average">,
  ][] = [
    ["plain", adam(), {}],
    ["with guards", adam(), { guards: { clipGlobalNorm: 1 } }],
    ["with all by tensor", adam(), { guards: { clipNorm: 1 }, telemetry: { perTensor: true } }],
    ["with an average", adam(), { average: {} }],
  ];

  test.each(kinds)(
    "over an arena k counts take k times as many, however they lie: %s",
    async (_name, rule, options) => {
      const { device } = watched();
      const shapes = Array.from({ length: 24 }, (_, i) => [`t${i}`, [3 + 40 * i]] as const);
      const run = async (out: (i: number) => boolean, loose: boolean) => {
        const arena = createArena(device, [Object.fromEntries(shapes)]);
        const parameters = arena.groups[0]!.map((one) => {
          const values = gradients(one.shape[0]! + 5, 2, one.shape[0]!);
          write(device, one.param, values);
          write(device, one.grad, gradients(one.shape[0]!, 3, one.shape[0]!));
          if (!loose) return one;
          return { ...one, grad: upload(device, gradients(one.shape[0]!, 3, one.shape[0]!)) };
        });
        const optimizer = await createOptimizer(device, { ...options, rule, parameters });
        const without = shapes.flatMap(([name], i) => (out(i) ? [name] : []));
        const whole = counted(optimizer);
        const first = counted(optimizer, without);
        await new Promise((resolve) => setTimeout(resolve, 50));
        const second = counted(optimizer, without);
        const both = counted(optimizer);
        await optimizer.settled();
        const values = await read(
          device,
          parameters.map(({ param }) => param),
        );
        optimizer.destroy();
        if (loose) for (const { grad } of parameters) (grad as BufferRange).buffer.destroy();
        arena.destroy();
        return { whole, first, second, both, values };
      };
      const odd = await run((i) => i % 2 === 1, false);
      expect(odd.second).toBeLessThanOrEqual(odd.whole);
      expect(odd.both).toBeLessThanOrEqual(2 * odd.whole);
      const some = await run((i) => i % 5 === 2 || i === 23, false);
      expect(some.both).toBeLessThanOrEqual(2 * some.whole);
      // A dispatch each, and the same bits; norms of tensors are summed up by fours there.
      const error = options.telemetry ? 1e-6 : 0;
      const alone = await run((i) => i % 2 === 1, true);
      const others = await run((i) => i % 5 === 2 || i === 23, true);
      for (const [joined, apart] of [
        [odd, alone],
        [some, others],
      ] as const)
        for (const [index, values] of joined.values.entries())
          values.forEach((value, i) => {
            expect(Math.abs(value - apart.values[index]![i]!)).toBeLessThanOrEqual(error);
          });
    },
  );

  test("tensors of one count share one, whatever they missed", async () => {
    const { device } = watched();
    const length = 64;
    const names = ["a", "b", "c", "d"];
    const params = upload(device, new Float32Array(4 * length));
    const grads = upload(device, new Float32Array(4 * length));
    const parameters = names.map((name, index) => ({
      name,
      param: { buffer: params.buffer, offset: index * 256, size: 256 },
      grad: { buffer: grads.buffer, offset: index * 256, size: 256 },
    }));
    const optimizer = await createOptimizer(device, { rule: adam(), parameters });
    expect(counted(optimizer)).toBe(1);
    expect(counted(optimizer, ["d"])).toBe(1);
    // d is one behind.
    expect(counted(optimizer)).toBe(2);
    expect(counted(optimizer, ["a", "b", "c"])).toBe(1);
    // They have taken as many now.
    expect(counted(optimizer)).toBe(2);
    expect(counted(optimizer)).toBe(1);
    expect(names.map((name) => optimizer.groups[0]!.stepsOf(name))).toEqual([5, 5, 5, 5]);
    optimizer.destroy();
    params.buffer.destroy();
    grads.buffer.destroy();
  });
});

test("Prodigy's distance is of all tensors, and so is its step count", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 9), tensor(device, "y", 6)];
  const optimizer = await createOptimizer(device, { rule: prodigy(), parameters: tensors });
  for (let t = 0; t < 4; t += 1) optimizer.step({ without: t % 2 ? ["x"] : [] });
  const distances = await read(
    device,
    ["x", "y"].map((name) => optimizer.state(name, "next_d")),
  );
  expect(distances[0]).toEqual(distances[1]);
  expect(optimizer.groups[0]!.stepsOf("x")).toBe(4);
  optimizer.destroy();
  destroyTensors(tensors);
});

test("bad options of a step are typed errors, and nothing has changed", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 9)];
  const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
  await expectError(() => optimizer.step({ without: ["y"] }), "unknown-name", "'y'");
  await expectError(() => optimizer.step({ without: "x" as never }), "invalid-argument", "a list of names");
  await expectError(() => optimizer.step({ whithout: [] } as never), "invalid-argument", "'whithout'");
  await expectError(() => optimizer.step(null as never), "invalid-argument");
  await expectError(() => optimizer.groups[0]!.stepsOf("y"), "unknown-name");
  expect(optimizer.groups[0]!.steps).toBe(0);
  optimizer.destroy();
  destroyTensors(tensors);
});
