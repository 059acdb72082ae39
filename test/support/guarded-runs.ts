// Steps of one tensor, with guards or without.
import { createOptimizer, type GuardOptions, type Rule, type StepReport } from "../../src/index.js";
import { read, upload, write } from "./buffers.js";
import { gradients, normals } from "./numbers.js";

export const LENGTH = 301;
export const schedule = (step: number) => 1 / (1 + step);

interface Run {
  readonly parameters: Float32Array;
  readonly states: readonly Float32Array[];
  readonly steps: number;
  readonly reports: readonly StepReport[];
}

/** Steps with these gradients, each written before its step. */
export async function run(
  device: GPUDevice,
  rule: Rule,
  given: readonly Float32Array[],
  guards?: GuardOptions,
  { wait = false, telemetry = false } = {},
): Promise<Run> {
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

export const some = (count: number) => Array.from({ length: count }, (_, t) => gradients(5, t, LENGTH));
export const spoiled = (values: Float32Array, bad: number, at = 17) => {
  const copy = values.slice();
  copy[at] = bad;
  return copy;
};

// Half of the rules, and with `test --long` all.
