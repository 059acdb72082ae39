import { describe, expect, test } from "vitest";
import {
  readSafetensors,
  readSafetensorsHeader,
  type SafetensorsFile,
  safetensorsDataStart,
  writeSafetensors,
} from "../../src/checkpoint/safetensors.js";
import { OptimError } from "../../src/errors.js";

const encoder = new TextEncoder();

/** A file with this header and as much data; `length` stands in the first eight bytes. */
function fileOf(header: string | Uint8Array, data = 0, length?: bigint): Uint8Array {
  const bytes = typeof header === "string" ? encoder.encode(header) : header;
  const file = new Uint8Array(8 + bytes.length + data);
  new DataView(file.buffer).setBigUint64(0, length ?? BigInt(bytes.length), true);
  file.set(bytes, 8);
  return file;
}

/** A file of one tensor "a" with this entry. */
function entryOf(entry: string, data = 0): Uint8Array {
  return fileOf(`{"a":${entry}}`, data);
}

const empty = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';

function expectRefused(file: Uint8Array): void {
  expect(() => readSafetensors(file)).toThrow(
    expect.objectContaining({ name: "OptimError", code: "invalid-checkpoint" }),
  );
}

describe("reads", () => {
  const cases: readonly [string, Uint8Array, [string, string, number[], number][]][] = [
    ["no tensor", fileOf("{}"), []],
    ["a scalar", entryOf('{"dtype":"F32","shape":[],"data_offsets":[0,4]}', 4), [["a", "F32", [], 4]]],
    ["an empty tensor", entryOf(empty), [["a", "U8", [0], 0]]],
    [
      "empty tensors between others, in the order of the data",
      fileOf(
        '{"d":{"dtype":"U8","shape":[0],"data_offsets":[3,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},' +
          '"a":{"dtype":"U8","shape":[2,0],"data_offsets":[0,0]},"c":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}',
        4,
      ),
      [
        ["a", "U8", [2, 0], 0],
        ["b", "U8", [3], 3],
        ["d", "U8", [0], 0],
        ["c", "U8", [1], 1],
      ],
    ],
    [
      "four-bit elements",
      entryOf('{"dtype":"F4","shape":[3,2],"data_offsets":[0,3]}', 3),
      [["a", "F4", [3, 2], 3]],
    ],
    [
      "keys in any order, with white space between",
      fileOf('{ "a" :\r\n{\t"data_offsets" : [ 0 , 1 ] , "shape":[ 1 ],"dtype":"I8" } } \n\t\r', 1),
      [["a", "I8", [1], 1]],
    ],
    [
      "escapes in names, keys and values",
      fileOf(
        '{"\\u0000\\n\\"\\\\\\/\\ud83d\\ude00":{"d\\u0074ype":"\\u00558","shape":[0],"data_offsets":[0,0]}}',
      ),
      [['\0\n"\\/😀', "U8", [0], 0]],
    ],
    ["an empty name", fileOf(`{"":${empty}}`), [["", "U8", [0], 0]]],
    ["a name with DEL and U+2028", fileOf(`{"\x7f\u2028":${empty}}`), [["\x7f\u2028", "U8", [0], 0]]],
    [
      "names of Object.prototype",
      fileOf(`{"__proto__":${empty},"constructor":${empty},"hasOwnProperty":${empty}}`),
      [
        ["__proto__", "U8", [0], 0],
        ["constructor", "U8", [0], 0],
        ["hasOwnProperty", "U8", [0], 0],
      ],
    ],
    [
      "an empty tensor with an extent of 2^53 - 1",
      entryOf('{"dtype":"U8","shape":[9007199254740991,0],"data_offsets":[0,0]}'),
      [["a", "U8", [9007199254740991, 0], 0]],
    ],
  ];

  test.each(cases)("%s", (_, file, expected) => {
    const { tensors } = readSafetensors(file);
    expect([...tensors].map(([name, { dtype, shape, data }]) => [name, dtype, shape, data.length])).toEqual(
      expected,
    );
  });

  test("metadata of any names, none of them a prototype's", () => {
    const { metadata, tensors } = readSafetensors(
      fileOf('{"__m\\u0065tadata__":{"__proto__":"x","constructor":"","a\\u0000":"\\ud83d\\ude00"}}'),
    );
    expect([...metadata]).toEqual([
      ["__proto__", "x"],
      ["constructor", ""],
      ["a\0", "😀"],
    ]);
    expect(tensors.size).toBe(0);
    expect(Object.hasOwn(Object.prototype, "x")).toBe(false);
    expect(readSafetensors(fileOf('{"__metadata__":{}}')).metadata.size).toBe(0);
  });

  test("a file inside a larger buffer, as views into it", () => {
    const file = entryOf('{"dtype":"U8","shape":[3],"data_offsets":[0,3]}', 3);
    const buffer = new Uint8Array(file.length + 9);
    buffer.set(file, 5);
    buffer.set([1, 2, 3], 5 + file.length - 3);
    const { data } = readSafetensors(buffer.subarray(5, 5 + file.length)).tensors.get("a")!;
    expect([...data]).toEqual([1, 2, 3]);
    expect(data.buffer).toBe(buffer.buffer);
  });
});

