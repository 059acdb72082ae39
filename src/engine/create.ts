import { OptimError } from "../errors.js";
import { requireDevice, watchDevice } from "./device.js";
import { Engine } from "./engine.js";
import { makeGroup } from "./group.js";
import { buildMachine } from "./machine.js";
import { Optimizer } from "./optimizer.js";
import type { AnyOptions, NoOptions } from "./options/hyperparameters.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./options/optimizer-options.js";

/**
 * Makes an optimizer over the caller's buffers: checks everything, allocates the state, compiles the kernels.
 * @throws OptimError before any GPU work for bad input; `out-of-memory`, `invalid-shader` or `device-lost` after it,
 * with all that was made destroyed.
 */
export async function createOptimizer<Own extends object = NoOptions>(
  device: GPUDevice,
  options: OptimizerOptions<Own>,
): Promise<Optimizer>;
export async function createOptimizer(
  device: GPUDevice,
  options: OptimizerOptions<AnyOptions>,
): Promise<Optimizer> {
  if (typeof device?.createComputePipelineAsync !== "function")
    throw new OptimError("invalid-argument", "There is no device", {
      expected: "a GPUDevice",
      got: String(device),
      fix: "await requestDevice() and pass what it gives",
    });
  const checked = checkOptimizerOptions(device, options);
  await watchDevice(device);
  requireDevice(device, checked.label);
  const groups = checked.groups.map((group) => makeGroup(checked, group));
  const machine = await buildMachine(device, checked, groups);
  const { guarding, slots } = machine;
  const parts = guarding && (await import("./guards/index.js"));
  const makeReports =
    guarding &&
    parts &&
    ((learn: (skipped: number) => void) =>
      new parts.Reports(device, checked.label, guarding, slots, checked.telemetry, learn));
  return new Optimizer(new Engine(device, checked, groups, machine, makeReports));
}
