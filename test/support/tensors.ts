import type { BufferRange, Parameter } from "../../src/index.js";
import { upload } from "./buffers.js";
import { normals } from "./numbers.js";

/** A parameter whose two ranges can be read and written. */
export interface TestTensor extends Parameter {
  readonly param: BufferRange;
  readonly grad: BufferRange;
}

/** Where a test tensor lies in its buffers, in bytes. */
export interface Place {
  readonly offset?: number;
  readonly gradientOffset?: number;
}

/** A tensor of normal values, in two buffers of its own with room before and behind. */
export function tensor(
  device: GPUDevice,
  name: string,
  length: number,
  { offset = 0, gradientOffset = offset }: Place = {},
): TestTensor {
  return {
    name,
    param: upload(device, normals(length, length), { offset, after: 32, label: name }),
    grad: upload(device, normals(length + 1, length), {
      offset: gradientOffset,
      after: 32,
      label: `${name} gradient`,
    }),
  };
}

/** Destroys what {@link tensor} made. */
export function destroyTensors(tensors: readonly TestTensor[]): void {
  for (const { param, grad } of tensors) {
    param.buffer.destroy();
    grad.buffer.destroy();
  }
}

/** The bits of f32 values: equal also where values are NaN, unequal where only the sign of a zero differs. */
export const bits = (values: readonly Float32Array[]): Uint32Array[] =>
  values.map((list) => new Uint32Array(list.buffer, list.byteOffset, list.length));
