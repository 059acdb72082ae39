import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TrainEvent } from "../../demo/train/events.ts";
import { readTrainOptions, type TrainOptions } from "../../demo/train/options.ts";
import { OptimError } from "../../src/errors.ts";
import { launchBrowser } from "../browser.ts";
import { parseOptions } from "../parse-options.ts";
import { root } from "../root.ts";
import { serve } from "../serve.ts";
import { TrainingLog } from "../training-log.ts";
import { trainInPage } from "../training-page.ts";
import { UsageError } from "../usage-error.ts";

/** `train […]`: trains on MNIST in a headless browser and writes what came of it. */
export async function trainJob(parameters: string[]): Promise<void> {
  const { options, out, json } = readCommandLine(parameters);
  // Whether they can be written is found out now, not after the training.
  if (out) mkdirSync(out, { recursive: true });
  if (json) mkdirSync(dirname(json), { recursive: true });

  const server = await serve({ configFile: join(root, "demo/vite.config.ts") });
  const gpu = await launchBrowser();
  console.log(`WebGPU adapter: ${gpu.adapter}`);
  console.log(
    `${options.optimizer}, ${options.schedule}, rate ${options.lr}, batch ${options.batch}, ${options.epochs} epochs, seed ${options.seed}`,
  );
  const log = new TrainingLog(options);
  let weights: string;
  try {
    ({ weights } = await trainInPage(gpu.browser, server.url, options, (event: TrainEvent) =>
      log.add(event),
    ));
  } finally {
    log.close();
    await gpu.close();
    await server.close();
  }
  const result = { adapter: gpu.adapter, ...log.result() };
  if (out) {
    writeFileSync(join(out, "metrics.csv"), log.csv());
    writeFileSync(join(out, "curves.svg"), log.svg());
    writeFileSync(join(out, "weights.safetensors"), Buffer.from(weights, "base64"));
  }
  if (json) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
  console.log(
    `Test accuracy ${(100 * result.accuracy).toFixed(2)} % after ${result.steps} steps in ${result.seconds.toFixed(1)} s.`,
  );
}

function readCommandLine(parameters: string[]): {
  options: TrainOptions;
  out: string | undefined;
  json: string | undefined;
} {
  const text = { type: "string" } as const;
  const { values } = parseOptions({
    args: parameters,
    options: {
      optimizer: text,
      schedule: text,
      lr: text,
      epochs: text,
      batch: text,
      seed: text,
      out: text,
      json: text,
    },
  });
  const { out, json, ...texts } = values;
  for (const [name, value] of Object.entries({ out, json }))
    if (value === "") throw new UsageError(`Option '--${name}' is empty.`);
  try {
    return { options: readTrainOptions(texts), out, json };
  } catch (error) {
    if (error instanceof OptimError) throw new UsageError(error.message);
    throw error;
  }
}
