import { OptimError } from "../errors.js";
import { requireDevice, watchDevice } from "./device.js";
import { buildMachine } from "./machine.js";
import { Optimizer } from "./optimizer.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./options/optimizer-options.js";

/**
 * Makes an optimizer over the caller's buffers: checks everything, allocates the state, compiles the kernels.
 * @throws OptimError before any GPU work for bad input; `out-of-memory`, `invalid-shader` or `device-lost` after it,
 * with all that was made destroyed.
 */
export async function createOptimizer(device: GPUDevice, options: OptimizerOptions): Promise<Optimizer> {
  if (typeof device?.createComputePipelineAsync !== "function")
    throw new OptimError("invalid-argument", "There is no device", {
      expected: "a GPUDevice",
      got: String(device),
      fix: "await requestDevice() and pass what it gives",
    });
  const checked = checkOptimizerOptions(device, options);
  await watchDevice(device);
  requireDevice(device, checked.label);
  return new Optimizer(device, checked, await buildMachine(device, checked));
}