describe("refuses", () => {
  const withShape = (shape: string, size = 0) =>
    entryOf(`{"dtype":"U8","shape":${shape},"data_offsets":[0,${size}]}`, size);
  const withOffsets = (offsets: string, data = 0) =>
    entryOf(`{"dtype":"U8","shape":[${data}],"data_offsets":${offsets}}`, data);
  const withName = (...name: number[]) =>
    fileOf(Uint8Array.of(...encoder.encode('{"'), ...name, ...encoder.encode(`":${empty}}`)));
  const pair = (a: string, b: string, data: number) => fileOf(`{"a":${a},"b":${b}}`, data);
  const u8 = (start: number, end: number) =>
    `{"dtype":"U8","shape":[${end - start}],"data_offsets":[${start},${end}]}`;

  const cases: Readonly<Record<string, Uint8Array>> = {
    "an empty file": new Uint8Array(0),
    "seven bytes": new Uint8Array(7),
    "eight zero bytes": new Uint8Array(8),
    "a header of no bytes before data": new Uint8Array(24),
    "a header past the end by one": fileOf("{}", 0, 3n),
    "a header length of 2^32": fileOf("{}", 0, 2n ** 32n),
    "a header length of 2^53": fileOf("{}", 0, 2n ** 53n),
    "a header length of 2^53 + 2": fileOf("{}", 0, 2n ** 53n + 2n),
    "a header length of 2^63": fileOf("{}", 0, 2n ** 63n),
    "a header length of 2^64 - 1": fileOf("{}", 0, 2n ** 64n - 1n),
    "white space before the header": fileOf(" {}"),
    "a byte order mark": fileOf("\ufeff{}"),
    "a byte that is no UTF-8": withName(0xff),
    "overlong UTF-8": withName(0xc1, 0x81),
    "a surrogate in UTF-8": withName(0xed, 0xa0, 0x80),
    "half a character": withName(0xc3),
    "a code point past U+10FFFF": withName(0xf4, 0x90, 0x80, 0x80),
    "half a character after the header": fileOf(Uint8Array.of(0x7b, 0x7d, 0xc3)),
    "an array": fileOf("[]"),
    "a string": fileOf('"{}"'),
    "an open object": fileOf("{"),
    "a second object": fileOf("{}{}"),
    "a letter after the header": fileOf("{}x"),
    "a zero byte after the header": fileOf("{}\0"),
    "a form feed after the header": fileOf("{}\f"),
    "a no-break space after the header": fileOf("{}\u00a0"),
    "a comment": fileOf("{/**/}"),
    "a comment after the header": fileOf("{} // end"),
    "a trailing comma": fileOf(`{"a":${empty},}`),
    "a leading comma": fileOf(`{,"a":${empty}}`),
    "a missing comma": fileOf(`{"a":${empty} "b":${empty}}`),
    "a missing colon": fileOf(`{"a" ${empty}}`),
    "single quotes": fileOf(`{'a':${empty}}`),
    "a bare key": fileOf(`{a:${empty}}`),
    "a control character in a name": fileOf(`{"\x01":${empty}}`),
    "a tab in a name": fileOf(`{"\t":${empty}}`),
    "an unknown escape": fileOf(`{"\\x41":${empty}}`),
    "a short escape": fileOf(`{"\\u41":${empty}}`),
    "a lone high surrogate": fileOf(`{"\\ud800":${empty}}`),
    "a lone low surrogate": fileOf(`{"\\ude00":${empty}}`),
    "surrogates in the wrong order": fileOf(`{"\\ude00\\ud83d":${empty}}`),
    "an escaped closing quote": fileOf('{"a\\"}'),
    "a closing backslash": fileOf('{"a\\'),
    "data without tensors": fileOf("{}", 1),
    "data behind empty tensors": entryOf(empty, 1),
    "a name twice": fileOf(`{"a":${empty},"a":${empty}}`),
    "a name twice, once by escape": fileOf(`{"a":${empty},"\\u0061":${empty}}`),
    "__proto__ twice": fileOf(`{"__proto__":${empty},"__proto__":${empty}}`),
    "metadata twice": fileOf('{"__metadata__":{},"__metadata__":{}}'),
    "a key of the metadata twice": fileOf('{"__metadata__":{"a":"1","a":"1"}}'),
    "dtype twice": entryOf('{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}'),
    "shape twice": entryOf('{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}'),
    "offsets twice": entryOf('{"dtype":"U8","shape":[0],"data_offsets":[0,0],"data_offsets":[0,0]}'),
    "no dtype": entryOf('{"shape":[0],"data_offsets":[0,0]}'),
    "no shape": entryOf('{"dtype":"U8","data_offsets":[0,0]}'),
    "no offsets": entryOf('{"dtype":"U8","shape":[0]}'),
    "an unknown member without a value": entryOf('{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":}'),
    "an unknown member": entryOf('{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}'),
    "a member __proto__": entryOf(`{"__proto__":${empty}}`),
    "an entry that is null": entryOf("null"),
    "an entry that is an array": entryOf('["U8",[0],[0,0]]'),
    "an entry that is a string": entryOf('"U8"'),
    "an unknown dtype": entryOf('{"dtype":"F128","shape":[0],"data_offsets":[0,0]}'),
    "a dtype in small letters": entryOf('{"dtype":"u8","shape":[0],"data_offsets":[0,0]}'),
    "a dtype named as a method": entryOf('{"dtype":"toString","shape":[0],"data_offsets":[0,0]}'),
    "a dtype __proto__": entryOf('{"dtype":"__proto__","shape":[0],"data_offsets":[0,0]}'),
    "a dtype that is null": entryOf('{"dtype":null,"shape":[0],"data_offsets":[0,0]}'),
    "a dtype as an object": entryOf('{"dtype":{"U8":null},"shape":[0],"data_offsets":[0,0]}'),
    "metadata that are null": fileOf('{"__metadata__":null}'),
    "metadata that are a string": fileOf('{"__metadata__":"a"}'),
    "metadata that are an array": fileOf('{"__metadata__":[]}'),
    "metadata that are a tensor": fileOf(`{"__metadata__":${empty}}`),
    "a number in the metadata": fileOf('{"__metadata__":{"a":1}}'),
    "null in the metadata": fileOf('{"__metadata__":{"a":null}}'),
    "an object in the metadata": fileOf('{"__metadata__":{"a":{}}}'),
    "a negative extent": withShape("[-1]"),
    "two negative extents": withShape("[-1,-1]", 1),
    "an extent of -0": withShape("[-0]"),
    "a fractional extent": withShape("[0.5]"),
    "an extent of 1.0": withShape("[1.0]", 1),
    "an extent of 1e0": withShape("[1e0]", 1),
    "an extent of 1E3": withShape("[1E3]", 1000),
    "an extent of 0e5": withShape("[0e5]"),
    "an extent of +1": withShape("[+1]", 1),
    "an extent of 01": withShape("[01]", 1),
    "an extent of 00": withShape("[00]"),
    "a hexadecimal extent": withShape("[0x1]", 1),
    "an extent of 2^53": withShape("[9007199254740992,0]"),
    "an extent of 2^64": withShape("[18446744073709551616,0]"),
    "an extent of 1e400": withShape("[1e400,0]"),
    "an extent of a thousand digits": withShape(`[${"9".repeat(1000)},0]`),
    "an extent NaN": withShape("[NaN]"),
    "an extent null": withShape("[null]"),
    "an extent in quotes": withShape('["1"]', 1),
    "an extent in an array": withShape("[[1]]", 1),
    "a shape that is a number": withShape("1", 1),
    "a shape that is an object": withShape('{"0":1}', 1),
    "a shape that is null": withShape("null"),
    "a comma at the end of a shape": withShape("[0,]"),
    "a comma at the start of a shape": withShape("[,0]"),
    "an empty place in a shape": withShape("[0,,0]"),
    "a negative extent beside a 0": withShape("[0,-1]"),
    "a fractional extent beside a 0": withShape("[0,1.5]"),
    "an open shape": fileOf('{"a":{"shape":[1'),
    "extents whose product wraps to 0 in 64 bits": withShape("[4294967296,4294967296]"),
    "a product past 2^53 before a 0": withShape("[9007199254740991,9007199254740991,0]"),
    "a size past 2^53 that wraps to 0 in 64 bits": entryOf(
      '{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}',
    ),
    "three offsets": withOffsets("[0,0,0]"),
    "one offset": withOffsets("[0]"),
    "no offset": withOffsets("[]"),
    "offsets in the wrong order": withOffsets("[1,0]", 1),
    "a negative offset": withOffsets("[-1,0]", 1),
    "a fractional offset": withOffsets("[0,0.5]", 1),
    "an offset of 1.0": withOffsets("[0,1.0]", 1),
    "an offset of 1e0": withOffsets("[0,1e0]", 1),
    "an offset past the file": withOffsets("[0,2]", 1),
    "an offset of 2^53 - 1": withOffsets("[0,9007199254740991]", 1),
    "an offset of 2^64 - 1": withOffsets("[18446744073709551615,0]", 1),
    "data longer than the shape": entryOf('{"dtype":"U8","shape":[1],"data_offsets":[0,2]}', 2),
    "data shorter than the shape": entryOf('{"dtype":"U8","shape":[3],"data_offsets":[0,2]}', 2),
    "data for a tensor of no elements": entryOf('{"dtype":"U8","shape":[0],"data_offsets":[0,1]}', 1),
    "a scalar without data": entryOf('{"dtype":"U8","shape":[],"data_offsets":[0,0]}'),
    "half a byte": entryOf('{"dtype":"F4","shape":[1],"data_offsets":[0,1]}', 1),
    "half a byte, rounded down": entryOf('{"dtype":"F4","shape":[3],"data_offsets":[0,1]}', 1),
    "six bits": entryOf('{"dtype":"F6_E2M3","shape":[1],"data_offsets":[0,1]}', 1),
    "a hole before the first tensor": pair(u8(1, 2), u8(2, 3), 3),
    "a hole between tensors": pair(u8(0, 1), u8(2, 3), 3),
    "a hole at the end": pair(u8(0, 1), u8(1, 2), 3),
    "tensors that overlap": pair(u8(0, 2), u8(1, 3), 3),
    "one range for two tensors": pair(u8(0, 2), u8(0, 2), 2),
    "a tensor inside another": pair(u8(0, 3), u8(1, 2), 3),
    "an empty tensor inside another": pair(u8(0, 3), u8(1, 1), 3),
    "an empty tensor past the data": pair(u8(0, 3), u8(4, 4), 3),
    "data cut by one byte": withOffsets("[0,2]", 2).subarray(0, -1),
    "one byte after the data": fileOf(`{"a":${u8(0, 2)}}`, 3),
    "deep arrays": entryOf("[".repeat(200_000)),
    "deep objects": fileOf('{"a":'.repeat(200_000)),
    "deep arrays in a shape": withShape("[".repeat(200_000)),
    "deep objects in the metadata": fileOf(`{"__metadata__":${'{"a":'.repeat(200_000)}`),
  };

  test.each(Object.entries(cases))("%s", (_, file) => expectRefused(file));

  test("a header of more than 100 MB, and reads one of 100 MB", { timeout: 30_000 }, () => {
    const limit = 100_000_000;
    const bytes = new Uint8Array(8 + limit + 1).fill(0x20);
    bytes.set(encoder.encode("{}"), 8);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(limit + 1), true);
    expectRefused(bytes);
    view.setBigUint64(0, BigInt(limit), true);
    expect(readSafetensors(bytes.subarray(0, -1)).tensors.size).toBe(0);
  });

  test("ten million tensors before it looks at any of them", () => {
    // About the shortest header that would name them all; its pages are never touched.
    const file = new Uint8Array(8 + 10_000_000 * (empty.length + 11));
    new DataView(file.buffer).setBigUint64(0, BigInt(file.length - 8), true);
    const start = performance.now();
    expectRefused(file);
    // Reading half a gigabyte takes far longer, a busy machine included.
    expect(performance.now() - start).toBeLessThan(500);
  });

  test("arguments of a wrong kind", () => {
    for (const bytes of [undefined, null, "{}", new ArrayBuffer(16), [1, 2]])
      expect(() => readSafetensors(bytes as never)).toThrow(
        expect.objectContaining({ code: "invalid-argument" }),
      );
  });

  test("and quotes no more than a part of a long name", () => {
    const name = "x".repeat(1_000_000);
    try {
      readSafetensors(fileOf(`{"${name}":{"dtype":"${name}"}}`));
      expect.unreachable();
    } catch (error) {
      expect((error as OptimError).code).toBe("invalid-checkpoint");
      expect((error as OptimError).message.length).toBeLessThan(1000);
    }
  });
});

