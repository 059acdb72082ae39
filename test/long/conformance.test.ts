// The whole conformance run, as a user runs it.
import { expect, test } from "vitest";
import { runJob } from "../support/job.js";

/** What the software adapter of two cores may take, in seconds. */
const LIMIT = 180;

test("passes within three minutes", { timeout: 600_000 }, async () => {
  const begin = performance.now();
  const { code, output } = await runJob("conformance");
  expect(code, output).toBe(0);
  expect(output.trimEnd()).toMatch(/\n\d{3,} passed, 0 failed$/);
  expect((performance.now() - begin) / 1000).toBeLessThan(LIMIT);
});
