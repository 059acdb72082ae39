import { describe, expect, test } from "vitest";
import {
  type Dtype,
  readSafetensors,
  type TensorData,
  writeSafetensors,
} from "../../src/checkpoint/safetensors.js";
import { OptimError } from "../../src/errors.js";
import published from "../vectors/published/safetensors.json";

interface Case {
  readonly id: string;
  readonly bytes_base64: string;
  readonly length: number;
  readonly expect: string;
  readonly writer_golden?: boolean;
  readonly tensors?: Readonly<Record<string, { dtype: Dtype; shape: number[]; values: number[] }>>;
  readonly metadata?: Readonly<Record<string, string>>;
}

const cases = published.cases as readonly unknown[] as readonly Case[];

function bytesOf({ bytes_base64, length }: Case): Uint8Array {
  const bytes = Uint8Array.from(atob(bytes_base64), (character) => character.charCodeAt(0));
  expect(bytes.length).toBe(length);
  return bytes;
}

function float32(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  for (const [index, value] of values.entries()) view.setFloat32(4 * index, value, true);
  return new Uint8Array(view.buffer);
}

/** What a writer golden holds. All of them are F32. */
function contentsOf(golden: Case): { tensors: TensorData[]; metadata: Map<string, string> } {
  return {
    tensors: Object.entries(golden.tensors ?? {}).map(([name, { dtype, shape, values }]) => {
      expect(dtype).toBe("F32");
      return { name, dtype, shape, data: float32(values) };
    }),
    metadata: new Map(Object.entries(golden.metadata ?? {})),
  };
}

describe("published vectors of the Rust library", () => {
  test("there are both kinds", () => {
    expect(cases.filter((entry) => entry.expect === "ok").length).toBeGreaterThanOrEqual(8);
    expect(cases.filter((entry) => entry.expect.startsWith("error")).length).toBeGreaterThanOrEqual(11);
  });

  test.each(cases.filter((entry) => entry.expect === "ok"))("reads $id", (entry) => {
    const bytes = bytesOf(entry);
    const { tensors } = readSafetensors(bytes);
    // Every dtype in these files has four bytes.
    for (const { shape, data } of tensors.values())
      expect(data.length).toBe(4 * shape.reduce((product, extent) => product * extent, 1));
  });

  test.each(cases.filter((entry) => entry.expect !== "ok"))("refuses $id ($expect)", (entry) => {
    // The one file that Rust reads and we refuse: white space before the header, against the text of the format.
    expect(entry.expect.startsWith("error") || entry.id === "policy/leading_whitespace").toBe(true);
    expect(() => readSafetensors(bytesOf(entry))).toThrow(OptimError);
    expect(() => readSafetensors(bytesOf(entry))).toThrow(
      expect.objectContaining({ code: "invalid-checkpoint" }),
    );
  });

  test.each(cases.filter((entry) => entry.writer_golden))(
    "writes $id byte for byte, and reads it",
    (golden) => {
      const { tensors, metadata } = contentsOf(golden);
      const file = writeSafetensors(tensors, metadata);
      expect([...file]).toEqual([...bytesOf(golden)]);
      const read = readSafetensors(file);
      expect(read.metadata).toEqual(metadata);
      expect([...read.tensors]).toEqual(
        tensors.map(({ name, dtype, shape, data }) => [name, { dtype, shape, data }]),
      );
    },
  );
});
