// Nothing counts before it ran: encoders that are never submitted, submits that are dropped.
import { describe, expect, test } from "vitest";
import {
  adam,
  createOptimizer,
  momentum,
  nadam,
  nesterovLookahead,
  type Optimizer,
  type OptimizerOptions,
  prodigy,
  type Rule,
  type StepReport,
  scheduleFreeSgd,
  sgd,
  sophia,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients } from "../support/numbers.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

type Verb = (optimizer: Optimizer, encoder: GPUCommandEncoder) => void;

const abandoned: readonly [name: string, options: Partial<OptimizerOptions> & { rule: Rule }, verb: Verb][] =
  [
    ["a step", { rule: adam({ lr: 0.1 }) }, (optimizer, encoder) => optimizer.encode(encoder)],
    ["a guarded step", { rule: nadam(), guards: {} }, (optimizer, encoder) => optimizer.encode(encoder)],
    [
      "a step that leaves a tensor out",
      { rule: adam({ lr: 0.1 }), guards: {} },
      (optimizer, encoder) => optimizer.encode(encoder, { without: ["x"] }),
    ],
    [
      "a look-ahead",
      { rule: nesterovLookahead({ momentum: 0.9 }) },
      (optimizer, encoder) => optimizer.lookahead(encoder),
    ],
    [
      "a look-ahead and its step",
      { rule: nesterovLookahead({ momentum: 0.9 }), telemetry: {} },
      (optimizer, encoder) => {
        optimizer.lookahead(encoder);
        optimizer.encode(encoder);
      },
    ],
    ["an ascent", { rule: sgd(), sam: {} }, (optimizer, encoder) => optimizer.ascend(encoder)],
    [
      "accumulation",
      { rule: sgd({ lr: 1 }), accumulation: true },
      (optimizer, encoder) => {
        optimizer.accumulate({ samples: 3 }, encoder);
        optimizer.accumulate({ samples: 3 }, encoder);
      },
    ],
    [
      "an exchange with the average",
      { rule: sgd({ lr: 1 }), average: {} },
      (optimizer, encoder) => optimizer.swapAverage(encoder),
    ],
    ["a curvature", { rule: sophia() }, (optimizer, encoder) => optimizer.curvature(encoder)],
    [
      "a first step of slow weights",
      { rule: sgd({ lr: 0 }), slowWeights: { every: 2 } },
      (optimizer, encoder) => optimizer.encode(encoder),
    ],
    ["a first step of Prodigy", { rule: prodigy() }, (optimizer, encoder) => optimizer.encode(encoder)],
  ];

/** Some steps by the optimizer's own encoders, each with what its rule needs. */
function train(optimizer: Optimizer, tensors: readonly TestTensor[], options: Partial<OptimizerOptions>) {
  const { device } = watched();
  for (let t = 1; t <= 4; t += 1) {
    tensors.forEach(({ grad }, index) => {
      write(device, grad, gradients(index + 5, t, grad.size / 4));
    });
    if (options.sam) optimizer.ascend();
    optimizer.lookahead();
    if (options.accumulation) optimizer.accumulate({ samples: 2 });
    optimizer.step();
  }
}

/** What a run comes to with something encoded and given up before it, or after its first half. */
async function outcome(options: Partial<OptimizerOptions> & { rule: Rule }, verb?: Verb) {
  const { device } = watched();
  const tensors = [tensor(device, "x", 9), tensor(device, "y", 6)];
  const optimizer = await createOptimizer(device, { ...options, parameters: tensors });
  const giveUp = () => {
    if (!verb) return;
    const encoder = device.createCommandEncoder();
    verb(optimizer, encoder);
    encoder.finish();
    optimizer.abandon();
  };
  if (!options.average) giveUp();
  train(optimizer, tensors, options);
  giveUp();
  expect(optimizer.averaged).toBe(false);
  train(optimizer, tensors, options);
  await optimizer.settled();
  const file = await optimizer.save();
  const values = bits(
    await read(
      device,
      tensors.map(({ param }) => param),
    ),
  );
  optimizer.destroy();
  destroyTensors(tensors);
  return { values, file };
}

