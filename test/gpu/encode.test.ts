// Steps in the caller's encoder: the same bits as steps submitted one by one, and slots that run out by name.
import { describe, expect, test } from "vitest";
import {
  adadelta,
  adagrad,
  adam,
  adamax,
  adamw,
  createOptimizer,
  momentum,
  nadam,
  type Optimizer,
  type OptimizerOptions,
  rmsprop,
  sgd,
} from "../../src/index.js";
import { read } from "../support/buffers.js";
import { difference, useDevice } from "../support/device.js";
import { expectError } from "../support/errors.js";
import { gradients } from "../support/numbers.js";
import { bits, destroyTensors, type TestTensor, tensor } from "../support/tensors.js";

const watched = useDevice();

/** Gradients of three steps, and more, to be copied in the caller's own encoder. */
function sources(device: GPUDevice, tensors: readonly TestTensor[], steps: number) {
  return Array.from({ length: steps }, (_, step) =>
    tensors.map(({ grad }, index) => {
      const buffer = device.createBuffer({
        label: "gradient source",
        size: grad.size,
        usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
      });
      device.queue.writeBuffer(buffer, 0, gradients(index + 1, step + 1, grad.size / 4).slice());
      return buffer;
    }),
  );
}

function copyGradients(encoder: GPUCommandEncoder, tensors: readonly TestTensor[], from: GPUBuffer[]): void {
  tensors.forEach(({ grad }, index) => {
    encoder.copyBufferToBuffer(from[index]!, 0, grad.buffer, grad.offset, grad.size);
  });
}

/** Parameters and states of an optimizer over tensors, as bits. */
async function outcome(
  device: GPUDevice,
  optimizer: Optimizer,
  tensors: readonly TestTensor[],
  states: readonly (readonly [name: string, state: string])[],
): Promise<Uint32Array[]> {
  const ranges = [
    ...tensors.map(({ param }) => param),
    ...states.map(([name, state]) => optimizer.state(name, state)),
  ];
  return bits(await read(device, ranges));
}

/** One run over three tensors, in two groups; `drive` steps it. */
async function run(
  options: Omit<OptimizerOptions, "parameters" | "groups">,
  drive: (
    optimizer: Optimizer,
    device: GPUDevice,
    copy: (encoder: GPUCommandEncoder, step: number) => void,
  ) => unknown,
): Promise<Uint32Array[]> {
  const { device } = watched();
  const tensors = [tensor(device, "w", 40), tensor(device, "v", 13, { offset: 4 }), tensor(device, "b", 6)];
  const from = sources(device, tensors, 8);
  const optimizer = await createOptimizer(device, {
    ...options,
    groups: [
      { parameters: [tensors[0]!, tensors[1]!] },
      {
        parameters: [tensors[2]!],
        weightDecay: 0,
        rule: momentum({ lr: 0.02 }),
        schedule: (s) => 1 / (1 + s),
      },
    ],
  });
  await drive(optimizer, device, (encoder, step) => copyGradients(encoder, tensors, from[step]!));
  const result = await outcome(device, optimizer, tensors, [
    ["w", "exp_avg_sq"],
    ["v", "exp_avg"],
    ["b", "momentum_buffer"],
  ]);
  optimizer.destroy();
  destroyTensors(tensors);
  for (const buffer of from.flat()) buffer.destroy();
  return result;
}

const options = { rule: adamw({ lr: 0.01, weightDecay: 0.3 }), schedule: (step: number) => 0.8 ** step };

/** The rate by hand before each step, beside the schedule. */
const rates = [0.01, 0.03, 0.002, 0.01, 0.5];
const setRates = (optimizer: Optimizer, step: number) => {
  optimizer.groups[0]!.lr = rates[step]!;
  optimizer.groups[1]!.lr = rates[4 - step]!;
};

