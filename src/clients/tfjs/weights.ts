// Weights of tfjs's optimizers, named tensors, from and to a checkpoint of the engine's.
import { type Tensor, tensor } from "@tensorflow/tfjs-core";
import { OptimError } from "../../index.js";

/** A tensor with a name, as tfjs's optimizers give their weights and take gradients. */
export interface NamedTensor {
  name: string;
  tensor: Tensor;
}

/** What weights hold. */
export interface SavedWeights {
  readonly iterations: number;
  /** The checkpoint, for variables of these names. */
  readonly fileFor: (names: readonly string[]) => Uint8Array;
}

/** Name of the tensor that holds the checkpoint's metadata: a string. */
const METADATA = "webgpu-optim";

interface Entry {
  readonly dtype: "F32";
  readonly shape: number[];
  readonly data_offsets: readonly [number, number];
}

type Header = { readonly __metadata__: Readonly<Record<string, string>> } & Readonly<Record<string, Entry>>;

/** Bytes of the length before a safetensors header. */
const LENGTH = 8;

/** The tensors of a checkpoint that holds no parameters. */
export function describe(file: Uint8Array<ArrayBuffer>): NamedTensor[] {
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(LENGTH, LENGTH + length));
  const { __metadata__, ...entries } = JSON.parse(text) as Header;
  return [
    { name: METADATA, tensor: tensor([JSON.stringify(__metadata__)], [1], "string") },
    ...Object.entries(entries as Record<string, Entry>).map(([name, { shape, data_offsets }]) => {
      const [start, end] = data_offsets.map((offset) => LENGTH + length + offset);
      const values = new Float32Array(file.buffer.slice(start, end));
      // A dot parts the variable from its state there, a slash here, as in tfjs's own.
      return { name: name.replace(/\.(\w+)$/, "/$1"), tensor: tensor(values, shape, "float32") };
    }),
  ];
}

/** @throws OptimError `invalid-checkpoint` for weights of another optimizer's */
export async function read(weights: readonly NamedTensor[]): Promise<SavedWeights> {
  const [iterations, metadata, ...states] = weights ?? [];
  if (metadata?.name !== METADATA || metadata.tensor.dtype !== "string")
    throw new OptimError("invalid-checkpoint", "The weights are not those of such an optimizer", {
      expected: `what its getWeights() gave: iterations, '${METADATA}', states`,
      got: weights?.length
        ? weights
            .map(({ name }) => `'${name}'`)
            .slice(0, 3)
            .join(", ")
        : "none",
      fix: "pass these, or leave setWeights() out",
    });
  const [count] = await iterations!.tensor.data();
  const [text] = await (metadata.tensor as Tensor).data<"string">();
  const arrays = await Promise.all(
    states.map(async ({ name, tensor }) => ({
      name,
      shape: tensor.shape,
      values: Float32Array.from(await tensor.data()),
    })),
  );
  const saved = JSON.parse(text!) as Record<string, string>;
  return {
    iterations: count!,
    fileFor: (names) => {
      const groups = JSON.parse(saved.groups ?? "[]") as { names: string[] }[];
      const nameOf = renaming(
        groups.flatMap((group) => group.names),
        names,
      );
      const named = JSON.stringify(groups, (key, value) => (key === "names" ? value.map(nameOf) : value));
      let end = 0;
      const header = {
        __metadata__: { ...saved, groups: named },
        ...Object.fromEntries(
          arrays.map(({ name, shape, values }) => {
            const at = name.lastIndexOf("/");
            const data_offsets = [end, end + values.byteLength];
            end += values.byteLength;
            const own = `${nameOf(name.slice(0, at))}.${name.slice(at + 1)}`;
            return [own, { dtype: "F32", shape, data_offsets }];
          }),
        ),
      };
      const bytes = new TextEncoder().encode(JSON.stringify(header));
      const file = new Uint8Array(LENGTH + bytes.length + end);
      new DataView(file.buffer).setBigUint64(0, BigInt(bytes.length), true);
      file.set(bytes, LENGTH);
      end = LENGTH + bytes.length;
      for (const { values } of arrays) {
        file.set(new Uint8Array(values.buffer), end);
        end += values.byteLength;
      }
      return file;
    },
  };
}

/** tfjs numbers a name that is taken. */
const plain = (name: string) => name.replace(/(_\d+)+$/, "");

/** The names of now for those that were saved, where only tfjs's numbers differ; otherwise the same. */
function renaming(before: readonly string[], names: readonly string[]): (name: string) => string {
  const same = before.every((name) => names.includes(name));
  const numbered =
    before.length === names.length && before.every((name, i) => plain(name) === plain(names[i]!));
  const renamed = new Map(!same && numbered ? before.map((name, i) => [name, names[i]!]) : []);
  return (name) => renamed.get(name) ?? name;
}
