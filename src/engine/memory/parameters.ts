import { briefly, OptimError } from "../../errors.js";
import { memo } from "../../memo.js";
import { checkNames } from "../options/check-names.js";
import { refuse } from "../options/refuse.js";
import { type Fail, type TypedBuffer, untyped } from "./typed-buffers.js";
import { USAGE } from "./usage.js";

/** A part of a buffer, in bytes. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  /** A multiple of 4. */
  readonly offset: number;
  /** A multiple of 4. */
  readonly size: number;
  /**
   * Bytes after the range that belong to it and hold zeros. Ranges that follow each other, padding included, in
   * parameters and gradients alike are updated in one dispatch. `createArena` sets it.
   */
  readonly padding?: number;
}

/** A part of a buffer as a caller may say it: from its start and to its end, where nothing else is said. */
export type PartialRange = Partial<Omit<BufferRange, "buffer">> & {
  readonly buffer: GPUBuffer | TypedBuffer;
};

/** One tensor: f32 parameters and their gradients, each in a buffer of the caller's. */
export interface Parameter {
  /** Unique within an optimizer; the key of its state. */
  readonly name: string;
  /** The whole buffer or a part of it; usage `STORAGE`. */
  readonly param: GPUBuffer | TypedBuffer | PartialRange;
  /** At least as long as the parameter, in another buffer; usage `STORAGE`. */
  readonly grad: GPUBuffer | TypedBuffer | PartialRange;
  /** Without it, the length is that of `param`. */
  readonly shape?: readonly number[];
}

/** A checked range: offset, length and padding in bytes. */
export interface Range {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly padding: number;
}

/** A checked tensor. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Whether the caller gave the shape. */
  readonly shaped?: boolean;
  /** Bytes of parameter, gradient and each state. */
  readonly size: number;
  readonly param: Range;
  gradient: Range;
}

/** Where the caller's gradient is. */
export const gradientOf = ({ gradient }: Tensor): Range => gradient;

/**
 * Checks the parameters of groups. To be explained where it refuses.
 * @param others tensors that they join
 * @throws OptimError `invalid-argument`, `invalid-buffer` or `aliased-buffers`
 */
export function checkParameters(
  groups: readonly (readonly Parameter[])[],
  others: readonly Tensor[] = [],
): Tensor[][] {
  const names = new Set(others.map(({ name }) => name));
  const checked = groups.map((group) =>
    group.map((parameter) => {
      checkNames("parameter", parameter, ["name", "param", "grad", "shape"]);
      const { name } = parameter;
      if (typeof name !== "string" || name === "") refuse((say) => say.noName(name));
      if (names.has(name)) refuse((say) => say.takenName(name));
      names.add(name);
      return checkTensor(parameter);
    }),
  );
  refuseOverlap([...others, ...checked.flat()]);
  return checked;
}

function checkTensor({ name, param, grad, shape }: Parameter): Tensor {
  const elements = shape && elementCount(name, shape);
  const range = checkRange(`Parameter of '${name}'`, param);
  const size = elements === undefined ? range.size : elements * 4;
  if (range.size < size) refuse((say) => say.tooShort(name, size, shape, range.size));

  const tensor = {
    name,
    shape: shape ?? [size / 4],
    shaped: shape !== undefined,
    size,
    param: withPadding(range, size),
  };
  return { ...tensor, gradient: checkGradient(tensor, grad) };
}

/** Padding is counted from the tensor's end, which a longer range is not. */
const withPadding = ({ buffer, offset, size, padding }: CheckedRange, own: number): Range => ({
  buffer,
  offset,
  padding: size === own ? padding : 0,
});

/**
 * Checks a gradient against its tensor.
 * @throws OptimError `invalid-buffer` or `aliased-buffers`.
 */
export function checkGradient(
  { name, size, param }: Pick<Tensor, "name" | "size" | "param">,
  grad: Parameter["grad"],
): Range {
  const range = checkRange(`Gradient of '${name}'`, grad);
  if (range.size < size)
    throw new OptimError("invalid-buffer", `Gradient of '${name}' is shorter than its parameter`, {
      expected: `at least ${size} bytes`,
      got: `${range.size} bytes`,
      fix: "pass the gradient of this parameter",
    });
  if (range.buffer === param.buffer)
    throw new OptimError("aliased-buffers", `Parameter and gradient of '${name}' share a GPUBuffer`, {
      expected: "two buffers: WebGPU forbids reading and writing one buffer in a dispatch",
      got: `one buffer${range.buffer.label ? ` ('${range.buffer.label}')` : ""}`,
      fix: "put gradients into a buffer of their own",
    });
  return withPadding(range, size);
}

