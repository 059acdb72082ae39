// Three groups of tensors in all places, and attempts at steps, some of which a guard skips.
import { expect } from "vitest";
import {
  createArena,
  createOptimizer,
  type GuardOptions,
  type Optimizer,
  type Rule,
  type StepReport,
} from "../../src/index.js";
import { read, upload, write } from "./buffers.js";
import { gradients, normals } from "./numbers.js";
import { record } from "./record.js";
import { destroyTensors, type TestTensor, tensor } from "./tensors.js";

/** Three groups: an arena of several tensors, and loose ones of odd lengths and offsets that no vec4 reaches. */
export function makeModel(device: GPUDevice) {
  // c takes two items of four lanes, w two of one lane.
  const arena = createArena(device, [
    { a: [7, 11], b: [5], c: [4100] },
    { d: [33], e: [1] },
  ]);
  const loose = [
    tensor(device, "w", 1501, { offset: 4, gradientOffset: 12 }),
    tensor(device, "x", 301, { offset: 4 }),
    tensor(device, "y", 5, { offset: 20, gradientOffset: 8 }),
    tensor(device, "z", 3, { offset: 8 }),
  ];
  const [w, x, y, z] = loose as [TestTensor, TestTensor, TestTensor, TestTensor];
  const [first, [d, e]] = arena.groups as readonly [readonly TestTensor[], [TestTensor, TestTensor]];
  const groups: readonly (readonly TestTensor[])[] = [first, [x, d, y], [z, e, w]];
  const tensors = groups.flat();
  return {
    groups,
    tensors,
    grads: tensors.map(({ grad }) => grad),
    params: tensors.map(({ param }) => param),
    lengths: tensors.map(({ param }) => param.size / 4),
    destroy() {
      arena.destroy();
      destroyTensors(loose);
    },
  };
}

/** Gradients of all tensors for one step, and the base rate that is set by hand before it. */
export interface Attempt {
  readonly values: readonly Float32Array[];
  readonly lr: number;
}

/** `late`: the host is never waited for. `one encoder`: all attempts in one command buffer. */
type Manner = "wait" | "late" | "one encoder" | "accumulate" | "accumulate in one encoder";

interface Trained {
  /** Parameters, then states, of each tensor. */
  readonly values: readonly Float32Array[];
  readonly steps: readonly number[];
  readonly reports: readonly StepReport[];
}

export async function train(
  device: GPUDevice,
  groupRules: readonly Rule[],
  attempts: (lengths: readonly number[]) => readonly Attempt[],
  guards: GuardOptions | undefined,
  manner: Manner,
  after: (lengths: readonly number[]) => readonly Attempt[] = () => [],
): Promise<Trained> {
  const model = makeModel(device);
  const { tensors, lengths, grads, params } = model;
  params.forEach((param, i) => {
    write(device, param, normals(100 + i, lengths[i]!));
  });
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    groups: model.groups.map((parameters, i) => ({
      parameters,
      rule: groupRules[i]!,
      schedule: (step: number) => 1 / (1 + (i + 1) * step),
    })),
    accumulation: true,
    stepsInFlight: 128,
    ...(guards && { guards, telemetry: { onReport: (report: StepReport) => reports.push(report) } }),
  });
  const setRates = ({ lr }: Attempt) => {
    optimizer.groups.forEach((group, i) => {
      group.lr = lr * (i + 1);
    });
  };
  const go = async (list: readonly Attempt[]) => {
    if (manner === "one encoder") {
      await record(device, optimizer, {
        steps: list.length,
        grads,
        gradients: (t) => list[t - 1]!.values,
        watch: [params[0]!],
        before: (t) => setRates(list[t - 1]!),
      });
      return;
    }
    if (manner === "accumulate in one encoder") {
      await accumulateInOne(device, optimizer, grads, list, setRates);
      return;
    }
    for (const attempt of list) {
      setRates(attempt);
      optimizer.lookahead();
      const give = (factor: number) =>
        grads.forEach((grad, i) => {
          writeBits(
            device,
            grad,
            factor === 1 ? attempt.values[i]! : attempt.values[i]!.map((g) => factor * g),
          );
        });
      if (manner === "accumulate") {
        give(0.5);
        optimizer.accumulate({ samples: 3 });
        give(-2);
        optimizer.accumulate({ samples: 1 });
      } else give(1);
      optimizer.step();
      if (manner === "wait") await optimizer.settled();
    }
  };
  await go(attempts(lengths));
  await optimizer.settled();
  await go(after(lengths));
  await optimizer.settled();
  const values = await read(
    device,
    model.groups.flatMap((group, i) =>
      group.flatMap(({ name, param }) => [
        param,
        ...groupRules[i]!.row.shader.states.map((state) => optimizer.state(name, state)),
      ]),
    ),
  );
  const steps = optimizer.groups.map((group) => group.steps);
  expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
  optimizer.destroy();
  model.destroy();
  return { values, steps, reports };
}

