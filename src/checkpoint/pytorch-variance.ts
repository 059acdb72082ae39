// PyTorch's centered RMSprop keeps v where ours keeps the variance S = v − ḡ²: its files hold v = S + ḡ².
import { OptimError } from "../errors.js";
import { type CheckpointGroup, stateName } from "./contents.js";
import { type TensorDescription, writeSafetensorsHeader } from "./write.js";

const VARIANCE = "square_dev";

/** What stands in a file for a variance, and the mean beside it. */
interface Square {
  readonly name: string;
  readonly mean: string;
}

/** Names of variances, with what PyTorch has in their places. */
export type Squares = ReadonlyMap<string, Square>;

export const squaresOf = (groups: readonly Pick<CheckpointGroup, "states" | "tensors">[]): Squares =>
  new Map(
    groups.flatMap(({ states, tensors }) =>
      !states.includes(VARIANCE)
        ? []
        : tensors.map(({ name }) => [
            stateName(name, VARIANCE),
            { name: stateName(name, "square_avg"), mean: stateName(name, "grad_avg") },
          ]),
    ),
  );

/**
 * The tensors under the names of a file.
 * @throws OptimError `duplicate-name` where a tensor's own name stands in between
 */
function named(tensors: readonly TensorDescription[], squares: Squares): readonly TensorDescription[] {
  const renamed = tensors.map((tensor) => ({
    ...tensor,
    name: squares.get(tensor.name)?.name ?? tensor.name,
  }));
  const order = (list: readonly TensorDescription[]) => [...writeSafetensorsHeader(list).offsets.keys()];
  const theirs = order(renamed);
  // The data goes by in the order of our names.
  const moved = order(tensors).find((name, i) => (squares.get(name)?.name ?? name) !== theirs[i]);
  if (moved !== undefined)
    throw new OptimError("duplicate-name", "A parameter is named too much like a state of PyTorch", {
      expected: "the same order of tensors with square_avg for square_dev",
      got: `'${moved}' in another place`,
      fix: "rename it, or save without the format 'pytorch'",
    });
  return renamed;
}

/** Turns variances into v, in place, as the data of `tensors` goes by. Parts are whole f32 numbers. */
function adder(tensors: readonly TensorDescription[], squares: Squares): (part: Uint8Array) => void {
  const entries = [...writeSafetensorsHeader(tensors).offsets];
  const kept = new Set([...squares.values()].map(({ mean }) => mean));
  const means = new Map<string, Float32Array>();
  let at = entries[0]?.[1].start ?? 0;
  let next = 0;
  return (part) => {
    const end = at + part.length;
    for (; next < entries.length && entries[next]![1].start < end; next++) {
      const [name, range] = entries[next]!;
      const from = Math.max(range.start, at);
      const to = Math.min(range.end, end);
      const values = new Float32Array(part.buffer, part.byteOffset + from - at, (to - from) / 4);
      const first = (from - range.start) / 4;
      const square = squares.get(name);
      if (kept.has(name)) {
        if (first === 0) means.set(name, new Float32Array((range.end - range.start) / 4));
        means.get(name)!.set(values, first);
      } else if (square) {
        const mean = means.get(square.mean)!;
        for (let i = 0; i < values.length; i++) values[i]! += mean[first + i]! ** 2;
        if (to === range.end) means.delete(square.mean);
      }
      if (to < range.end) break;
    }
    at = end;
  };
}

/** What a file has for the variances of these groups, where there are any; its parts are to pass through `add`. */
export function squaresIn(groups: readonly CheckpointGroup[], own: readonly TensorDescription[]) {
  const squares = squaresOf(groups);
  return squares.size === 0 ? undefined : { tensors: named(own, squares), add: adder(own, squares) };
}

/** S of v and ḡ, bytes of f32 numbers. */
export function variance(squares: Uint8Array, means: Uint8Array): Uint8Array {
  const [v, mean] = [squares, means].map((bytes) => new Float32Array(bytes.slice().buffer));
  return new Uint8Array(v!.map((value, i) => Math.max(value - mean![i]! ** 2, 0)).buffer);
}