describe("a long header", () => {
  // Linear time reads these in well under a second each; quadratic time would take minutes.
  const limit = 30_000;

  test("of 200 000 tensors and as many metadata", { timeout: limit }, () => {
    const count = 200_000;
    const names = Array.from({ length: count }, (_, index) => `parameter.${index}`);
    const header = `{"__metadata__":{${names.map((name) => `"${name}":""`)}},${names
      // The data in the reverse order of the names.
      .map(
        (name, index) =>
          `"${name}":{"dtype":"U8","shape":[1],"data_offsets":[${count - 1 - index},${count - index}]}`,
      )}}`;
    const { metadata, tensors } = readSafetensors(fileOf(header, count));
    expect(metadata.size).toBe(count);
    expect([...tensors.keys()]).toEqual(names.reverse());
  });

  test("of one shape with two million extents", { timeout: limit }, () => {
    const file = entryOf(`{"dtype":"U8","shape":[${"1,".repeat(2_000_000)}1],"data_offsets":[0,1]}`, 1);
    expect(readSafetensors(file).tensors.get("a")!.shape.length).toBe(2_000_001);
  });

  test.each(["\\\\", "\\u0000", "a", "é", '"', "{", "[", " ", "9", ","])(
    "of four million times %j",
    { timeout: limit },
    (unit) => {
      for (const start of ["{", '{"', '{"a":', '{"a":{"shape":['])
        expectRefused(fileOf(start + unit.repeat(4_000_000 / unit.length)));
    },
  );
});

