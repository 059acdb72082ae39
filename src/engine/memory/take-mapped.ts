/**
 * A copy of what a mapped buffer holds, which is unmapped by it; undefined where it was destroyed meanwhile. Not told by
 * `mapState`: in Deno a destroyed buffer is mapped all the same.
 */
export function takeMapped(buffer: GPUBuffer): ArrayBuffer | undefined {
  let bytes: ArrayBuffer;
  try {
    bytes = buffer.getMappedRange().slice(0);
  } catch {
    return undefined;
  }
  buffer.unmap();
  return bytes;
}
