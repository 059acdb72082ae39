import { tree } from "@jax-js/jax";
import { createOptimizer } from "../../src/index.js";
import { lrRangeTest } from "../../src/schedules/range-test.js";
import type { TrainEvent } from "./events.js";
import { WaitingLosses } from "./losses.js";
import type { Mnist } from "./mnist.js";
import { initialParameters } from "./network.js";
import type { TrainOptions } from "./options.js";
import { shuffle, uniformNumbers } from "./random.js";
import { groupsOf, ruleByName } from "./rules.js";
import { sweepSteps } from "./sweep-steps.js";
import { computeGradients, withGradients } from "./train.js";

/**
 * Sweeps the learning rate from 1e-6 to 10 over at most one epoch of MNIST, and reports the losses as it goes, then the
 * rate that it proposes.
 */
export async function findRate(
  device: GPUDevice,
  { training }: Mnist,
  { optimizer: name, batch, seed }: TrainOptions,
  report: (event: TrainEvent) => void,
): Promise<void> {
  const steps = sweepSteps(batch);
  const test = lrRangeTest({ steps });
  const rule = ruleByName(name, 1);
  const parameters = initialParameters(seed);
  const optimizer = await createOptimizer(device, {
    schedule: test.schedule,
    groups: groupsOf(rule, withGradients(parameters)),
  });
  report({ kind: "start", steps, firstStep: 0 });
  const started = performance.now();
  const order = Uint32Array.from({ length: training.count }, (_, index) => index);
  shuffle(order, uniformNumbers(~seed));
  const waiting = new WaitingLosses();
  let rates: number[] = [];
  for (let step = 1; step <= steps && !test.done; step++) {
    const start = (step - 1) * Number(batch);
    if (rule.row.shader.lookahead) optimizer.lookahead();
    const indices = order.subarray(start, start + Number(batch));
    const loss = computeGradients(optimizer, parameters, training, indices, waiting);
    optimizer.step({ loss });
    rates.push(optimizer.groups[0]?.rate ?? Number.NaN);
    if (!waiting.full && step < steps) continue;
    const losses = (await waiting.readAny()).map(({ value }) => value);
    for (const loss of losses) test.report(loss);
    report({ kind: "steps", epoch: 1, step, losses, rates });
    rates = [];
  }
  const seconds = (performance.now() - started) / 1000;
  optimizer.destroy();
  tree.dispose(parameters);
  report({ kind: "swept", seconds, suggestion: test.suggestion, svg: test.toSVG() });
}
