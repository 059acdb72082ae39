// All that an optimizer can go through.
import {
  adamw,
  createArena,
  createOptimizer,
  momentum,
  nesterovLookahead,
  novograd,
  sophia,
} from "../../../src/index.js";

/** Goes through all of it on a device, which is destroyed then. */
export async function live(device: GPUDevice): Promise<void> {
  const arena = createArena(device, [{ a: [30, 7], b: [9] }, { c: [5] }, { d: [3], e: [] }]);
  const [first, second, third] = arena.groups;
  for (const extras of [{}, { guards: { clipGlobalNorm: 1, clipNorm: 2 }, telemetry: { perTensor: true } }]) {
    const optimizer = await createOptimizer(device, {
      rule: adamw(),
      groups: [
        { parameters: first },
        { parameters: second, rule: nesterovLookahead() },
        { parameters: third.slice(0, 1), rule: sophia() },
      ],
      accumulation: true,
      average: {},
      slowWeights: { every: 2 },
      ...extras,
    });
    for (let t = 0; t < 3; t += 1) {
      optimizer.lookahead();
      optimizer.curvature();
      optimizer.accumulate({ samples: 2 });
      optimizer.accumulate();
      optimizer.step();
      optimizer.lookahead();
      optimizer.step();
    }
    await optimizer.settled();
    optimizer.swapAverage();
    optimizer.swapAverage();
    await optimizer.load(await optimizer.save());
    await optimizer.addParameters(optimizer.groups[2]!, third.slice(1));
    await optimizer.freeze("a");
    optimizer.lookahead();
    optimizer.step();
    await optimizer.thaw("a");
    optimizer.lookahead();
    optimizer.restore();
    optimizer.destroy();
  }
  for (const rule of [momentum(), novograd()]) {
    const optimizer = await createOptimizer(device, { rule, parameters: first, sam: {} });
    optimizer.ascend();
    optimizer.step();
    await optimizer.settled();
    optimizer.destroy();
  }
  arena.destroy();
  await device.queue.onSubmittedWorkDone();
  device.destroy();
}
