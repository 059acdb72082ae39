import { computesNothing, requireDevice, watchDevice } from "./device.js";
import { Engine } from "./engine.js";
import { makeGroup, type ParameterGroup } from "./group.js";
import { buildMachine } from "./machine.js";
import { Optimizer } from "./optimizer.js";
import type { AnyOptions, NoOptions } from "./options/hyperparameters.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./options/optimizer-options.js";
import { explained, refuse } from "./options/refuse.js";
import { loadParts, needsOf } from "./parts.js";

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
  await explained(() => {
    if (typeof device?.createComputePipelineAsync !== "function") refuse((say) => say.noDevice(device));
    if (computesNothing(device.adapterInfo)) refuse((say) => say.computesNothing());
  });
  await watchDevice(device);
  requireDevice(device, options?.label ?? options?.rule?.row?.name ?? "optimizer");
  const parts = await loadParts(needsOf(options));
  const checked = await explained(() => checkOptimizerOptions(device, options, parts));
  const groups = checked.groups.map((group) => makeGroup(checked, group));
  const stepped = groups.map(({ cohorts }) => cohorts.list.map(({ tensors }) => tensors));
  const machine = await buildMachine(device, checked, groups, parts, stepped);
  const { guarding, slots } = machine;
  const { guard } = parts;
  const makeReports =
    guarding &&
    guard &&
    ((learn: ParameterGroup["takeBack"]) =>
      new guard.Reports(device, checked.label, guarding, slots, checked.telemetry, learn));
  return new Optimizer(new Engine(device, checked, groups, machine, makeReports));
}
