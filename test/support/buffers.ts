import type { BufferRange } from "../../src/index.js";

/** A storage buffer of f32 values, `offset` bytes in, with `after` bytes behind; the rest holds `fill`. */
export function upload(
  device: GPUDevice,
  values: ArrayLike<number>,
  { offset = 0, after = 0, fill = 0, label = "test" } = {},
): BufferRange {
  const size = values.length * 4;
  const buffer = device.createBuffer({
    label,
    size: Math.max(offset + size + after, 4),
    usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    mappedAtCreation: true,
  });
  const mapped = new Float32Array(buffer.getMappedRange()).fill(fill);
  mapped.set(values, offset / 4);
  buffer.unmap();
  return { buffer, offset, size };
}

/** Writes f32 values into a range. */
export function write(device: GPUDevice, { buffer, offset }: BufferRange, values: ArrayLike<number>): void {
  device.queue.writeBuffer(buffer, offset, Float32Array.from(values));
}

/** Copies ranges back, in one submit. */
export async function read(device: GPUDevice, ranges: readonly BufferRange[]): Promise<Float32Array[]> {
  const size = ranges.reduce((total, range) => total + range.size, 0);
  const staging = device.createBuffer({
    label: "read back",
    size: Math.max(size, 4),
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const encoder = device.createCommandEncoder();
  let at = 0;
  for (const { buffer, offset, size } of ranges) {
    if (size > 0) encoder.copyBufferToBuffer(buffer, offset, staging, at, size);
    at += size;
  }
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const all = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  let start = 0;
  return ranges.map(({ size }) => {
    start += size / 4;
    return all.slice(start - size / 4, start);
  });
}

/** The whole of a buffer. */
export const whole = (buffer: GPUBuffer): BufferRange => ({ buffer, offset: 0, size: buffer.size });
