import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TrainEvent } from "../../demo/train/events.ts";
import {
  readTrainOptions,
  stepsPerEpoch,
  type TrainOptions,
  type TrainOptionTexts,
} from "../../demo/train/options.ts";
import { readPosition, resumeOptions } from "../../demo/train/resume.ts";
import { sweepSteps } from "../../demo/train/sweep-steps.ts";
import { readSafetensors } from "../../src/checkpoint/read.ts";
import { OptimError } from "../../src/errors.ts";
import { launchBrowser } from "../browser.ts";
import { requireWritable, requireWritableFolder } from "../check-options.ts";
import { parseOptions } from "../parse-options.ts";
import { root } from "../root.ts";
import { serve } from "../serve.ts";
import { TrainingLog } from "../training-log.ts";
import { sweepInPage, trainInPage } from "../training-page.ts";
import { UsageError } from "../usage-error.ts";

/** `train […]`: trains a model in a headless browser and writes what came of it. */
export async function trainJob(parameters: string[]): Promise<void> {
  const { texts, findLr, resume, out, json } = readCommandLine(parameters);
  if (out) requireWritableFolder("out", out);
  if (json) requireWritable("json", json);
  const asked = readOptions(texts);
  if (findLr) return await findRate(asked, out, json);
  const begun = resume === undefined ? undefined : readCheckpoint(resume, texts);
  const options = begun?.options ?? asked;
  const log = new TrainingLog(options);
  if (begun && !log.takeUp(begun.csv, begun.steps))
    console.log(`No whole metrics.csv lies beside ${resume}: the curve begins after step ${begun.steps}.`);
  const server = await serve({ configFile: join(root, "demo/vite.config.ts") });
  const gpu = await launchBrowser();
  console.log(`WebGPU adapter: ${gpu.adapter}`);
  console.log(
    `${options.model}, ${options.optimizer}, ${options.schedule}, rate ${options.lr}, batch ${options.batch}, ${options.epochs} epochs, seed ${options.seed}`,
  );
  if (begun) console.log(`from step ${begun.steps} on, of ${resume}`);
  let weights: string;
  try {
    ({ weights } = await trainInPage(
      gpu.browser,
      server.url,
      options,
      (event: TrainEvent) => log.add(event),
      {
        from: begun?.file,
        keep:
          out === undefined
            ? undefined
            : (file) => {
                writeFileSync(join(out, "metrics.csv"), log.csv());
                replaceFile(join(out, "checkpoint.safetensors"), file);
              },
      },
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
  console.log(log.summary());
}

/** `train --find-lr`: sweeps the learning rate over an epoch at most, and proposes one. */
async function findRate(
  options: TrainOptions,
  out: string | undefined,
  json: string | undefined,
): Promise<void> {
  const { model, optimizer, batch, seed } = options;
  const steps = orUsageError(() => sweepSteps(options));
  const server = await serve({ configFile: join(root, "demo/vite.config.ts") });
  const gpu = await launchBrowser();
  console.log(`WebGPU adapter: ${gpu.adapter}`);
  console.log(
    `${model}, ${optimizer}, batch ${batch}, seed ${seed}: rates from 1e-6 to 10 over ${steps} steps`,
  );
  const log = new TrainingLog({ ...options, epochs: 1 });
  try {
    const swept = await sweepInPage(gpu.browser, server.url, options, (event) => log.add(event));
    log.close();
    const { suggestion, svg, seconds } = swept;
    if (out) writeFileSync(join(out, "find-lr.svg"), svg);
    const result = { adapter: gpu.adapter, model, optimizer, batch, seed, steps, seconds, ...suggestion };
    if (json) writeFileSync(json, `${JSON.stringify(result, null, 2)}\n`);
    if (!suggestion) throw new Error("At no rate did the loss fall.");
    const { rate, steepest, minimum } = suggestion;
    const [fastest, lowest, proposed] = [steepest, minimum, rate].map((value) => value.toPrecision(2));
    console.log(
      `The loss falls fastest at rate ${fastest} and is lowest at ${lowest}: try --lr ${proposed}.`,
    );
  } finally {
    log.close();
    await gpu.close();
    await server.close();
  }
}

/** Writes a file so that an interruption leaves the old one or the new one. */
function replaceFile(path: string, bytes: Uint8Array): void {
  writeFileSync(`${path}.part`, bytes);
  renameSync(`${path}.part`, path);
}

/** A run to go on with. */
interface BegunRun {
  readonly file: Uint8Array;
  readonly options: TrainOptions;
  /** Done so far. */
  readonly steps: number;
  /** Its curve, where it lies beside the checkpoint. */
  readonly csv: string;
}

/** @throws OptimError `invalid-checkpoint`, or `invalid-option` where the command line contradicts the checkpoint */
function readCheckpoint(path: string, texts: TrainOptionTexts): BegunRun {
  let file: Uint8Array;
  try {
    file = readFileSync(path);
  } catch (cause) {
    throw new OptimError(
      "invalid-checkpoint",
      `The checkpoint ${path} cannot be read`,
      { got: String(cause), fix: "pass a checkpoint.safetensors that train wrote" },
      { cause },
    );
  }
  const position = readPosition(readSafetensors(file).metadata);
  const options = resumeOptions(texts, position);
  const csv = join(dirname(path), "metrics.csv");
  return {
    file,
    options,
    steps: position.epoch * stepsPerEpoch(options),
    csv: existsSync(csv) ? readFileSync(csv, "utf8") : "",
  };
}

/** @throws UsageError */
const readOptions = (texts: TrainOptionTexts): TrainOptions => orUsageError(() => readTrainOptions(texts));

/** @throws UsageError for what the command line got wrong */
function orUsageError<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof OptimError) throw new UsageError(error.message);
    throw error;
  }
}

function readCommandLine(parameters: string[]): {
  texts: TrainOptionTexts;
  findLr: boolean;
  resume: string | undefined;
  out: string | undefined;
  json: string | undefined;
} {
  const text = { type: "string" } as const;
  const { values } = parseOptions({
    args: parameters,
    options: {
      model: text,
      optimizer: text,
      schedule: text,
      lr: text,
      epochs: text,
      batch: text,
      seed: text,
      "find-lr": { type: "boolean" },
      resume: text,
      out: text,
      json: text,
    },
  });
  const { resume, out, json, "find-lr": findLr = false, ...texts } = values;
  for (const [name, value] of Object.entries({ resume, out, json }))
    if (value === "") throw new UsageError(`Option '--${name}' is empty.`);
  if (findLr)
    for (const name of ["lr", "schedule", "epochs", "resume"] as const)
      if (values[name] !== undefined)
        throw new UsageError(`Option '--${name}' has no meaning with '--find-lr', which sweeps the rate.`);
  return { texts, findLr, resume, out, json };
}
