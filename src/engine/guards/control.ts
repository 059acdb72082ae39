import * as controlShader from "../../shaders/engine/control.wgsl?engine";

/** Layouts of what guards hold on the GPU and what is read back. */
export const CONTROL = controlShader.structs.Control!;
export const RECORD = controlShader.structs.Record!;
export const FOUND = controlShader.structs.Found!;
/** Where what is settled lies in `Values`, and bytes of these. */
export const SETTLED = controlShader.constants.SETTLED!;
export const VALUES = SETTLED + 16;

/**
 * How many attempts behind one and up to another were not taken, but for those that tensors missed.
 * @param control as the GPU holds it, which remembers 128
 */
export function skippedBetween(
  control: Readonly<Record<string, number>>,
  after: number,
  upTo: number,
  missed: readonly number[],
): number {
  const left = new Set(missed);
  let count = 0;
  for (let attempt = upTo; attempt > after; attempt -= 1) {
    const back = control.attempt! - attempt;
    // Newer ones never ran.
    const skipped = back < 0 || ((control[`missed${back >> 5}`] ?? 0) >>> (back & 31)) & 1;
    if (skipped && !left.has(attempt)) count += 1;
  }
  return count;
}