describe("an encoder that is not submitted loses nothing", () => {
  test.each(abandoned)("%s", async (_name, options, verb) => {
    expect(await outcome(options, verb)).toEqual(await outcome(options));
  });

  test("until it is given up, the optimizer's own steps are refused", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 4)];
    const rule = nesterovLookahead({ momentum: 0.9 });
    const optimizer = await createOptimizer(device, { rule, parameters: tensors });
    const before = bits(await read(device, [tensors[0]!.param]));
    optimizer.lookahead(device.createCommandEncoder());
    await expectError(() => optimizer.restore(), "busy", "abandon()");
    expect(bits(await read(device, [tensors[0]!.param]))).toEqual(before);
    optimizer.abandon();
    optimizer.restore();
    expect(bits(await read(device, [tensors[0]!.param]))).toEqual(before);
    await expectError(() => optimizer.step(), "lookahead-order");
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("the newest are given up, the others go on", async () => {
    const { device } = watched();
    const runs: Uint32Array[][] = [];
    for (const giveUp of [true, false]) {
      const tensors = [tensor(device, "x", 4)];
      const optimizer = await createOptimizer(device, {
        rule: adam({ lr: 0.1 }),
        guards: {},
        parameters: tensors,
      });
      const encoder = device.createCommandEncoder();
      optimizer.encode(encoder);
      optimizer.encode(encoder);
      if (giveUp) {
        const other = device.createCommandEncoder();
        optimizer.encode(other);
        optimizer.encode(other);
        await expectError(() => optimizer.abandon(5), "invalid-argument", "0 to 4");
        optimizer.abandon(2);
      }
      device.queue.submit([encoder.finish()]);
      optimizer.submitted();
      expect(optimizer.groups[0]!.steps).toBe(2);
      optimizer.step();
      await optimizer.settled();
      runs.push(bits(await read(device, [tensors[0]!.param])));
      optimizer.destroy();
      destroyTensors(tensors);
    }
    expect(runs[0]).toEqual(runs[1]);
  });

  test("a step on an encoder that was finished is told at the next call, and does not count", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 4)];
    for (const options of [{}, { guards: {} }]) {
      const optimizer = await createOptimizer(device, { ...options, rule: sgd(), parameters: tensors });
      const encoder = device.createCommandEncoder();
      encoder.finish();
      optimizer.encode(encoder);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await expectError(() => optimizer.submitted(), "invalid-argument", "finished");
      optimizer.abandon();
      expect(optimizer.groups[0]!.steps).toBe(0);
      optimizer.step();
      await optimizer.settled();
      expect(optimizer.groups[0]!.steps).toBe(1);
      optimizer.destroy();
    }
    destroyTensors(tensors);
  });
});

/** Drops the submit in which something happens, as WebGPU drops one that uses a destroyed buffer. */
async function dropped(device: GPUDevice, run: () => void): Promise<void> {
  const { queue } = device;
  const { submit } = queue;
  // The step's own, and not the read-back behind it.
  const value = () => {
    Object.defineProperty(queue, "submit", { value: submit.bind(queue), configurable: true });
  };
  Object.defineProperty(queue, "submit", { value, configurable: true });
  try {
    run();
  } finally {
    Reflect.deleteProperty(queue, "submit");
  }
  await device.queue.onSubmittedWorkDone();
}