/** Elements of a shape. @throws OptimError `invalid-argument` */
export function elementCount(name: string, shape: readonly number[]): number {
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0))
    throw new OptimError("invalid-argument", `The shape of '${name}' is not a list of lengths`, {
      expected: "whole numbers of at least 0",
      got: briefly(shape),
      fix: "pass the lengths of its dimensions",
    });
  return shape.reduce((product, extent) => product * extent, 1);
}

type CheckedRange = Range & { readonly size: number };

/** @throws OptimError `invalid-buffer` */
export function checkRange(what: string, given: Parameter["param"]): CheckedRange {
  const range: PartialRange = isRange(given) ? given : { buffer: given };
  checkNames("range", range, ["buffer", "offset", "size", "padding"]);
  const fail: Fail = (problem, expected, got, fix) => {
    throw new OptimError("invalid-buffer", `${what} ${problem}`, { expected, got, fix });
  };
  const { offset = 0, padding = 0 } = range;
  const buffer = untyped(range.buffer, fail);
  // As WebGPU has it: the rest of the buffer.
  const { size = Math.max(0, buffer?.size - offset - padding) } = range;
  if (typeof buffer?.size !== "number" || typeof buffer.usage !== "number")
    fail("is not a GPUBuffer", "a GPUBuffer or { buffer, offset, size }", briefly(given), "pass the buffer");
  const usage = `usage 0x${buffer.usage.toString(16)}`;
  if (!(buffer.usage & USAGE.STORAGE))
    fail("cannot be bound", "usage STORAGE", usage, "create the buffer with GPUBufferUsage.STORAGE");
  for (const [field, value] of Object.entries({ offset, size, padding }))
    if (!Number.isSafeInteger(value) || value < 0 || value % 4 !== 0)
      fail(
        `has a wrong ${field}`,
        "a multiple of 4 bytes, at least 0",
        briefly(value),
        "count in bytes of f32",
      );
  const end = `offset ${offset} + size ${size} + padding ${padding}`;
  if (offset + size + padding > buffer.size)
    fail("ends outside its buffer", `at most ${buffer.size} bytes`, end, "correct the range");
  return { buffer, offset, size, padding };
}

function isRange(given: Parameter["param"]): given is PartialRange {
  // Typed arrays and typed buffers have a buffer, too.
  return (
    typeof given === "object" &&
    given !== null &&
    "buffer" in given &&
    !("resourceType" in given || ArrayBuffer.isView(given))
  );
}

/**
 * Every parameter and every gradient has its own bytes, padding included.
 * @throws OptimError `aliased-buffers`
 */
export function refuseOverlap(tensors: readonly Tensor[], at: (tensor: Tensor) => Range = gradientOf): void {
  const byBuffer = new Map<GPUBuffer, { tensor: Tensor; role: string; start: number; end: number }[]>();
  for (const tensor of tensors)
    for (const [role, { buffer, offset, padding }] of [
      ["parameter", tensor.param],
      ["gradient", at(tensor)],
    ] as const) {
      if (tensor.size === 0) continue;
      const end = offset + tensor.size + padding;
      memo(byBuffer, buffer, () => []).push({ tensor, role, start: offset, end });
    }
  for (const ranges of byBuffer.values()) {
    ranges.sort((a, b) => a.start - b.start);
    ranges.forEach(({ tensor, role, start }, index) => {
      const before = ranges[index - 1];
      if (!before || before.end <= start) return;
      const names = `of '${before.tensor.name}' and ${role === before.role ? "" : `the ${role} of `}'${tensor.name}'`;
      throw new OptimError(
        "aliased-buffers",
        `The ${before.role}${role === before.role ? "s" : ""} ${names} overlap`,
        {
          expected: "ranges that share no byte, padding included",
          got: `bytes ${before.start} to ${before.end} and from ${start}`,
          fix: `give each its own range, or list a shared ${role} once`,
        },
      );
    });
  }
}
