import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Dtype,
  readSafetensors,
  readSafetensorsHeader,
  type TensorData,
  type TensorDescription,
  writeSafetensors,
  writeSafetensorsHeader,
} from "../../src/checkpoint/safetensors.js";
import type { OptimErrorCode } from "../../src/errors.js";

/** Bits of an element, written down again and not taken from the code under test. */
const bits: Readonly<Record<Dtype, number>> = {
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
};
const dtypes = Object.keys(bits) as Dtype[];

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "", "\0", '"\\/\b\f\n\r\t\u2028'),
);

const tensor = fc
  .record({
    name: text.filter((name) => name !== "__metadata__"),
    dtype: fc.constantFrom(...dtypes),
    shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
  })
  // Types below one byte come in whole bytes.
  .map((entry) => (bits[entry.dtype] < 8 ? { ...entry, shape: [...entry.shape, 4] } : entry))
  .chain((entry) => {
    const size = (entry.shape.reduce((product, extent) => product * extent, 1) * bits[entry.dtype]) / 8;
    return fc
      .uint8Array({ minLength: size, maxLength: size })
      .map((data): TensorData => ({ ...entry, data }));
  });

const tensors = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
const metadata = fc
  .uniqueArray(fc.tuple(text, text), { selector: ([key]) => key, maxLength: 4 })
  .map((entries) => new Map(entries));

describe("a written file", () => {
  test("reads back as it was, aligned, whatever the order of its tensors", () => {
    fc.assert(
      fc.property(tensors, metadata, (entries, meta) => {
        const file = writeSafetensors(entries, meta);
        const read = readSafetensors(file);
        expect(read.metadata).toEqual(meta);
        expect(read.tensors).toEqual(
          new Map(entries.map(({ name, dtype, shape, data }) => [name, { dtype, shape, data }])),
        );
        for (const { dtype, data } of read.tensors.values()) {
          expect(data.buffer).toBe(file.buffer);
          expect(data.byteOffset % Math.ceil(bits[dtype] / 8)).toBe(0);
        }
        expect(writeSafetensors([...entries].reverse(), new Map([...meta].reverse()))).toEqual(file);
      }),
      { numRuns: 300 },
    );
  });

  test("can be streamed: the header, then the data in the order of the offsets", () => {
    fc.assert(
      fc.property(tensors, metadata, (entries, meta) => {
        const { header, offsets, size } = writeSafetensorsHeader(entries, meta);
        const file: number[] = [...header];
        for (const [name, { start, end }] of offsets) {
          expect(start).toBe(file.length);
          file.push(...entries.find((entry) => entry.name === name)!.data);
          expect(end).toBe(file.length);
        }
        expect(file.length).toBe(size);
        expect(Uint8Array.from(file)).toEqual(writeSafetensors(entries, meta));

        const read = readSafetensorsHeader(header, size);
        expect(read.dataStart).toBe(header.length);
        expect(read.dataStart % 8).toBe(0);
        expect([...read.tensors].map(([name, { start, end }]) => [name, { start, end }])).toEqual([
          ...offsets,
        ]);
      }),
      { numRuns: 200 },
    );
  });

  test("has the Rust library's order: large elements first, then names by code point", () => {
    const describe = (name: string, dtype: Dtype): TensorDescription => ({ name, dtype, shape: [] });
    const { offsets } = writeSafetensorsHeader([
      describe("b", "F32"),
      describe("😀", "F32"),
      // U+FFFF comes before U+1F600, although its UTF-16 unit is the larger one.
      describe("\uffff", "F32"),
      describe("a", "F32"),
      describe("ab", "F32"),
      describe("", "F32"),
      describe("u8", "U8"),
      describe("i64", "I64"),
      describe("bf16", "BF16"),
      describe("c64", "C64"),
      describe("f64", "F64"),
    ]);
    expect([...offsets.keys()]).toEqual([
      "i64",
      "f64",
      "c64",
      "",
      "a",
      "ab",
      "b",
      "\uffff",
      "😀",
      "bf16",
      "u8",
    ]);
  });

  test("sorts its metadata, and leaves out what is empty", () => {
    const metadata = new Map([
      ["step", "12"],
      ["__proto__", "x"],
      ["10", "ten"],
      ["9", "nine"],
    ]);
    const { header } = writeSafetensorsHeader([], metadata);
    expect(new TextDecoder().decode(header.subarray(8)).trimEnd()).toBe(
      '{"__metadata__":{"10":"ten","9":"nine","__proto__":"x","step":"12"}}',
    );
    expect(new TextDecoder().decode(writeSafetensorsHeader([]).header.subarray(8))).toBe("{}      ");
  });
});

