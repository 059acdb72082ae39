import { gptTask } from "./gpt-task.js";
import { loadMnist } from "./mnist.js";
import { mnistTask } from "./mnist-task.js";
import type { TrainOptions } from "./options.js";
import type { Task } from "./task.js";
import { loadText } from "./text.js";

/**
 * Loads what a run trains on.
 * @throws OptimError where a file did not arrive whole
 */
export async function loadTask({ model, seed, batch }: TrainOptions): Promise<Task> {
  if (model === "gpt") return gptTask(await loadText(), seed);
  return mnistTask(model, await loadMnist(), seed, batch === "full");
}
