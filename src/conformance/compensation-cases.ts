// Whether a device's compiler keeps what compensation computes: WGSL lets it take (a + b) − a for b.
import { type BufferRange, createOptimizer, sgd } from "../index.js";
import type { Job } from "./job.js";
import { noOutcome } from "./outcome.js";
import { record } from "./record.js";
import { storage } from "./run-rule.js";

const STEPS = 64;
const BATCHES = 256;
/** With a tail of one lane. */
const LENGTH = 5;
const START = 1e5;
/** All steps together are less than half an ulp of where they start. */
const RATE = 1e-5;
const DECAY = 0.9;

/** Parameters and averages that move by less than f32 can hold, and a sum of micro-batches that do. */
export const compensationJob: Job = {
  cases: ["parameters", "averages", "micro-batches"].map((what) => ({
    id: `device/compensated ${what}`,
    kind: "device",
    rule: "",
  })),
  run: async ({ device }) => {
    const param = storage(device, "conformance parameters", 4 * LENGTH);
    const grad = storage(device, "conformance gradients", 4 * LENGTH);
    try {
      const stepped = await run(device, param, grad);
      let expected = START - RATE;
      for (let t = 2; t <= STEPS; t += 1) expected += (1 - DECAY) * (START - RATE * t - expected);
      return [
        outcome(stepped.parameters, START - RATE * STEPS, 1e-8),
        outcome(stepped.average, expected, 1e-8),
        outcome(await mean(device, param, grad), 1, 2e-7),
      ];
    } finally {
      param.destroy();
      grad.destroy();
    }
  },
};

/** Steps of an average that is slower than they are many, and how far all of them move the parameter, from 1. */
const LONG = 2 ** 16;
const MOVED = 1e-4;
const SLOW = 0.99999;
/** Steps of a submit. */
const AT_ONCE = 256;

/** An average after so many steps that f32 alone would have frozen it. */
export const longAverageJob: Job = {
  cases: [{ id: `device/average of ${LONG} steps`, kind: "device", rule: "" }],
  run: async ({ device }) => {
    const param = storage(device, "conformance parameters", 4 * LENGTH);
    const grad = storage(device, "conformance gradients", 4 * LENGTH);
    device.queue.writeBuffer(param, 0, filled(1));
    device.queue.writeBuffer(grad, 0, filled(1));
    const rate = -MOVED / LONG;
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: -rate, maximize: true }),
      compensated: true,
      average: { decay: SLOW, initial: true },
      stepsInFlight: AT_ONCE,
      parameters: [{ name: "x", param, grad }],
    });
    try {
      let expected = 1;
      for (let t = 1; t <= LONG; t += 1) expected += (1 - SLOW) * (1 - rate * t - expected);
      for (let taken = 0; taken < LONG - 1; ) {
        const encoder = device.createCommandEncoder();
        const end = Math.min(taken + AT_ONCE, LONG - 1);
        for (; taken < end; taken += 1) optimizer.encode(encoder);
        device.queue.submit([encoder.finish()]);
        optimizer.submitted();
        // So that work does not pile up.
        if (taken % (16 * AT_ONCE) === 0) await device.queue.onSubmittedWorkDone();
      }
      const { after } = await record(device, optimizer, {
        steps: 1,
        grads: [whole(grad)],
        gradients: () => [filled(1)],
        watch: ["average", "average_compensation"].map((state) => optimizer.state("x", state)),
      });
      const [average, residual] = after[0]!;
      return [
        outcome(
          Array.from(average!, (value, i) => value + residual![i]!),
          expected,
          1e-9,
        ),
      ];
    } finally {
      optimizer.destroy();
      param.destroy();
      grad.destroy();
    }
  },
};

const whole = (buffer: GPUBuffer): BufferRange => ({ buffer, offset: 0, size: 4 * LENGTH });
const filled = (value: number) => new Float32Array(LENGTH).fill(value);

/** Parameters and their average after steps along 1, each with what its f32 cannot hold. */
async function run(device: GPUDevice, param: GPUBuffer, grad: GPUBuffer) {
  device.queue.writeBuffer(param, 0, filled(START));
  const optimizer = await createOptimizer(device, {
    rule: sgd({ lr: RATE }),
    compensated: true,
    average: { decay: DECAY },
    parameters: [{ name: "x", param, grad }],
  });
  try {
    const { after } = await record(device, optimizer, {
      steps: STEPS,
      grads: [whole(grad)],
      gradients: () => [filled(1)],
      watch: [
        whole(param),
        ...["compensation", "average", "average_compensation"].map((state) => optimizer.state("x", state)),
      ],
    });
    const [values, residuals, average, rest] = after.at(-1)!;
    const exact = (high: Float32Array, low: Float32Array) => Array.from(high, (value, i) => value + low[i]!);
    return { parameters: exact(values!, residuals!), average: exact(average!, rest!) };
  } finally {
    optimizer.destroy();
  }
}

/** The mean of gradients of 1: of one sample, and of many parts of it of half an ulp each. */
async function mean(device: GPUDevice, param: GPUBuffer, grad: GPUBuffer): Promise<number[]> {
  device.queue.writeBuffer(param, 0, filled(0));
  device.queue.writeBuffer(grad, 0, filled(1));
  const optimizer = await createOptimizer(device, {
    rule: sgd({ lr: 1 }),
    accumulation: true,
    stepsInFlight: BATCHES + 2,
    parameters: [{ name: "x", param, grad }],
  });
  try {
    const { after } = await record(device, optimizer, {
      steps: 1,
      grads: [whole(grad)],
      gradients: () => [filled(0)],
      watch: [whole(param)],
      before: (_, encoder) => {
        optimizer.accumulate({ samples: 1 }, encoder);
        for (let batch = 0; batch < BATCHES; batch += 1) optimizer.accumulate({ samples: 2 ** -25 }, encoder);
      },
    });
    return Array.from(after[0]![0]!, (value) => -value);
  } finally {
    optimizer.destroy();
  }
}

const outcome = (values: readonly number[], expected: number, bound: number) => ({
  ...noOutcome,
  errors: values.flatMap((value, i) =>
    Math.abs(value - expected) <= bound ? [] : [`[${i}]: ${value}, expected ${expected} ± ${bound}`],
  ),
});