describe("the writer refuses", () => {
  function expectCode(code: OptimErrorCode, write: () => unknown): void {
    expect(write).toThrow(expect.objectContaining({ name: "OptimError", code }));
  }
  const f32 = (name: string, shape: readonly number[], length: number): TensorData => ({
    name,
    dtype: "F32",
    shape,
    data: new Uint8Array(length),
  });

  test("names", () => {
    expectCode("duplicate-name", () => writeSafetensors([f32("a", [1], 4), f32("a", [2], 8)]));
    expectCode("invalid-argument", () => writeSafetensors([f32("__metadata__", [1], 4)]));
    expectCode("invalid-argument", () => writeSafetensors([f32("\ud800", [1], 4)]));
    expectCode("invalid-argument", () => writeSafetensors([f32("\ude00\ud83d", [1], 4)]));
    expectCode("invalid-argument", () => writeSafetensors([f32(undefined as never, [1], 4)]));
  });

  test("data of a wrong length", () => {
    expectCode("invalid-argument", () => writeSafetensors([f32("a", [2], 7)]));
    expectCode("invalid-argument", () => writeSafetensors([f32("a", [2], 9)]));
    expectCode("invalid-argument", () => writeSafetensors([f32("a", [0], 4)]));
    // As long as its shape asks, but in elements.
    expectCode("invalid-argument", () =>
      writeSafetensors([{ ...f32("a", [8], 0), data: new Float32Array(8) as never }]),
    );
  });

  test("shapes and dtypes", () => {
    for (const shape of [
      [-1],
      [0.5],
      [Number.NaN],
      [2 ** 53],
      [2 ** 30, 2 ** 30, 0],
      [2 ** 50],
      "1",
      undefined,
    ])
      expectCode("invalid-argument", () =>
        writeSafetensorsHeader([{ name: "a", dtype: "F32", shape: shape as number[] }]),
      );
    for (const dtype of ["f32", "F128", "", "toString", "__proto__", undefined, 1])
      expectCode("invalid-argument", () =>
        writeSafetensorsHeader([{ name: "a", dtype: dtype as Dtype, shape: [1] }]),
      );
    // Twelve bits are no whole bytes.
    expectCode("invalid-argument", () => writeSafetensorsHeader([{ name: "a", dtype: "F4", shape: [3] }]));
  });

  test("metadata that are no strings", () => {
    expectCode("invalid-argument", () => writeSafetensorsHeader([], new Map([["a", 1 as never]])));
    expectCode("invalid-argument", () => writeSafetensorsHeader([], new Map([[1 as never, "a"]])));
    expectCode("invalid-argument", () => writeSafetensorsHeader([], new Map([["a", "\udfff"]])));
    expectCode("invalid-argument", () => writeSafetensorsHeader([], { a: "b" } as never));
  });

  test("what no file can hold", () => {
    const large: TensorDescription = { name: "a", dtype: "U8", shape: [2 ** 48, 2] };
    expect(writeSafetensorsHeader([large]).size).toBeGreaterThan(2 ** 49);
    // 16 × 2^49 bytes, and the header.
    const many = Array.from({ length: 16 }, (_, index) => ({ ...large, name: `${index}` }));
    expectCode("limit-exceeded", () => writeSafetensorsHeader(many));
    expectCode("limit-exceeded", () => writeSafetensorsHeader([], new Map([["a", "x".repeat(100_000_000)]])));
  });
});