describe("a first submit that is dropped", () => {
  const cases: readonly [name: string, options: Partial<OptimizerOptions> & { rule: Rule }][] = [
    ["schedule-free", { rule: scheduleFreeSgd() }],
    ["schedule-free with guards", { rule: scheduleFreeSgd(), guards: {} }],
    ["slow weights", { rule: sgd({ lr: 0 }), slowWeights: { every: 2, alpha: 0.5 } }],
    ["an average", { rule: sgd({ lr: 0 }), average: { initial: true } }],
    ["prodigy", { rule: prodigy() }],
  ];
  test.each(cases)("leaves parameters where they are, zero gradients given: %s", async (_name, options) => {
    const { device } = watched();
    const x = { name: "x", param: upload(device, [5, 5]), grad: upload(device, [0, 0]) };
    const optimizer = await createOptimizer(device, { ...options, parameters: [x] });
    await dropped(device, () => optimizer.step());
    for (let t = 0; t < 4; t += 1) optimizer.step();
    // With guards the missing step is told.
    await optimizer.settled().catch(() => {});
    if (options.average) optimizer.swapAverage();
    expect(await read(device, [x.param])).toEqual([new Float32Array([5, 5])]);
    optimizer.destroy();
    destroyTensors([x]);
  });
});

describe("what a skipped step is to leave alone", () => {
  /** The look-ahead after a step that was skipped, with a momentum that is scheduled. */
  async function afterSkip(skip: boolean, settle: boolean): Promise<Float32Array[]> {
    const { device } = watched();
    const x = { name: "x", param: upload(device, [1.5]), grad: upload(device, [0]) };
    const optimizer = await createOptimizer(device, {
      rule: nesterovLookahead({ lr: 0.1, momentum: 0.5 }),
      optionSchedules: { momentum: (step) => 0.5 + 0.1 * step },
      guards: {},
      parameters: [x],
    });
    const step = (gradient: number) => {
      write(device, x.grad, [gradient]);
      optimizer.lookahead();
      optimizer.step();
    };
    step(0.5);
    if (skip) step(Number.NaN);
    if (settle) await optimizer.settled();
    optimizer.lookahead();
    const values = await read(device, [x.param]);
    optimizer.destroy();
    destroyTensors([x]);
    return values;
  }

  test("the scalars of a look-ahead", async () => {
    const right = await afterSkip(false, true);
    expect(await afterSkip(true, false)).toEqual(right);
    expect(await afterSkip(true, true)).toEqual(right);
  });
});

test("a direct and an accumulated step are encoded, and the first alone is submitted", async () => {
  const { device } = watched();
  const norms: number[] = [];
  for (const both of [false, true]) {
    const tensors = [tensor(device, "x", 1000), tensor(device, "y", 333, { gradientOffset: 4 })];
    const reports: StepReport[] = [];
    const optimizer = await createOptimizer(device, {
      rule: momentum(),
      accumulation: true,
      telemetry: { onReport: (report) => reports.push(report) },
      parameters: tensors,
    });
    const first = device.createCommandEncoder();
    optimizer.encode(first);
    if (both) {
      const second = device.createCommandEncoder();
      optimizer.accumulate({}, second);
      optimizer.encode(second);
      optimizer.abandon(2);
    }
    device.queue.submit([first.finish()]);
    optimizer.submitted();
    await optimizer.settled();
    norms.push(reports[0]!.parameterNorm);
    expect(reports).toHaveLength(1);
    optimizer.destroy();
    destroyTensors(tensors);
  }
  expect(norms[1]).toBe(norms[0]);
});