/** Every step encoded, submitted and awaited by itself. */
const oneByOne =
  (steps: number, change: (optimizer: Optimizer, step: number) => void = setRates) =>
  async (
    optimizer: Optimizer,
    device: GPUDevice,
    copy: (encoder: GPUCommandEncoder, step: number) => void,
  ) => {
    for (let step = 0; step < steps; step += 1) {
      const encoder = device.createCommandEncoder();
      copy(encoder, step);
      device.queue.submit([encoder.finish()]);
      change(optimizer, step);
      optimizer.step();
      await device.queue.onSubmittedWorkDone();
    }
  };

describe("several steps in one encoder", () => {
  test("equal the same steps one by one, with rates by hand, schedules and groups of their own", async () => {
    const separate = await run(options, oneByOne(5));
    const together = await run(options, (optimizer, device, copy) => {
      const encoder = device.createCommandEncoder();
      for (let step = 0; step < 5; step += 1) {
        copy(encoder, step);
        setRates(optimizer, step);
        optimizer.encode(encoder);
        expect(optimizer.groups.map(({ steps }) => steps)).toEqual([step + 1, step + 1]);
        expect(optimizer.groups[0]!.rate).toBe(rates[step]! * 0.8 ** step);
      }
      // Of no effect on what is encoded: the same steps were written at their own rates.
      optimizer.groups[0]!.lr = 100;
      optimizer.groups[1]!.schedule = () => 1000;
      device.queue.submit([encoder.finish()]);
      optimizer.submitted();
    });
    expect(together).toEqual(separate);
    // The comparison would also hold if nothing depended on the rates.
    const fixed = await run(
      options,
      oneByOne(5, () => {}),
    );
    expect(fixed).not.toEqual(separate);
  });

  test("may be several command buffers of one submit", async () => {
    const separate = await run(options, oneByOne(4));
    const together = await run(options, (optimizer, device, copy) => {
      const buffers = [0, 1, 2, 3].map((step) => {
        const encoder = device.createCommandEncoder();
        copy(encoder, step);
        setRates(optimizer, step);
        optimizer.encode(encoder);
        return encoder.finish();
      });
      device.queue.submit(buffers);
      optimizer.submitted();
    });
    expect(together).toEqual(separate);
  });

  test("stand among the caller's own passes", async () => {
    const doubling = (device: GPUDevice) =>
      device.createComputePipeline({
        layout: "auto",
        compute: {
          module: device.createShaderModule({
            code: `@group(0) @binding(0) var<storage, read_write> values: array<f32>;
              @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { values[id.x] *= 2; }`,
          }),
        },
      });
    const tensors = () => [tensor(watched().device, "x", 16)];
    const drive = async (separately: boolean) => {
      const { device } = watched();
      const mine = tensors();
      const { param, grad } = mine[0]!;
      const pipeline = doubling(device);
      const groups = [param, grad].map((resource) =>
        device.createBindGroup({
          layout: pipeline.getBindGroupLayout(0),
          entries: [{ binding: 0, resource: { buffer: resource.buffer, offset: 0, size: resource.size } }],
        }),
      );
      const optimizer = await createOptimizer(device, { rule: adam({ lr: 0.1 }), parameters: mine });
      const double = (encoder: GPUCommandEncoder, group: number) => {
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, groups[group]!);
        pass.dispatchWorkgroups(16);
        pass.end();
      };
      const pieces = [
        (encoder: GPUCommandEncoder) => double(encoder, 1),
        (encoder: GPUCommandEncoder) => optimizer.encode(encoder),
        (encoder: GPUCommandEncoder) => double(encoder, 0),
        (encoder: GPUCommandEncoder) => optimizer.encode(encoder),
      ];
      let encoder = device.createCommandEncoder();
      for (const piece of pieces) {
        piece(encoder);
        if (!separately) continue;
        device.queue.submit([encoder.finish()]);
        await device.queue.onSubmittedWorkDone();
        encoder = device.createCommandEncoder();
      }
      device.queue.submit([encoder.finish()]);
      optimizer.submitted();
      const result = await outcome(device, optimizer, mine, [["x", "exp_avg"]]);
      optimizer.destroy();
      destroyTensors(mine);
      return result;
    };
    expect(await drive(false)).toEqual(await drive(true));
  });
});

