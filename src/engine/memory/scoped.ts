import { OptimError } from "../../errors.js";
import { popScopes, requireDevice } from "../device.js";

/** What is said where GPU work fails. */
interface Failing {
  readonly memory: string;
  readonly other: string;
  readonly fixMemory: string;
  readonly fixOther: string;
}

/**
 * Runs GPU work of one synchronous run in error scopes.
 * @param made destroyed where it fails
 * @throws OptimError `out-of-memory`, `gpu-error` or `device-lost`, and what the work throws by name
 */
export async function scoped(
  device: GPUDevice,
  label: string,
  made: readonly { destroy(): void }[],
  { memory, other, fixMemory, fixOther }: Failing,
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
    const isMemory = exhausted !== null || thrown instanceof RangeError;
    throw new OptimError(
      isMemory ? "out-of-memory" : "gpu-error",
      isMemory ? memory : other,
      {
        got: (failure as { message?: string }).message ?? String(failure),
        fix: isMemory ? fixMemory : fixOther,
      },
      { cause: failure },
    );
  } catch (error) {
    for (const resource of made) resource.destroy();
    throw error;
  }
}