describe("reports", () => {
  test("200 steps at once: every one is delivered", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 4)];
    const attempts: number[] = [];
    const optimizer = await createOptimizer(device, {
      rule: sgd(),
      telemetry: { onReport: ({ attempt }) => attempts.push(attempt) },
      parameters: tensors,
    });
    for (let t = 0; t < 200; t += 1) optimizer.step();
    await optimizer.settled();
    expect(attempts).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("reports that nobody reads do not pile up, and whoever reads gets all that come then", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 4)];
    const optimizer = await createOptimizer(device, { rule: sgd(), telemetry: {}, parameters: tensors });
    for (let t = 0; t < 300; t += 1) optimizer.step();
    await optimizer.settled();
    const { reports } = optimizer;
    const iterator = reports[Symbol.asyncIterator]();
    const next = async () => (await iterator.next()).value as StepReport;
    expect((await next()).attempt).toBe(300 - 63);
    for (let t = 0; t < 300; t += 1) optimizer.step();
    await optimizer.settled();
    for (let attempt = 300 - 62; attempt <= 600; attempt += 1) expect((await next()).attempt).toBe(attempt);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("what onReport throws is thrown, and hides nothing", async () => {
    const { device } = watched();
    const tensors = [tensor(device, "x", 4)];
    const thrown: unknown[] = [];
    const { queueMicrotask } = globalThis;
    globalThis.queueMicrotask = (run) =>
      queueMicrotask(() => {
        try {
          run();
        } catch (error) {
          thrown.push(error);
        }
      });
    try {
      const optimizer = await createOptimizer(device, {
        rule: sgd(),
        telemetry: {
          onReport: () => {
            throw new Error("mine");
          },
        },
        parameters: tensors,
      });
      optimizer.step();
      await dropped(device, () => optimizer.step());
      optimizer.step();
      await expectError(() => optimizer.settled(), "gpu-error", "1 missing");
      expect(thrown).toHaveLength(3);
      expect(String(thrown[0])).toContain("mine");
      optimizer.destroy();
    } finally {
      globalThis.queueMicrotask = queueMicrotask;
    }
    destroyTensors(tensors);
  });
});

test("load() is busy from its call on", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 4)];
  const optimizer = await createOptimizer(device, { rule: adam(), parameters: tensors });
  optimizer.step();
  const file = await optimizer.save();
  const loading = optimizer.load(file);
  await expectError(() => optimizer.step(), "busy");
  await loading;
  optimizer.step();
  optimizer.destroy();
  destroyTensors(tensors);
});

test("the loss scale and the states of other groups outlive what is added", async () => {
  const { device } = watched();
  const tensors = [tensor(device, "x", 4), tensor(device, "y", 4), tensor(device, "z", 4)];
  const optimizer = await createOptimizer(device, {
    rule: adam(),
    guards: { lossScale: { initial: 65536 } },
    groups: [{ parameters: tensors.slice(0, 1) }],
  });
  const scale = optimizer.lossScale;
  const state = optimizer.state("x", "exp_avg");
  optimizer.step();
  await optimizer.addGroup({ parameters: tensors.slice(1, 2) });
  await optimizer.addParameters(optimizer.groups[1]!, tensors.slice(2));
  await optimizer.freeze("y");
  await optimizer.thaw("y");
  optimizer.step();
  expect(optimizer.lossScale).toEqual(scale);
  expect(optimizer.state("x", "exp_avg")).toEqual(state);
  const [[value]] = (await read(device, [scale])) as [Float32Array];
  expect(value).toBe(65536);
  optimizer.destroy();
  destroyTensors(tensors);
});

test("gradients that are suballocated anew each step keep no bind groups for ever", async () => {
  const { device } = watched();
  const heap = upload(device, new Float32Array(64 * 1024));
  const x = { name: "x", param: upload(device, [1, 2, 3, 4]), grad: { ...heap, size: 16 } };
  const optimizer = await createOptimizer(device, { rule: sgd(), parameters: [x] });
  let made = 0;
  const { createBindGroup } = device;
  Object.defineProperty(device, "createBindGroup", {
    value: (descriptor: GPUBindGroupDescriptor) => {
      made += 1;
      return createBindGroup.call(device, descriptor);
    },
    configurable: true,
  });
  const visit = (places: number) => {
    for (let place = 0; place < places; place += 1) {
      optimizer.setGradients({ x: { buffer: heap.buffer, offset: 256 * place } });
      optimizer.step();
    }
  };
  // A handful that recur are bound once.
  visit(4);
  const first = made;
  visit(4);
  expect(made).toBe(first);
  visit(200);
  const all = made;
  // The first of them were forgotten.
  visit(1);
  expect(made).toBeGreaterThan(all);
  Reflect.deleteProperty(device, "createBindGroup");
  optimizer.destroy();
  destroyTensors([x]);
});