describe("slots", () => {
  const perStep = (optimizer: Optimizer, device: GPUDevice) => {
    const encoder = device.createCommandEncoder();
    return { encoder, encode: () => optimizer.encode(encoder) };
  };

  test("run out by name, and nothing has changed", async () => {
    const free = await run(options, oneByOne(5));
    const limited = await run({ ...options, stepsInFlight: 3 }, async (optimizer, device, copy) => {
      const { encoder } = perStep(optimizer, device);
      for (let step = 0; step < 3; step += 1) {
        copy(encoder, step);
        setRates(optimizer, step);
        optimizer.encode(encoder);
      }
      const { counts } = watched();
      const before = { ...counts };
      setRates(optimizer, 4);
      await expectError(() => optimizer.encode(encoder), "slots-exhausted", "stepsInFlight");
      expect(Object.values(difference(counts, before)).every((count) => count === 0)).toBe(true);
      await expectError(() => optimizer.step(), "slots-exhausted", "stepsInFlight");
      expect(optimizer.groups.map(({ steps }) => steps)).toEqual([3, 3]);
      device.queue.submit([encoder.finish()]);
      optimizer.submitted();
      for (let step = 3; step < 5; step += 1) {
        const encoder = device.createCommandEncoder();
        copy(encoder, step);
        setRates(optimizer, step);
        optimizer.encode(encoder);
        device.queue.submit([encoder.finish()]);
        optimizer.submitted();
      }
    });
    expect(limited).toEqual(free);
  });

  test("are freed by number, the oldest first, around the ring", async () => {
    const free = await run(options, oneByOne(5));
    const limited = await run({ ...options, stepsInFlight: 3 }, async (optimizer, device, copy) => {
      const encode = (steps: readonly number[]) => {
        const encoder = device.createCommandEncoder();
        for (const step of steps) {
          copy(encoder, step);
          setRates(optimizer, step);
          optimizer.encode(encoder);
        }
        return encoder;
      };
      device.queue.submit([encode([0, 1]).finish()]);
      const held = encode([2]);
      optimizer.submitted(2);
      // These take the two free slots and leave that of step 2 alone.
      const later = encode([3, 4]);
      const spare = device.createCommandEncoder();
      await expectError(() => optimizer.encode(spare), "slots-exhausted");
      device.queue.submit([held.finish(), later.finish()]);
      optimizer.submitted(3);
      optimizer.submitted(0);
      await expectError(() => optimizer.submitted(1), "invalid-argument", "from 0 to 0");
    });
    expect(limited).toEqual(free);
  });

  test.each([-1, Number.NaN, 2, 0.5, Number.POSITIVE_INFINITY])("submitted(%s) is refused", async (count) => {
    await run({ ...options, stepsInFlight: 2 }, async (optimizer, device) => {
      const encoder = device.createCommandEncoder();
      optimizer.encode(encoder);
      await expectError(() => optimizer.submitted(count), "invalid-argument", "from 0 to 1");
      // The slot is still held.
      optimizer.encode(encoder);
      await expectError(() => optimizer.encode(encoder), "slots-exhausted");
      device.queue.submit([encoder.finish()]);
      optimizer.submitted();
    });
  });

  test("last for 1 000 steps in any number in flight", async () => {
    const { device } = watched();
    const results = [];
    for (const inFlight of [1, 7, 64]) {
      const tensors = [tensor(device, "x", 5)];
      const optimizer = await createOptimizer(device, {
        rule: nadam({ lr: 1e-4 }),
        schedule: (step) => 1 + (step % 5),
        stepsInFlight: inFlight,
        parameters: tensors,
      });
      for (let step = 0; step < 1000; ) {
        const encoder = device.createCommandEncoder();
        for (let i = 0; i < inFlight && step < 1000; i += 1, step += 1) optimizer.encode(encoder);
        device.queue.submit([encoder.finish()]);
        optimizer.submitted();
      }
      results.push(await outcome(device, optimizer, tensors, [["x", "exp_avg_sq"]]));
      optimizer.destroy();
      destroyTensors(tensors);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

test("two optimizers may be interleaved in one encoder", async () => {
  const { device } = watched();
  const drive = async (interleaved: boolean) => {
    const first = [tensor(device, "x", 17)];
    const second = [tensor(device, "x", 30, { offset: 8 })];
    const a = await createOptimizer(device, { rule: adam({ lr: 0.1 }), parameters: first });
    const b = await createOptimizer(device, {
      rule: rmsprop({ lr: 0.2 }),
      schedule: (s) => 1 / (s + 1),
      parameters: second,
    });
    if (interleaved) {
      const encoder = device.createCommandEncoder();
      for (const optimizer of [a, b, b, a, b, a]) optimizer.encode(encoder);
      device.queue.submit([encoder.finish()]);
      a.submitted();
      b.submitted();
    } else for (const optimizer of [a, a, a, b, b, b]) optimizer.step();
    const result = [
      ...(await outcome(device, a, first, [["x", "exp_avg"]])),
      ...(await outcome(device, b, second, [["x", "square_avg"]])),
    ];
    a.destroy();
    b.destroy();
    destroyTensors([...first, ...second]);
    return result;
  };
  expect(await drive(true)).toEqual(await drive(false));
});

test("groups with rules, rates, schedules and decay of their own equal separate optimizers", async () => {
  const { device } = watched();
  const parts = [
    { rule: adamw({ lr: 0.01, weightDecay: 0.5 }), schedule: (s: number) => 0.5 ** s, state: "exp_avg" },
    { rule: adagrad({ lr: 0.1, initialAccumulatorValue: 0.1 }), schedule: () => 1, state: "sum" },
    { rule: sgd({ lr: 0.3 }), schedule: (s: number) => s / 3, state: undefined },
  ];
  const make = () =>
    parts.map((_, index) =>
      tensor(device, `t${index}`, 10 + index, { offset: 4 * index, gradientOffset: 8 }),
    );
  const statesOf = (index: number) => {
    const state = parts[index]!.state;
    return state ? [[`t${index}`, state] as const] : [];
  };

  const together = make();
  const optimizer = await createOptimizer(device, {
    groups: parts.map(({ rule, schedule }, index) => ({ rule, schedule, parameters: [together[index]!] })),
  });
  const apart = make();
  const optimizers = await Promise.all(
    parts.map(({ rule, schedule }, index) =>
      createOptimizer(device, { rule, schedule, parameters: [apart[index]!] }),
    ),
  );
  for (let step = 0; step < 4; step += 1) for (const one of [optimizer, ...optimizers]) one.step();
  for (const index of parts.keys())
    expect(await outcome(device, optimizer, [together[index]!], statesOf(index))).toEqual(
      await outcome(device, optimizers[index]!, [apart[index]!], statesOf(index)),
    );
  for (const one of [optimizer, ...optimizers]) one.destroy();
  destroyTensors([...together, ...apart]);
});

test("weight decay 0 on biases is what their group does, and decay acts on the others", async () => {
  const { device } = watched();
  const rule = adamw({ lr: 0.1, weightDecay: 0.5 });
  const drive = async (weightDecay: number) => {
    const tensors = [tensor(device, "w", 8), tensor(device, "b", 8)];
    const optimizer = await createOptimizer(device, {
      rule,
      groups: [{ parameters: [tensors[0]!] }, { parameters: [tensors[1]!], weightDecay }],
    });
    expect(optimizer.groups.map(({ options }) => options.weightDecay)).toEqual([0.5, weightDecay]);
    optimizer.step();
    const result = await read(
      device,
      tensors.map(({ param }) => param),
    );
    optimizer.destroy();
    destroyTensors(tensors);
    return result;
  };
  const [decayed, bare] = [await drive(0.5), await drive(0)];
  // Both tensors hold the same values, so the groups differ by their decay alone.
  expect(bits([decayed[0]!])).toEqual(bits([decayed[1]!]));
  expect(bits([bare[0]!])).toEqual(bits([decayed[0]!]));
  // Shrunk by ηλ = 1/20; f32 rounding of a few ULP.
  const start = tensor(device, "w", 8);
  const [initial] = await read(device, [start.param]);
  destroyTensors([start]);
  bare[1]!.forEach((value, i) => {
    expect(Math.abs(value - (bare[0]![i]! + 0.05 * initial![i]!))).toBeLessThanOrEqual(1e-6);
  });
});

describe("pipelines and layouts", () => {
  test("are shared by the optimizers of a device, also when made at the same time", async () => {
    const { device, counts } = watched();
    const tensors = [tensor(device, "x", 8), tensor(device, "y", 8)];
    const make = (index: number) =>
      createOptimizer(device, { rule: adadelta({ lr: index + 1 }), parameters: [tensors[index]!] });
    const before = { ...counts };
    const both = await Promise.all([make(0), make(1)]);
    // What the tensors and the options need: four lanes, and nothing around the rule.
    const first = difference(counts, before);
    expect([first.pipelines, first.modules]).toEqual([1, 1]);
    const again = { ...counts };
    both.push(await make(0));
    const later = difference(counts, again);
    expect([later.pipelines, later.modules, later.layouts]).toEqual([0, 0, 0]);
    for (const optimizer of both) optimizer.destroy();
    destroyTensors(tensors);
  });

  test("differ where the constants do", async () => {
    const { device, counts } = watched();
    const tensors = [tensor(device, "x", 8)];
    const made: number[] = [];
    for (const epsInside of [false, true, false]) {
      const before = { ...counts };
      const optimizer = await createOptimizer(device, {
        rule: rmsprop({ epsInside, eps: 3e-3 }),
        parameters: tensors,
      });
      made.push(difference(counts, before).pipelines);
      optimizer.destroy();
    }
    expect(made[1]).toBe(1);
    expect(made[2]).toBe(0);
    destroyTensors(tensors);
  });

  test("are compiled for what may come, and once for what nobody foresaw", async () => {
    const { device, counts } = watched();
    const tensors = [tensor(device, "x", 9, { offset: 4, gradientOffset: 20 }), tensor(device, "y", 8)];
    const before = { ...counts };
    const optimizer = await createOptimizer(device, {
      groups: [
        { parameters: [tensors[0]!], optionSchedules: { weightDecay: (step) => (step < 2 ? 0 : 0.1) } },
        { parameters: [tensors[1]!], weightDecay: 0 },
      ],
      rule: adamax(),
    });
    // One text in two widths: with coupled decay in both, without it in four lanes.
    const first = difference(counts, before);
    expect([first.pipelines, first.modules]).toEqual([3, 2]);
    // Of no decay yet, in single lanes.
    for (let t = 0; t < 4; t += 1) optimizer.step();
    const steps = difference(counts, before);
    expect(steps.pipelines).toBe(4);
    optimizer.groups[1]!.set({ weightDecay: 0.1 });
    optimizer.step();
    expect(difference(counts, before).pipelines).toBe(steps.pipelines);
    optimizer.groups[1]!.set({ decay: "proximal" });
    for (let t = 0; t < 4; t += 1) optimizer.step();
    expect(difference(counts, before).pipelines).toBe(steps.pipelines + 1);
    expect(difference(counts, before).modules).toBe(2);
    optimizer.destroy();
    destroyTensors(tensors);
  });

  test("with guards, only what a monitored step needs is compiled", async () => {
    const { device, counts } = watched();
    const tensors = [tensor(device, "x", 8)];
    const made: number[] = [];
    for (const epsInside of [false, true]) {
      const before = { ...counts };
      const optimizer = await createOptimizer(device, {
        rule: rmsprop({ epsInside }),
        parameters: tensors,
        guards: { clipGlobalNorm: 1 },
      });
      made.push(difference(counts, before).pipelines);
      optimizer.destroy();
    }
    // The step; the measure, the sums and the decision are those of the first.
    expect(made[1]).toBe(1);
    destroyTensors(tensors);
  });
});
