/** A safetensors file of float32 tensors: header length, JSON header, little-endian data. */
export function writeSafetensors(
  tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data: Float32Array;
  }[],
): Uint8Array {
  const header: Record<string, object> = {};
  let end = 0;
  for (const { name, shape, data } of tensors) {
    const start = end;
    end += data.byteLength;
    header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
  }
  const json = JSON.stringify(header);
  // Spaces after the header bring the data to a multiple of 8 bytes.
  const encoded = new TextEncoder().encode(json + " ".repeat((8 - (json.length % 8)) % 8));
  const file = new Uint8Array(8 + encoded.length + end);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, BigInt(encoded.length), true);
  file.set(encoded, 8);
  let offset = 8 + encoded.length;
  for (const { data } of tensors)
    for (const value of data) {
      view.setFloat32(offset, value, true);
      offset += 4;
    }
  return file;
}
