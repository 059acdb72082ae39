// A linear regression with its gradients as an ONNX model, which a few lines of protobuf write. Your own comes from
// PyTorch's or onnxruntime's tools; what counts is that the gradients are outputs of the graph.

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(value >> 7)];
const bytes = (field: number, value: readonly number[]) => [
  ...varint(8 * field + 2),
  ...varint(value.length),
  ...value,
];
const text = (field: number, value: string) => bytes(field, [...new TextEncoder().encode(value)]);
const whole = (field: number, value: number) => [...varint(8 * field), ...varint(value)];

const node = (op: string, inputs: readonly string[], output: string, attributes: readonly number[] = []) =>
  bytes(1, [...inputs.flatMap((name) => text(1, name)), ...text(2, output), ...text(4, op), ...attributes]);
const axis0 = bytes(5, [...text(1, "axes"), ...whole(8, 0), ...whole(20, 7)]);
const noDimension = bytes(5, [...text(1, "keepdims"), ...whole(3, 0), ...whole(20, 2)]);

/** A value of the graph: f32 of a shape. */
const tensor = (field: number, name: string, shape: readonly number[]) =>
  bytes(field, [
    ...text(1, name),
    ...bytes(
      2,
      bytes(1, [
        ...whole(1, 1),
        ...bytes(
          2,
          shape.flatMap((extent) => bytes(1, whole(1, extent))),
        ),
      ]),
    ),
  ]);

const constant = (name: string, value: number) =>
  bytes(5, [
    ...whole(2, 1),
    ...text(8, name),
    ...bytes(9, [...new Uint8Array(Float32Array.of(value).buffer)]),
  ]);

/** The model: x, y, weight and bias in; loss, d_weight and d_bias out. */
export function regression(rows: number, features: number): Uint8Array {
  const graph = [
    ...node("MatMul", ["x", "weight"], "product"),
    ...node("Add", ["product", "bias"], "prediction"),
    ...node("Sub", ["prediction", "y"], "error"),
    ...node("Mul", ["error", "error"], "square"),
    ...node("ReduceMean", ["square"], "loss", noDimension),
    ...node("Transpose", ["x"], "columns"),
    ...node("MatMul", ["columns", "error"], "sums"),
    ...node("Mul", ["sums", "two_by_rows"], "d_weight"),
    ...node("ReduceMean", ["error"], "mean", [...axis0, ...noDimension]),
    ...node("Mul", ["mean", "two"], "d_bias"),
    ...text(2, "regression"),
    ...constant("two", 2),
    ...constant("two_by_rows", 2 / rows),
    ...tensor(11, "x", [rows, features]),
    ...tensor(11, "y", [rows, 1]),
    ...tensor(11, "weight", [features, 1]),
    ...tensor(11, "bias", [1]),
    ...tensor(12, "loss", []),
    ...tensor(12, "d_weight", [features, 1]),
    ...tensor(12, "d_bias", [1]),
  ];
  return Uint8Array.from([...whole(1, 8), ...bytes(8, whole(2, 17)), ...bytes(7, graph)]);
}
