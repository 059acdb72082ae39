import { OptimError, type OptimErrorDetails } from "../errors.js";
import { type Dtype, isDtype, MAX_HEADER_LENGTH, METADATA, quoted, tensorSize } from "./format.js";
import { JsonReader } from "./json.js";

/** A tensor of a safetensors file. */
export interface TensorEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** A view into the file's bytes, little-endian, in row-major order; its `byteOffset` may be odd. */
  readonly data: Uint8Array;
}

/** A safetensors file, its tensors in the order of their data. */
export interface SafetensorsFile {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/** Where a tensor's data lies, in bytes from the start of the file. */
export interface TensorRange {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** The header of a safetensors file, its tensors in the order of their data. */
export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorRange>;
  /** The first byte of the data, from the start of the file. */
  readonly dataStart: number;
}

function refuse(what: string, details: OptimErrorDetails): never {
  throw new OptimError("invalid-checkpoint", what, {
    fix: "write the file again, or take an unharmed copy",
    ...details,
  });
}

/**
 * Reads a safetensors file from memory without copying the data.
 *
 * Refuses what the Rust library (0.8.0) refuses. It is stricter where that library lets pass what the format does not
 * provide for: white space before the header, duplicate names, members other than `dtype`, `shape` and `data_offsets`,
 * metadata that is `null`, an entry written as an array or a dtype as an object, and numbers above 2^53 - 1.
 * @throws OptimError `invalid-checkpoint`; `invalid-argument` where `bytes` is no `Uint8Array`.
 */
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  const { metadata, tensors } = readSafetensorsHeader(bytes, bytes?.length);
  const entries = new Map<string, TensorEntry>();
  for (const [name, { dtype, shape, start, end }] of tensors)
    entries.set(name, { dtype, shape, data: bytes.subarray(start, end) });
  return { metadata, tensors: entries };
}

/**
 * Reads and checks the header from the first bytes of a file, as strictly as {@link readSafetensors}, to stream the data
 * after it. {@link safetensorsDataStart} says how many bytes that takes.
 * @param prefix the file from its start up to `dataStart`, or more.
 * @param fileSize in bytes.
 * @throws OptimError `invalid-checkpoint`; `invalid-argument` where the prefix ends before the header does.
 */
export function readSafetensorsHeader(prefix: Uint8Array, fileSize: number): SafetensorsHeader {
  const dataStart = safetensorsDataStart(prefix, fileSize);
  if (prefix.length < dataStart)
    throw new OptimError(
      "invalid-argument",
      "The prefix of the safetensors file ends before its header does",
      {
        expected: `${dataStart} bytes or more`,
        got: `${prefix.length}`,
        fix: "read as many bytes as safetensorsDataStart says",
      },
    );

  const json = new JsonReader(decode(prefix.subarray(8, dataStart)));
  let metadata: ReadonlyMap<string, string> = new Map();
  const entries = json.object((name) => {
    if (name !== METADATA) return readEntry(json, name);
    metadata = json.object(() => json.string());
    return undefined;
  });
  json.end();
  entries.delete(METADATA);
  return { metadata, tensors: layOut(entries, dataStart, fileSize), dataStart };
}

/**
 * The first byte of a file's data, from its first eight bytes: how much {@link readSafetensorsHeader} needs.
 * @throws OptimError `invalid-checkpoint` where the file is too short or the header longer than 100 MB.
 */
export function safetensorsDataStart(prefix: Uint8Array, fileSize: number): number {
  if (!(prefix instanceof Uint8Array) || !Number.isSafeInteger(fileSize) || fileSize < prefix.length)
    throw new OptimError("invalid-argument", "A safetensors file cannot be read from these arguments", {
      expected: "its first bytes as a Uint8Array and its size in bytes, not less than these",
      fix: "pass bytes, and with a prefix the size of the whole file",
    });
  if (fileSize < 8)
    refuse("The safetensors file is shorter than the length of its header", {
      expected: "8 bytes or more",
      got: `${fileSize}`,
    });
  if (prefix.length < 8)
    throw new OptimError("invalid-argument", "The prefix of the safetensors file is too short", {
      expected: "8 bytes or more",
      got: `${prefix.length}`,
      fix: "read at least 8 bytes",
    });
  const length = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER_LENGTH || Number(length) > fileSize - 8)
    refuse("The header of the safetensors file is too long", {
      expected: `at most ${Math.min(MAX_HEADER_LENGTH, fileSize - 8)} bytes`,
      got: `${length}`,
    });
  return 8 + Number(length);
}

function decode(header: Uint8Array): string {
  try {
    // A byte order mark is kept, for the check below to refuse.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header);
    if (text.startsWith("{")) return text;
  } catch {
    // Not UTF-8: refused below.
  }
  return refuse("The header of the safetensors file is no text that starts with '{'", {
    expected: "a JSON object in UTF-8",
    got: `${header.length} bytes that begin ${[...header.subarray(0, 8)].join(" ")}`,
  });
}

/** An entry as it stands in the header: its range counts from the start of the data. */
function readEntry(json: JsonReader, name: string): TensorRange {
  const entry: { dtype?: Dtype; shape?: number[]; offsets?: number[] } = {};
  json.object((key) => {
    if (key === "dtype") {
      const dtype = json.string();
      if (!isDtype(dtype))
        refuse(`Tensor ${quoted(name)} has an unknown dtype`, {
          expected: "F32, F16, …",
          got: quoted(dtype),
        });
      entry.dtype = dtype;
    } else if (key === "shape") entry.shape = json.integers();
    else if (key === "data_offsets") entry.offsets = json.integers();
    else refuse(`Tensor ${quoted(name)} has an unknown member`, { got: quoted(key) });
  });
  const { dtype, shape, offsets } = entry;
  const [start, end] = offsets ?? [];
  if (!dtype || !shape || start === undefined || end === undefined || offsets?.length !== 2)
    return refuse(`Tensor ${quoted(name)} is not described in full`, {
      expected: "dtype, shape and two data_offsets",
    });
  return { dtype, shape, start, end };
}

/** Tensors sorted by their data, which they must cover byte for byte: no hole, no overlap, nothing after it. */
function layOut(
  entries: ReadonlyMap<string, TensorRange | undefined>,
  dataStart: number,
  fileSize: number,
): Map<string, TensorRange> {
  const sorted: [string, TensorRange][] = [];
  for (const [name, range] of entries) if (range) sorted.push([name, range]);
  // An empty tensor comes before the one that starts where it lies.
  sorted.sort(([, a], [, b]) => a.start - b.start || a.end - b.end);

  const tensors = new Map<string, TensorRange>();
  let position = 0;
  for (const [name, { dtype, shape, start, end }] of sorted) {
    if (start !== position)
      refuse(`Before tensor ${quoted(name)} the data has a hole or an overlap`, {
        expected: `an offset of ${position}`,
        got: `${start}`,
      });
    const size = tensorSize(dtype, shape);
    if (end - start !== size)
      refuse(`The data of tensor ${quoted(name)} does not fit its shape and dtype`, {
        expected: Number.isNaN(size) ? "a whole number of bytes, below 2^53 bits" : `${size} bytes`,
        got: `data_offsets [${start}, ${end}]`,
      });
    tensors.set(name, { dtype, shape, start: dataStart + start, end: dataStart + end });
    position = end;
  }
  if (dataStart + position !== fileSize)
    refuse("The tensors do not cover the data of the safetensors file", {
      expected: `${position} bytes of data`,
      got: `${fileSize - dataStart}`,
    });
  return tensors;
}
