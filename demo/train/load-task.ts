import { loadMnist } from "./mnist.js";
import { mnistTask } from "./mnist-task.js";
import type { TrainOptions } from "./options.js";
import type { AnyTask } from "./task.js";

/**
 * Loads what a run trains on.
 * @throws OptimError where a file did not arrive whole
 */
export async function loadTask({ model, seed, batch }: TrainOptions): Promise<AnyTask> {
  if (model === "gpt") throw new Error("not yet");
  return mnistTask(model, await loadMnist(), seed, batch === "full");
}
