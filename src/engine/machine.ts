import { OptimError } from "../errors.js";
import { isLost, popScopes, requireDevice } from "./device.js";
import { GpuClock } from "./guards/gpu-clock.js";
import { Monitor } from "./guards/monitor.js";
import { compileMonitor } from "./guards/monitor-kernels.js";
import { createStages } from "./guards/reports.js";
import { compileKernels } from "./kernels/compile.js";
import { GroupPasses } from "./kernels/passes.js";
import { ChunkUniforms } from "./kernels/plan.js";
import type { Tensor } from "./memory/parameters.js";
import { Slots } from "./memory/slots.js";
import type { CheckedOptions } from "./options/optimizer-options.js";

/** All that the engine makes for a set of groups. */
export interface Machine {
  readonly passes: readonly GroupPasses[];
  readonly slots: Slots;
  readonly monitor: Monitor | undefined;
  /** With telemetry, where the device can tell time. */
  readonly clock: GpuClock | undefined;
  /** Of the monitor's reports. */
  readonly stages: readonly GPUBuffer[];
  /** What `destroy()` frees. */
  readonly made: { destroy(): void }[];
}

/**
 * Compiles the kernels and allocates the memory.
 * @param frozen tensors that have state and are not stepped
 * @param before whose counts and loss scale the monitor goes on from
 * @throws OptimError `out-of-memory`, `invalid-shader`, `gpu-error` or `device-lost`, with all that was made destroyed
 */
export async function buildMachine(
  device: GPUDevice,
  { label, groups, accumulation, stepsInFlight, guards, telemetry, blends, sam }: CheckedOptions,
  frozen: ReadonlySet<Tensor> = new Set(),
  before?: Monitor,
): Promise<Machine> {
  const extras = {
    accumulation,
    slow: blends.slow !== undefined,
    average: blends.average !== undefined,
    sam: sam !== undefined,
    monitored: guards !== undefined,
  };
  const rules = groups.map(({ rule }) => rule);
  const [monitorKernels, ...kernels] = await Promise.all([
    guards ? compileMonitor(device, label, rules, extras, telemetry !== undefined) : undefined,
    ...rules.map((rule) => compileKernels(device, label, rule, extras)),
  ]);
  requireDevice(device, label);

  // Everything below is made in one synchronous run, inside error scopes of this run only.
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const made: { destroy(): void }[] = [];
  const own = <T extends { destroy(): void }>(resource: T): T => {
    made.push(resource);
    return resource;
  };
  let machine: Machine | undefined;
  let thrown: unknown;
  try {
    const uniforms = own(new ChunkUniforms(device, label));
    const slots = own(new Slots(device, label, groups.length, stepsInFlight));
    const passes = groups.map(
      ({ rule, tensors }, index) =>
        new GroupPasses(
          device,
          groups.length > 1 ? `${label} ${index}` : label,
          device.limits,
          uniforms,
          rule,
          kernels[index]!,
          extras,
          tensors,
          frozen,
          own,
        ),
    );
    const monitor =
      guards && monitorKernels
        ? new Monitor(
            device,
            label,
            device.limits,
            uniforms,
            passes.map(({ monitored }) => monitored),
            monitorKernels,
            before?.guards ?? guards,
            stepsInFlight,
            own,
            before,
          )
        : undefined;
    if (monitor)
      for (const group of passes) group.settleIn((tensor, index) => monitor.settled(tensor, index));
    probe(device, label, passes, monitor, slots.bindGroup);
    const stages = monitor ? createStages(device, label, monitor, telemetry, own) : [];
    const clock = telemetry && GpuClock.of(device, label, own);
    machine = { passes, slots, monitor, clock, stages, made };
  } catch (error) {
    thrown = error;
  }
  let [invalid, exhausted]: readonly (GPUError | null)[] = [];
  try {
    [invalid, exhausted] = await popScopes(device, label);
  } catch (error) {
    thrown = error;
  }
  const failure = exhausted ?? invalid ?? thrown;
  if (!failure && machine && !isLost(device)) return machine;
  for (const resource of made) resource.destroy();
  requireDevice(device, label);
  if (thrown instanceof OptimError) throw thrown;
  const memory = exhausted || thrown instanceof RangeError;
  throw new OptimError(
    memory ? "out-of-memory" : "gpu-error",
    memory ? `There is no GPU memory for the state of '${label}'` : `'${label}' cannot be created`,
    {
      got: (failure as { message?: string } | undefined)?.message ?? String(failure),
      fix: memory
        ? "free buffers, or take a rule with less state"
        : "check that every buffer is alive, unmapped and of this device",
    },
    { cause: failure },
  );
}

/** Submits a step of no workgroups: only a submit shows whether the buffers of a bind group are alive. */
function probe(
  device: GPUDevice,
  label: string,
  passes: readonly GroupPasses[],
  monitor: Monitor | undefined,
  uniforms: GPUBindGroup,
): void {
  const encoder = device.createCommandEncoder({ label: `${label} probe` });
  const pass = encoder.beginComputePass({ label: `${label} probe` });
  for (const group of passes) group.probe(pass, uniforms);
  monitor?.probe(pass);
  pass.end();
  device.queue.submit([encoder.finish()]);
}
