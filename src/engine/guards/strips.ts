import type { RuleRow } from "../../rule.js";
import type { StripPlace, Strips } from "../kernels/plan.js";
import type { GroupMemory } from "../memory/group-memory.js";
import type { Tensor } from "../memory/parameters.js";
import { type Span, STRIP } from "../memory/spans.js";

/** A tensor's partial sums: a place for each strip of 256 bytes, and for a head and a tail where it is not aligned. */
function placesOf({ param, size }: Tensor): { readonly count: number; readonly ends: boolean } {
  const end = size + param.padding;
  const ends = param.offset % STRIP !== 0 || end % STRIP !== 0;
  return { count: Math.ceil(end / STRIP) + (ends ? 2 : 0), ends };
}

/** Whether a tensor begins where another ends, padding included. */
const follows = (before: Tensor, { param }: Tensor): boolean =>
  before.param.buffer === param.buffer &&
  before.param.offset + before.size + before.param.padding === param.offset;

/** Where the partial sums of all tensors lie. It depends on nothing but the parameters, so gradients may move. */
export class StripTable {
  /** Every tensor with elements, by rule, those with sums last, so that sums go over neighbours. In the order of values. */
  readonly tensors: readonly Tensor[];
  /** How many places there are. */
  readonly count: number;
  readonly #places: ReadonlyMap<Tensor, StripPlace>;

  constructor(groups: readonly GroupMemory[]) {
    const sums = ({ shader }: RuleRow) => Number(shader.sums.length > 0);
    const rows = [...new Set(groups.map(({ rule }) => rule.row))].sort((a, b) => sums(a) - sums(b));
    this.tensors = rows.flatMap((row) =>
      groups.filter(({ rule }) => rule.row === row).flatMap(({ sorted }) => sorted),
    );
    const places = new Map<Tensor, StripPlace>();
    let first = 0;
    for (const tensor of this.tensors) {
      const { count, ends } = placesOf(tensor);
      places.set(tensor, { first, count, head: ends, ends });
      first += count;
    }
    this.#places = places;
    this.count = first;
  }

  place(tensor: Tensor): StripPlace {
    return this.#places.get(tensor)!;
  }

  /** Where those of a span lie, one behind the other. */
  spanPlace({ tensors }: Span): StripPlace {
    const places = tensors.map((tensor) => this.place(tensor));
    return {
      first: places[0]!.first,
      head: places[0]!.head,
      count: places.reduce((sum, { count }) => sum + count, 0),
      ends: places.some(({ ends }) => ends),
    };
  }

  /** For sums over all: strips may hold two tensors. */
  get together(): Strips {
    return { owners: 0, place: (span) => this.spanPlace(span) };
  }

  /** For sums by tensor: no strip holds two. @param owners as in `Strips` */
  apart(owners: number): Strips {
    return { ...this.together, owners, mayGoOn: (start, end) => start % STRIP === 0 && end % STRIP === 0 };
  }

  /** What is summed up by itself: a tensor, or where strips may hold two of them all that share some. */
  runs(together: boolean): readonly StripPlace[] {
    const runs: StripPlace[] = [];
    let before: Tensor | undefined;
    for (const tensor of this.tensors) {
      const place = this.place(tensor);
      const last = runs.at(-1);
      if (together && before && last?.ends && follows(before, tensor))
        runs[runs.length - 1] = { ...last, count: last.count + place.count };
      else runs.push(place);
      before = tensor;
    }
    return runs;
  }

  /** Of each place the index of its tensor. */
  owners(): Uint32Array<ArrayBuffer> {
    const owners = new Uint32Array(this.count);
    this.tensors.forEach((tensor, index) => {
      const { first, count } = this.place(tensor);
      owners.fill(index, first, first + count);
    });
    return owners;
  }
}
