// PyTorch's and the textbook's runs, from their names and configurations, free-running on the GPU.
import { describe, expect, test } from "vitest";
import { vectorJobs } from "../../src/conformance/vector-cases.js";
import { useDevice } from "../support/device.js";
import { vectorFiles } from "../vectors/trajectories.js";

const watched = useDevice();
const jobs = vectorFiles
  .flatMap((file) => vectorJobs(file, () => true))
  // Those of schedules alone need no GPU.
  .filter(({ cases }) => cases[0]!.rule !== "");

describe("the kernels follow", () => {
  test.each(jobs.map((job) => [job.cases[0]!.id, job] as const))("%s", async (_, { run }) => {
    const { device, software } = watched();
    const [outcome] = await run({ device, software });
    expect(outcome!.errors.slice(0, 5)).toEqual([]);
    // Something was compared, of the run and of its steps.
    expect(outcome!.worstError).toBeGreaterThan(0);
    expect(outcome!.worstUlp).toBeGreaterThan(0);
  });
});