/** Two micro-batches and a step for each attempt, all in one command buffer. */
async function accumulateInOne(
  device: GPUDevice,
  optimizer: Optimizer,
  grads: readonly { buffer: GPUBuffer; offset: number; size: number }[],
  list: readonly Attempt[],
  setRates: (attempt: Attempt) => void,
): Promise<void> {
  const rows = list.flatMap(({ values }) =>
    [0.5, -2].map((factor) => values.map((g) => g.map((v) => factor * v))),
  );
  const uploaded = upload(
    device,
    rows.flatMap((row) => row.flatMap((values) => [...values])),
  );
  const encoder = device.createCommandEncoder();
  let at = 0;
  const give = () => {
    for (const { buffer, offset, size } of grads) {
      encoder.copyBufferToBuffer(uploaded.buffer, at, buffer, offset, size);
      at += size;
    }
  };
  for (const attempt of list) {
    setRates(attempt);
    optimizer.lookahead(encoder);
    give();
    optimizer.accumulate({ samples: 3 }, encoder);
    give();
    optimizer.accumulate({ samples: 1 }, encoder);
    optimizer.encode(encoder);
  }
  device.queue.submit([encoder.finish()]);
  optimizer.submitted();
  await device.queue.onSubmittedWorkDone();
  uploaded.buffer.destroy();
}

/** Float32Array.from may change what a NaN carries. */
export function writeBits(
  device: GPUDevice,
  { buffer, offset }: { buffer: GPUBuffer; offset: number },
  values: Float32Array,
) {
  device.queue.writeBuffer(buffer, offset, Uint32Array.from(new Uint32Array(values.slice().buffer)));
}

export const withBits = (values: Float32Array, at: number, bad: number): Float32Array => {
  const copy = values.slice();
  new Uint32Array(copy.buffer)[at] = bad;
  return copy;
};

export const clean = (count: number) => (lengths: readonly number[]) =>
  Array.from({ length: count }, (_, t) => ({
    values: lengths.map((length, i) => gradients(40 + i, t, length)),
    lr: 0.01 / (1 + (t % 3)),
  }));

/** NaN and infinities of either sign, and NaN that carry something. */
export const BAD = [
  0x7fc00000, 0x7f800000, 0xff800000, 0xffc00001, 0x7f800001, 0xff812345, 0x7fffffff, 0xffffffff,
];

/** The steps of `clean`, with bad attempts before those of these numbers: in another tensor each, at another rate. */
export const dirtied = (count: number, before: readonly number[]) => (lengths: readonly number[]) => {
  let number = 0;
  return clean(count)(lengths).flatMap((attempt, t) => [
    ...before
      .filter((step) => step === t)
      .map(() => {
        const tensor = (number * 5) % lengths.length;
        const at = (number * 7919) % lengths[tensor]!;
        const bad = BAD[number % BAD.length]!;
        number += 1;
        return {
          values: attempt.values.map((values, i) => (i === tensor ? withBits(values, at, bad) : values)),
          lr: 0.7,
        };
      }),
    attempt,
  ]);
};
