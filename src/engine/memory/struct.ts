/** Fields of a WGSL struct in order, each a word; read from the shaders by the build. */
export type StructLayout = Readonly<Record<string, "f32" | "u32">>;

/** Byte offset of each field. */
export const offsetsOf = (layout: StructLayout): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.keys(layout).map((name, index) => [name, 4 * index]));

/** Bytes of a struct. */
export const sizeOf = (layout: StructLayout): number => 4 * Object.keys(layout).length;

/** Writes a struct; fields that are not given become zero. */
export function writeStruct(view: DataView, layout: StructLayout, values: Readonly<Record<string, number>>) {
  let at = 0;
  for (const [name, type] of Object.entries(layout)) {
    const value = values[name] ?? 0;
    if (type === "f32") view.setFloat32(at, value, true);
    else view.setUint32(at, value, true);
    at += 4;
  }
}

/** A struct as bytes, to be written to a buffer. */
export function packStruct(layout: StructLayout, values: Readonly<Record<string, number>>): ArrayBuffer {
  const bytes = new ArrayBuffer(sizeOf(layout));
  writeStruct(new DataView(bytes), layout, values);
  return bytes;
}

/** Reads a struct at a place in bytes. */
export function readStruct(
  view: DataView,
  at: number,
  layout: StructLayout,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(layout).map(([name, type], index) => [
      name,
      type === "f32" ? view.getFloat32(at + 4 * index, true) : view.getUint32(at + 4 * index, true),
    ]),
  );
}
