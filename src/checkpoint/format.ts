// What reader and writer of safetensors files share.

/**
 * Bits of one element, by the names of the file format. In the order in which the Rust library (0.8.0) declares them: its
 * writer puts the last ones first.
 */
const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** The type of a tensor's elements, by its name in a safetensors file. */
export type Dtype = keyof typeof BITS;

/** The member of the header that holds the file's metadata, and so no name of a tensor. */
export const METADATA = "__metadata__";

/** The longest JSON header, in bytes, that the Rust library reads. */
export const MAX_HEADER_LENGTH = 100_000_000;

/** Whether `name` is a dtype of the format. */
export function isDtype(name: unknown): name is Dtype {
  return typeof name === "string" && Object.hasOwn(BITS, name);
}

const NAMES = /* @__PURE__ */ Object.keys(BITS);

/** Position in the Rust library's declaration, where size of the element rises but for the types below one byte. */
export function dtypeRank(dtype: Dtype): number {
  return NAMES.indexOf(dtype);
}

/** Bytes of a tensor's data, or NaN where that is no whole number or the number of bits passes 2^53 - 1. */
export function tensorSize(dtype: Dtype, shape: readonly number[]): number {
  let elements = 1;
  // Checked at every factor: a zero later on must not hide an overflow.
  for (const extent of shape) {
    elements *= extent;
    if (!Number.isSafeInteger(elements)) return Number.NaN;
  }
  const bits = elements * BITS[dtype];
  return Number.isSafeInteger(bits) && bits % 8 === 0 ? bits / 8 : Number.NaN;
}

/** Whether the text has no lone surrogate, and so has a UTF-8 form. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** The text in quotes for an error message, shortened: a name may be as long as the header. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
