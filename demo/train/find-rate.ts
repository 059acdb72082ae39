import { tree } from "@jax-js/jax";
import { createJaxOptimizer } from "../../src/clients/jax.js";
import { lrRangeTest } from "../../src/schedules/range-test.js";
import type { TrainEvent } from "./events.js";
import { WaitingLosses } from "./losses.js";
import type { TrainOptions } from "./options.js";
import { ruleByName } from "./rules.js";
import { sweepSteps } from "./sweep-steps.js";
import type { Task, Tree } from "./task.js";

/**
 * Sweeps the learning rate from 1e-6 to 10 over at most one epoch, and reports the losses as it goes, then the rate that it
 * proposes.
 */
export async function findRate<T extends Tree>(
  task: Task<T>,
  options: TrainOptions,
  report: (event: TrainEvent) => void,
): Promise<void> {
  const steps = sweepSteps(options);
  const test = lrRangeTest({ steps });
  const rule = ruleByName(options.optimizer, 1);
  const { parameters } = task;
  const optimizer = await createJaxOptimizer(parameters, {
    rule,
    schedule: test.schedule,
    ...task.optimizerOptions(rule),
  });
  report({ kind: "start", steps, firstStep: 0 });
  const started = performance.now();
  const order = task.nextEpoch();
  const batch = Number(options.batch);
  const waiting = new WaitingLosses();
  let rates: number[] = [];
  for (let step = 1; step <= steps && !test.done; step++) {
    const start = (step - 1) * batch;
    if (rule.row.shader.lookahead) optimizer.engine.lookahead();
    const { loss, gradients } = task.lossAndGradients(order.subarray(start, start + batch));
    optimizer.step(gradients, { loss: loss.ref });
    waiting.push(loss, batch);
    rates.push(optimizer.engine.groups[0]?.rate ?? Number.NaN);
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
