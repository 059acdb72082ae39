import { OptimError } from "../../errors.js";
import { popScopes, requireDevice } from "../device.js";

/**
 * Runs GPU work of one synchronous run in error scopes.
 * @param what it is, in words for where it fails
 * @param made destroyed then
 * @throws OptimError `out-of-memory`, `gpu-error` or `device-lost`, and what the work throws by name
 */
export async function scoped(
  device: GPUDevice,
  label: string,
  what: keyof typeof import("./failures.js").FAILURES,
  made: readonly { destroy(): void }[],
  work: () => void,
): Promise<void> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  let thrown: unknown;
  try {
    work();
  } catch (error) {
    thrown = error;
  }
  try {
    const [invalid, exhausted] = await popScopes(device, label);
    const failure = exhausted ?? invalid ?? thrown;
    if (!failure) return;
    requireDevice(device, label);
    if (failure instanceof OptimError) throw failure;
    const { failed } = await import("./failures.js");
    throw failed(label, what, failure, exhausted !== null || thrown instanceof RangeError);
  } catch (error) {
    for (const resource of made) resource.destroy();
    throw error;
  }
}
