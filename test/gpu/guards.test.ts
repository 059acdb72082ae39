// Guards and telemetry: what the GPU decides by itself, held against the same computed on the CPU.
import { describe, expect, test } from "vitest";
import {
  type adam,
  createArena,
  createOptimizer,
  type GuardOptions,
  nadam,
  nesterovLookahead,
  rules,
  type StepReport,
  sgd,
} from "../../src/index.js";
import { read, upload, write } from "../support/buffers.js";
import { difference, useDevice } from "../support/device.js";
import { gradients, normals } from "../support/numbers.js";

const watched = useDevice();
const LENGTH = 301;
const schedule = (step: number) => 1 / (1 + step);

interface Run {
  readonly parameters: Float32Array;
  readonly states: readonly Float32Array[];
  readonly steps: number;
  readonly reports: readonly StepReport[];
}

/** Steps with these gradients, each written before its step. */
async function run(
  rule: ReturnType<typeof adam>,
  given: readonly Float32Array[],
  guards?: GuardOptions,
  { wait = false, telemetry = false } = {},
): Promise<Run> {
  const { device } = watched();
  const param = upload(device, normals(3, LENGTH));
  const grad = upload(device, new Float32Array(LENGTH));
  const reports: StepReport[] = [];
  const optimizer = await createOptimizer(device, {
    rule,
    schedule,
    parameters: [{ name: "x", param, grad }],
    ...(guards && { guards }),
    ...(telemetry && { telemetry: { onReport: (report: StepReport) => reports.push(report) } }),
  });
  for (const values of given) {
    optimizer.lookahead();
    write(device, grad, values);
    optimizer.step();
    if (wait) await optimizer.settled();
  }
  await optimizer.settled();
  const ranges = rule.row.shader.states.map((state) => optimizer.state("x", state));
  const [parameters, ...states] = await read(device, [param, ...ranges]);
  const { steps } = optimizer.groups[0]!;
  optimizer.destroy();
  param.buffer.destroy();
  grad.buffer.destroy();
  return { parameters: parameters!, states, steps, reports };
}

const some = (count: number) => Array.from({ length: count }, (_, t) => gradients(5, t, LENGTH));
const spoiled = (values: Float32Array, bad: number, at = 17) => {
  const copy = values.slice();
  copy[at] = bad;
  return copy;
};

describe.each(rules.map((factory) => [factory.row.name, factory] as const))("%s", (_, factory) => {
  const rule = factory({ weightDecay: 0.01, maximize: true });

  test("guards that do nothing change no bit", async () => {
    const plain = await run(rule, some(6));
    const guarded = await run(rule, some(6), {});
    expect(guarded.parameters).toEqual(plain.parameters);
    expect(guarded.states).toEqual(plain.states);
    expect(guarded.steps).toBe(6);
  });

  test("a skipped step leaves no trace, whether the host knows of it or not", async () => {
    const clean = some(6);
    const [a, b, c, d, e, f] = clean as [Float32Array, ...Float32Array[]] & Record<number, Float32Array>;
    const dirty = [
      spoiled(a!, Number.NaN),
      a!,
      b!,
      spoiled(c!, Number.POSITIVE_INFINITY, 0),
      spoiled(c!, Number.NEGATIVE_INFINITY, LENGTH - 1),
      c!,
      d!,
      e!,
      spoiled(f!, Number.NaN, 100),
      f!,
    ];
    const expected = await run(rule, clean);
    for (const wait of [true, false]) {
      const got = await run(rule, dirty, {}, { wait });
      expect(got.parameters).toEqual(expected.parameters);
      expect(got.states).toEqual(expected.states);
      expect(got.steps).toBe(6);
    }
  });
});
