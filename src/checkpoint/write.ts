import { OptimError } from "../errors.js";
import {
  type Dtype,
  dtypeRank,
  isDtype,
  isWellFormed,
  MAX_HEADER_LENGTH,
  METADATA,
  quoted,
  tensorSize,
} from "./format.js";
import { compareCodePoints } from "./order.js";

/** A tensor to write, without its data. */
export interface TensorDescription {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A tensor to write; its data little-endian and in row-major order. */
export interface TensorData extends TensorDescription {
  readonly data: Uint8Array;
}

/** The start of a file, and where the data that follows it belongs. */
export interface SafetensorsLayout {
  /** The first bytes of the file, up to the first byte of the data. */
  readonly header: Uint8Array;
  /** Bytes from the start of the file, by tensor, in the order in which to write them; no gap between them. */
  readonly offsets: ReadonlyMap<string, { readonly start: number; readonly end: number }>;
  /** Bytes of the whole file. */
  readonly size: number;
}

/**
 * Writes the header of a safetensors file; the data of the tensors follows it, in the order of `offsets`.
 *
 * The order is the Rust library's, dtypes of larger elements first and then by name in UTF-8, and metadata is sorted by
 * key: the same contents give the same bytes, and with the header padded to 8 bytes each tensor is aligned to its
 * elements. Without metadata the bytes are those of the Rust library (0.8.0).
 * @throws OptimError `duplicate-name`, `invalid-argument`, or `limit-exceeded` past a header of 100 MB or a file of 2^53 bytes.
 */
export function writeSafetensorsHeader(
  entries: Iterable<TensorDescription>,
  metadata: ReadonlyMap<string, string> = new Map(),
): SafetensorsLayout {
  if (!(metadata instanceof Map))
    throw new OptimError("invalid-argument", "The metadata cannot be written", {
      expected: "a Map of strings",
      got: typeof metadata,
      fix: "pass new Map(Object.entries(…))",
    });
  const members: string[] = [];
  if (metadata.size > 0) members.push(`"${METADATA}":${metadataJson(metadata)}`);

  const ranges = new Map<string, { start: number; end: number }>();
  let position = 0;
  for (const { name, dtype, shape, size } of describe(entries)) {
    const start = position;
    position += size;
    ranges.set(name, { start, end: position });
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"data_offsets":[${start},${position}]}`,
    );
  }

  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const dataStart = 8 + length;
  if (length > MAX_HEADER_LENGTH || !Number.isSafeInteger(dataStart + position))
    throw new OptimError("limit-exceeded", "The tensors make too large a safetensors file", {
      expected: `a header of at most ${MAX_HEADER_LENGTH} bytes and a file below 2^53 bytes`,
      got: `${length} and ${dataStart + position} bytes`,
      fix: "write several files",
    });
  const header = new Uint8Array(dataStart).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  for (const range of ranges.values()) {
    range.start += dataStart;
    range.end += dataStart;
  }
  return { header, offsets: ranges, size: dataStart + position };
}

/**
 * Writes a safetensors file in memory, in the order of {@link writeSafetensorsHeader}.
 * @throws OptimError as {@link writeSafetensorsHeader} does, `invalid-argument` where data has not the length of its shape and
 * dtype, and `out-of-memory`.
 */
export function writeSafetensors(
  entries: Iterable<TensorData>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  const tensors = [...entries];
  const { header, offsets, size } = writeSafetensorsHeader(tensors, metadata);
  for (const { name, data } of tensors) {
    const { start, end } = offsets.get(name)!;
    if (!(data instanceof Uint8Array) || data.length !== end - start)
      throw new OptimError(
        "invalid-argument",
        `The data of tensor ${quoted(name)} does not fit its shape and dtype`,
        {
          expected: `a Uint8Array of ${end - start} bytes`,
          got: data instanceof Uint8Array ? `${data.length}` : typeof data,
          fix: "pass the bytes of exactly this tensor",
        },
      );
  }
  const file = allocate(size);
  file.set(header);
  for (const { name, data } of tensors) file.set(data, offsets.get(name)!.start);
  return file;
}

function allocate(size: number): Uint8Array {
  try {
    return new Uint8Array(size);
  } catch (cause) {
    throw new OptimError(
      "out-of-memory",
      "There is no memory for the safetensors file",
      { got: `${size} bytes`, fix: "write the header by writeSafetensorsHeader and stream the data" },
      { cause },
    );
  }
}

/** The checked entries in the order of the file, each with the bytes of its data. */
function describe(entries: Iterable<TensorDescription>): (TensorDescription & { readonly size: number })[] {
  const names = new Set<string>();
  const described: (TensorDescription & { readonly size: number })[] = [];
  for (const { name, dtype, shape } of entries) {
    checkText(name, "The name of a tensor");
    if (name === METADATA)
      throw new OptimError("invalid-argument", `${METADATA} cannot name a tensor`, {
        fix: "rename it: the format keeps this name for the metadata",
      });
    if (names.has(name))
      throw new OptimError("duplicate-name", `Two tensors are named ${quoted(name)}`, {
        expected: "unique names",
        got: "it twice",
        fix: "give each tensor a name of its own",
      });
    names.add(name);
    const valid =
      isDtype(dtype) &&
      Array.isArray(shape) &&
      shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0);
    const size = valid ? tensorSize(dtype, shape) : Number.NaN;
    if (Number.isNaN(size))
      throw new OptimError(
        "invalid-argument",
        `Tensor ${quoted(name)} has no dtype and shape of the format`,
        {
          expected:
            "a dtype such as F32, and extents from 0 that make a whole number of bytes below 2^53 bits",
          got: `${String(dtype)} [${String(shape)}]`,
          fix: "correct dtype and shape",
        },
      );
    described.push({ name, dtype, shape: [...shape], size });
  }
  return described.sort(
    (a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || compareCodePoints(a.name, b.name),
  );
}

function metadataJson(metadata: ReadonlyMap<string, string>): string {
  for (const [key, value] of metadata) {
    checkText(key, "A key of the metadata");
    checkText(value, `The metadata ${quoted(key)}`);
  }
  const members = [...metadata].sort(([a], [b]) => compareCodePoints(a, b));
  return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
}

function checkText(text: unknown, what: string): void {
  if (typeof text !== "string" || !isWellFormed(text))
    throw new OptimError("invalid-argument", `${what} cannot be written`, {
      expected: "a string without lone surrogates",
      got: typeof text === "string" ? quoted(text) : typeof text,
      fix: "pass a well-formed string",
    });
}
