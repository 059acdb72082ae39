import { OptimError } from "../errors.js";
import { isLost, requireDevice, watchDevice } from "./device.js";
import { compileKernels } from "./kernels.js";
import { compileMonitor, Monitor } from "./monitor.js";
import { Optimizer } from "./optimizer.js";
import { checkOptimizerOptions, type OptimizerOptions } from "./options.js";
import { GroupPasses } from "./passes.js";
import { ChunkUniforms } from "./plan.js";
import { Slots } from "./slots.js";

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
  const { label, groups, accumulation, stepsInFlight, guards, telemetry, blends } = checked;
  const extras = { accumulation, slow: blends.slow !== undefined, average: blends.average !== undefined };
  await watchDevice(device);
  requireDevice(device, label);
  const rules = groups.map(({ rule }) => rule);
  const [monitorKernels, ...kernels] = await Promise.all([
    guards ? compileMonitor(device, label, rules) : undefined,
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
  let optimizer: Optimizer | undefined;
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
          own,
        ),
    );
    probe(device, label, passes, slots.bindGroup);
    const monitor =
      guards && monitorKernels
        ? new Monitor(
            device,
            label,
            device.limits,
            uniforms,
            passes.map(({ monitored }) => monitored),
            monitorKernels,
            guards,
            stepsInFlight,
            own,
          )
        : undefined;
    optimizer = new Optimizer(device, checked, passes, slots, made, monitor, telemetry);
  } catch (error) {
    thrown = error;
  }
  const [invalid, exhausted] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  const failure = exhausted ?? invalid ?? thrown;
  if (!failure && optimizer && !isLost(device)) return optimizer;
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
  uniforms: GPUBindGroup,
): void {
  const encoder = device.createCommandEncoder({ label: `${label} probe` });
  const pass = encoder.beginComputePass({ label: `${label} probe` });
  for (const group of passes) group.probe(pass, uniforms);
  pass.end();
  device.queue.submit([encoder.finish()]);
}