describe("the header alone", () => {
  const file = writeSafetensors(
    [
      { name: "a", dtype: "F32", shape: [2], data: new Uint8Array(8) },
      { name: "b", dtype: "U8", shape: [3], data: new Uint8Array(3) },
    ],
    new Map([["step", "7"]]),
  );
  const dataStart = safetensorsDataStart(file.subarray(0, 8), file.length);

  test("is read from the bytes before the data", () => {
    const header = readSafetensorsHeader(file.subarray(0, dataStart), file.length);
    expect(header.dataStart).toBe(dataStart);
    expect(header.metadata.get("step")).toBe("7");
    expect(header.tensors).toEqual(
      new Map([
        ["a", { dtype: "F32", shape: [2], start: dataStart, end: dataStart + 8 }],
        ["b", { dtype: "U8", shape: [3], start: dataStart + 8, end: dataStart + 11 }],
      ]),
    );
  });

  test("tells a short prefix from a short file", () => {
    const codeOf = (length: number, size: number) => {
      try {
        readSafetensorsHeader(file.subarray(0, length), size);
      } catch (error) {
        return (error as OptimError).code;
      }
      return undefined;
    };
    expect(codeOf(7, file.length)).toBe("invalid-argument");
    expect(codeOf(dataStart - 1, file.length)).toBe("invalid-argument");
    expect(codeOf(dataStart, file.length - 1)).toBe("invalid-checkpoint");
    expect(codeOf(dataStart, file.length + 1)).toBe("invalid-checkpoint");
    expect(codeOf(dataStart, dataStart)).toBe("invalid-checkpoint");
    expect(codeOf(dataStart - 1, dataStart - 1)).toBe("invalid-checkpoint");
    expect(codeOf(dataStart, dataStart - 1)).toBe("invalid-argument");
    expect(codeOf(dataStart, Number.NaN)).toBe("invalid-argument");
  });
});

