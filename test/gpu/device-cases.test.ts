// Planted defects of the engine: the cases of the device in the conformance run find them.
import { expect, test } from "vitest";
import { compensationJob, longAverageJob } from "../../src/conformance/compensation-cases.js";
import type { Job } from "../../src/conformance/job.js";
import { normJob } from "../../src/conformance/norm-cases.js";
import { watchedDevice } from "../support/device.js";
import { long } from "../support/long.js";

type Defect = readonly [what: string, job: Job, from: string, to: string];

const defects: readonly Defect[] = [
  [
    "averages without what their f32 cannot hold",
    longAverageJob,
    "residuals[i] = engine_narrow(residual);\n  if (slow)",
    "residuals[i] = engine_narrow(vec4f());\n  if (slow)",
  ],
  [
    "micro-batches without what their f32 cannot hold",
    compensationJob,
    "residual = engine_widen(residuals[i]);",
    "residual = vec4f();",
  ],
  [
    "norms of squares that leave f32",
    normJob,
    "return bitcast<u32>(squares) - engine_LEAST <= engine_MOST - engine_LEAST;",
    "return true;",
  ],
  [
    "the update as it was meant",
    normJob,
    "let engine_moved = engine_stored - engine_parameter;",
    "let engine_moved = -engine_change;",
  ],
];

/** What a case finds on a device of its own, whose shaders have other text where some stands. */
async function found(job: Job, from = "", to = ""): Promise<{ planted: number; errors: string[] }> {
  const { device } = await watchedDevice();
  const { createShaderModule } = device;
  let planted = 0;
  Object.defineProperty(device, "createShaderModule", {
    configurable: true,
    value: (descriptor: GPUShaderModuleDescriptor) => {
      const code = from === "" ? descriptor.code : descriptor.code.replaceAll(from, to);
      if (code !== descriptor.code) planted += 1;
      return createShaderModule.call(device, { ...descriptor, code });
    },
  });
  const outcomes = await job.run({ device, software: true });
  device.destroy();
  return { planted, errors: outcomes.flatMap(({ errors }) => errors) };
}

// 65 536 steps take their time: with `test --long`.
const inTime = (job: Job) => long || job !== longAverageJob;

test.each(defects.filter(([, job]) => inTime(job)))("%s", async (_, job, from, to) => {
  const { planted, errors } = await found(job, from, to);
  expect(planted).toBeGreaterThan(0);
  expect(errors).not.toEqual([]);
});

test.each([compensationJob, longAverageJob, normJob].filter(inTime))(
  "without a defect nothing is found: $cases.0.id",
  async (job) => {
    expect((await found(job)).errors).toEqual([]);
  },
);
