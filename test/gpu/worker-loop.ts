// A training loop in a module worker, with guards, telemetry and, if a canvas is sent, a picture of every submit.
import { adamw, cosine, requestDevice } from "../../src/index.js";
import { Loop, type LoopOptions, type Snapshot } from "../support/loop.js";

/** Steps of a loop, and in how many submits. */
export const STEPS = 60;
const PER_SUBMIT = 6;

export const options: LoopOptions = {
  rule: adamw({ lr: 0.01, weightDecay: 0.1 }),
  schedule: cosine({ steps: STEPS }),
  guards: { clipGlobalNorm: 5 },
  telemetry: {},
};

/** What the worker answers. */
export interface WorkerAnswer {
  readonly snapshot?: Snapshot;
  /** Attempts reported. */
  readonly attempts?: readonly number[];
  /** Of the last picture: red, green, blue, alpha of its first pixel. */
  readonly pixel?: readonly number[];
  readonly error?: string;
}

/** Trains; a canvas is drawn on after each submit. */
export async function trainLoop(device: GPUDevice, canvas?: OffscreenCanvas): Promise<WorkerAnswer> {
  const attempts: number[] = [];
  const loop = await Loop.make(device, {
    ...options,
    telemetry: { onReport: ({ attempt }) => attempts.push(attempt) },
  });
  // In 2D: this browser loses every device at the first texture of a WebGPU canvas on the software adapter, also without
  // the engine.
  const context = canvas?.getContext("2d");
  for (let step = 0; step < STEPS; step += PER_SUBMIT) {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < PER_SUBMIT; i += 1) loop.encode(encoder);
    device.queue.submit([encoder.finish()]);
    loop.optimizer.submitted();
    if (context) {
      context.fillStyle = `rgb(255, 0, ${(255 * (step + PER_SUBMIT)) / STEPS})`;
      context.fillRect(0, 0, 1, 1);
    }
  }
  const snapshot = await loop.snapshot();
  await loop.optimizer.settled();
  const pixel = context ? [...context.getImageData(0, 0, 1, 1).data] : [];
  loop.destroy();
  return { snapshot, attempts, pixel };
}

const inWorker = typeof window === "undefined";
if (inWorker)
  self.onmessage = async ({ data }: MessageEvent<OffscreenCanvas | null>) => {
    let answer: WorkerAnswer;
    try {
      const device = await requestDevice({ label: "worker" });
      const errors: string[] = [];
      device.addEventListener("uncapturederror", ({ error }) => errors.push(error.message));
      answer = await trainLoop(device, data ?? undefined);
      if (errors.length > 0) answer = { error: errors.join("; ") };
      device.destroy();
    } catch (error) {
      answer = { error: String(error) };
    }
    self.postMessage(answer);
  };
