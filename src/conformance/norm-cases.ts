// What telemetry tells of gradients whose squares f32 does not hold, and of updates that it does not hold beside a parameter.
import { createOptimizer, type StepReport, sgd } from "../index.js";
import type { Job } from "./job.js";
import { noOutcome } from "./outcome.js";
import { storage } from "./run-rule.js";

/** Parameter, gradient of every element, and rate of a step. */
const STEPS = [
  { what: "of squares beyond f32", parameter: 1, gradient: 2e19, rate: 1e-19 },
  { what: "of squares below f32", parameter: 1, gradient: 1e-30, rate: 1e29 },
  { what: "of updates lost in rounding", parameter: 1e5, gradient: 1, rate: 1e-3 },
] as const;
/** With a tail of one lane. */
const LENGTH = 5;

export const normJob: Job = {
  cases: STEPS.map(({ what }) => ({ id: `device/norms ${what}`, kind: "device", rule: "" })),
  run: ({ device }) => Promise.all(STEPS.map((step) => judge(device, step))),
};

async function judge(device: GPUDevice, { parameter, gradient, rate }: (typeof STEPS)[number]) {
  const param = storage(device, "conformance parameters", 4 * LENGTH);
  const grad = storage(device, "conformance gradients", 4 * LENGTH);
  device.queue.writeBuffer(param, 0, new Float32Array(LENGTH).fill(parameter));
  device.queue.writeBuffer(grad, 0, new Float32Array(LENGTH).fill(gradient));
  const reports: StepReport[] = [];
  try {
    const optimizer = await createOptimizer(device, {
      rule: sgd({ lr: rate }),
      guards: {},
      telemetry: { onReport: (report) => reports.push(report) },
      parameters: [{ name: "x", param, grad }],
    });
    try {
      optimizer.step();
      await optimizer.settled();
    } finally {
      optimizer.destroy();
    }
  } finally {
    param.destroy();
    grad.destroy();
  }
  const next = Math.fround(parameter - Math.fround(rate) * Math.fround(gradient));
  const root = Math.sqrt(LENGTH);
  const expected = {
    taken: 1,
    gradientNorm: root * Math.fround(gradient),
    parameterNorm: root * Math.abs(next),
    updateNorm: root * Math.abs(next - parameter),
    lostUpdates: next === parameter ? LENGTH : 0,
  };
  const [report] = reports;
  const errors = Object.entries(expected).flatMap(([name, value]) => {
    const got = Number(report?.[name as keyof typeof expected]);
    return Math.abs(got - value) <= 1e-5 * value ? [] : [`${name}: ${got}, expected ${value}`];
  });
  return { ...noOutcome, errors };
}
