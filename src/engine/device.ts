import { briefly, OptimError } from "../errors.js";
import { memo } from "../memo.js";
import { checkNames } from "./options/check-names.js";

/** What is known of a device: set when `device.lost` settles, for a crash and for `device.destroy()` alike. */
interface Health {
  lost?: GPUDeviceLostInfo;
  /** Called once when it is. */
  readonly listeners: Set<() => void>;
}

const healths = new WeakMap<GPUDevice, Health>();

/** Starts watching a device, once, and resolves when an earlier loss would be known. */
export async function watchDevice(device: GPUDevice): Promise<void> {
  memo(healths, device, () => {
    const health: Health = { listeners: new Set() };
    void device.lost.then((info) => {
      health.lost = info;
      for (const listener of health.listeners) listener();
      health.listeners.clear();
    });
    return health;
  });
  // A device lost earlier has a settled promise, whose reaction above runs before this race is decided.
  await Promise.race([device.lost, Promise.resolve()]);
  await Promise.resolve();
}

/** Whether a back end only pretends, as Dawn's for tests does (`backend=null`): it takes every call and computes nothing. */
export const computesNothing = (info: GPUAdapterInfo | undefined): boolean => info?.device === "null-backend";

/** What such a back end is refused with. */
export const computesNothingError = (): OptimError =>
  new OptimError("no-adapter", "The adapter computes nothing", {
    expected: "an adapter that runs shaders",
    got: "'null-backend'",
    fix: "in Node pass create([]) of the package webgpu as { gpu }, without 'backend=null'",
  });

/** Whether the device is known to be gone. */
export function isLost(device: GPUDevice): boolean {
  return healths.get(device)?.lost !== undefined;
}

/** Calls back when a watched device is lost; gives a function that takes this back. */
export function onLoss(device: GPUDevice, listener: () => void): () => void {
  const listeners = healths.get(device)?.listeners;
  listeners?.add(listener);
  return () => listeners?.delete(listener);
}

/** Whether there is a loss, when one that other promises already tell of is known, or 100 ms later: then there is none. */
export async function lossSettles(device: GPUDevice): Promise<boolean> {
  await Promise.race([device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
  await Promise.resolve();
  return isLost(device);
}

/** What a lost device is reported as. */
export function lossError(device: GPUDevice, label: string, options?: ErrorOptions): OptimError {
  const info = healths.get(device)?.lost;
  return new OptimError(
    "device-lost",
    `The device of '${label}' is lost`,
    {
      got: `reason '${info?.reason ?? "not known yet"}'${info?.message ? `: ${info.message}` : ""}`,
      fix: "request a new device and make the optimizer again from its last checkpoint",
    },
    options,
  );
}

/**
 * The errors of the two innermost scopes, the inner one first.
 * @throws OptimError `device-lost` where a crash of the GPU process rejects them, often before the loss is known
 */
export async function popScopes(
  device: GPUDevice,
  label: string,
): Promise<readonly [inner: GPUError | null, outer: GPUError | null]> {
  try {
    return await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  } catch (cause) {
    await lossSettles(device);
    throw lossError(device, label, { cause });
  }
}

/** @throws OptimError `device-lost` when the device is known to be gone. */
export function requireDevice(device: GPUDevice, label: string): void {
  if (isLost(device)) throw lossError(device, label);
}

/** Where devices came from: Dawn in Node ends the process when that is collected before them. */
const origins = new WeakMap<GPUDevice, GPU>();

const POWER: readonly GPUPowerPreference[] = ["low-power", "high-performance"];

/** Options of {@link requestDevice}. */
export interface RequestDeviceOptions {
  /** Where to ask; `navigator.gpu` if left out. */
  readonly gpu?: GPU;
  readonly powerPreference?: GPUPowerPreference;
  readonly label?: string;
}

/**
 * A device with the adapter's own limits of buffers and bindings, which large models and rules of many states need, and
 * timestamps if it has them. Any `GPUDevice` serves as well.
 * @throws OptimError `invalid-argument`, or `no-adapter` where WebGPU is missing, or no adapter is found that computes.
 */
export async function requestDevice(options: RequestDeviceOptions = {}): Promise<GPUDevice> {
  checkNames("requestDevice", options, ["gpu", "powerPreference", "label"]);
  const gpu = options.gpu ?? (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!gpu)
    throw new OptimError("no-adapter", "There is no WebGPU here", {
      expected: "navigator.gpu",
      fix: "use a browser with WebGPU over https or localhost, or pass { gpu }, in Node create([]) of the package webgpu",
    });
  const { powerPreference, label } = options;
  if (powerPreference !== undefined && !POWER.includes(powerPreference))
    throw new OptimError("invalid-argument", "The power preference is unknown", {
      expected: `one of ${POWER.join(", ")}`,
      got: briefly(powerPreference),
      fix: "pass one of these, or leave it out",
    });
  const adapter = await gpu.requestAdapter(powerPreference ? { powerPreference } : {});
  if (!adapter)
    throw new OptimError("no-adapter", "No GPU adapter was found", {
      expected: "an adapter",
      got: "null",
      fix: "enable WebGPU, update the driver, start Chrome with --enable-unsafe-webgpu, or install libvulkan1 for Node",
    });
  if (computesNothing(adapter.info)) throw computesNothingError();
  const { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage } = adapter.limits;
  const device = await adapter.requestDevice({
    label: label ?? "webgpu-optim",
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage },
    // For telemetry.
    requiredFeatures: adapter.features.has("timestamp-query") ? ["timestamp-query"] : [],
  });
  origins.set(device, gpu);
  return device;
}