describe("a damaged file", () => {
  const file = writeSafetensors(
    [
      { name: "weight", dtype: "F32", shape: [2, 3], data: Uint8Array.from({ length: 24 }, (_, i) => i) },
      { name: "bias", dtype: "BF16", shape: [3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) },
      { name: "é\0😀", dtype: "U8", shape: [], data: Uint8Array.of(9) },
      { name: "none", dtype: "F64", shape: [4, 0], data: new Uint8Array(0) },
    ],
    new Map([
      ["format", "webgpu-optim"],
      ["step", "1234"],
    ]),
  );
  /** Bits of an element, as the name of its dtype says. */
  const bitsOf = (dtype: string) => Number(/\d+/.exec(dtype)?.[0] ?? 8);

  /** A file that was read must be one: its tensors cover its data once, each with the bytes of its shape. */
  function expectValid(bytes: Uint8Array, { tensors }: SafetensorsFile): void {
    let position = 8 + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    for (const { dtype, shape, data } of tensors.values()) {
      expect(data.buffer).toBe(bytes.buffer);
      expect(data.byteOffset - bytes.byteOffset).toBe(position);
      expect(data.length * 8).toBe(bitsOf(dtype) * shape.reduce((product, extent) => product * extent, 1));
      position += data.length;
    }
    expect(position).toBe(bytes.length);
  }

  /** Whether the file was read. */
  function read(bytes: Uint8Array): boolean {
    let result: SafetensorsFile;
    try {
      result = readSafetensors(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(OptimError);
      expect((error as OptimError).code).toBe("invalid-checkpoint");
      return false;
    }
    expectValid(bytes, result);
    return true;
  }

  test("is refused when cut anywhere, or when anything follows", () => {
    expect(read(file)).toBe(true);
    for (let length = 0; length < file.length; length++) expect(read(file.slice(0, length))).toBe(false);
    for (const byte of [0, 0x20, 0x7d]) expect(read(Uint8Array.of(...file, byte))).toBe(false);
  });

  test("is refused, or valid, with any one bit flipped or byte of JSON put in", () => {
    const bits = [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => (byte: number) => byte ^ (1 << bit));
    const json = [...encoder.encode('{}[]",:\\ -.e09n\0')].map((put) => () => put);
    let valid = 0;
    for (const [offset, byte] of file.entries())
      for (const change of [...bits, ...json]) {
        const damaged = file.slice();
        damaged[offset] = change(byte);
        if (damaged[offset] !== byte && read(damaged)) valid++;
      }
    const changes = bits.length + json.length;
    // The 31 bytes of data may hold anything; names and metadata, most letters; nothing else much.
    expect(valid).toBeGreaterThan(31 * (changes - 2));
    expect(valid).toBeLessThan((file.length * changes) / 3);
  });

  test("is refused, or valid, with any one byte left out or doubled", () => {
    for (let offset = 0; offset < file.length; offset++) {
      read(Uint8Array.of(...file.subarray(0, offset), ...file.subarray(offset + 1)));
      read(Uint8Array.of(...file.subarray(0, offset + 1), ...file.subarray(offset)));
    }
  });
});
