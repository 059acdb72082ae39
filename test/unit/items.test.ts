// Items as pure arithmetic: what holds for any tensors, offsets and limits.
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  ITEM_WORDS,
  itemTable,
  type Walk,
  walkChunks,
  walkSpans,
} from "../../src/engine/guards/item-table.js";
import { ITEM_THREADS } from "../../src/engine/guards/items.js";
import {
  checkParameters,
  type Parameter,
  type Range,
  type Tensor,
} from "../../src/engine/memory/parameters.js";
import { type PlanLimits, sortTensors } from "../../src/engine/memory/spans.js";

/** A GPUBuffer as the checks see it. */
const buffer = () => ({ size: 2 ** 26, usage: 0x80 | 0x8 }) as GPUBuffer;

/** Limits far below those of any device, so that every cut happens. */
const limitsOf = fc.record({
  minStorageBufferOffsetAlignment: fc.constantFrom(32, 64, 128, 256),
  maxStorageBufferBindingSize: fc.integer({ min: 128, max: 20_000 }).map((words) => words * 4),
  maxComputeWorkgroupsPerDimension: fc.integer({ min: 1, max: 20 }),
  maxBufferSize: fc.constant(2 ** 26),
});

interface TensorCase {
  readonly words: number;
  readonly padding: number;
  readonly gap: number;
  readonly shift: number;
  readonly group: number;
}

/** A tensor: words, words of padding, words of room before it, and how much further on its gradient lies. */
const tensorOf = fc.record({
  // Now and then longer than an item of one lane, and than one of four.
  words: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1000, max: 9000 })),
  padding: fc.oneof(fc.constant(0), fc.constant(64), fc.integer({ min: 0, max: 7 })),
  gap: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 9 }) },
  ),
  shift: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 5 }) },
  ),
  group: fc.integer({ min: 0, max: 2 }),
});

const models = fc.record({
  list: fc.array(tensorOf, { minLength: 1, maxLength: 12 }),
  limits: limitsOf,
  /** Whether padding reaches the next multiple of 256 bytes, as an arena's does. */
  arena: fc.boolean(),
});

/** Lays the tensors out one after the other in two buffers, in three groups. */
function layOut({ list, arena }: { list: readonly TensorCase[]; arena: boolean }): Walk[] {
  const [parameters, gradients] = [buffer(), buffer()];
  const groups: Parameter[][] = [[], [], []];
  let at = 0;
  let gradientAt = 0;
  list.forEach(({ words, padding, gap, shift, group }, i) => {
    const room = arena ? (64 - (words % 64)) % 64 : padding;
    at += arena ? 0 : gap;
    gradientAt = Math.max(gradientAt, at) + (arena ? 0 : shift);
    const range = { size: words * 4, padding: room * 4 };
    groups[group]!.push({
      name: `t${i}`,
      param: { buffer: parameters, offset: at * 4, ...range },
      grad: { buffer: gradients, offset: gradientAt * 4, ...range },
    });
    at += words + room;
    gradientAt += words + room;
  });
  return checkParameters(groups).map((tensors) => ({
    tensors: sortTensors(tensors),
    gradient: (tensor: Tensor): Range => tensor.gradient,
  }));
}

const LANES = ITEM_THREADS * 16;

/** The table of a model, as items with names for their words. */
function tableOf(walks: readonly Walk[], limits: PlanLimits) {
  const tensors = walks.flatMap((walk) => walk.tensors);
  const factorsAt = (count: number) => count * ITEM_THREADS + tensors.length;
  const table = itemTable(walks, tensors, limits, factorsAt);
  const items = Array.from({ length: table.count }, (_, i) => {
    const [first, count, factor, sums] = table.items.subarray(i * ITEM_WORDS, (i + 1) * ITEM_WORDS);
    return { first: first!, count: count!, factor: factor! - factorsAt(table.count), sums: sums! };
  });
  return { table, items, tensors };
}

test("items tile every chunk exactly and in order, and each lies in one tensor", () => {
  let [cuts, shared] = [0, 0];
  fc.assert(
    fc.property(models, ({ limits, ...model }) => {
      const walks = layOut(model);
      const { table, items, tensors } = tableOf(walks, limits);
      let next = 0;
      const covered = new Map<Tensor, number>();
      for (const walk of walks)
        for (const span of walkSpans(walk)) {
          const origin = span.tensors[0].param.offset;
          if (span.tensors.length > 1) shared += 1;
          for (const chunk of walkChunks(span, walk, limits)) {
            const place = table.place(span, chunk)!;
            expect(place.item).toBe(next);
            next += place.count;
            const bytes = chunk.width * 4;
            let lane = 0;
            for (const { first, count, factor } of items.slice(place.item, place.item + place.count)) {
              expect(first).toBe(lane);
              expect(count).toBeGreaterThan(0);
              expect(count).toBeLessThanOrEqual(LANES);
              expect(Number.isInteger(count)).toBe(true);
              lane += count;
              if (count === LANES) cuts += 1;
              // In the tensor, or in its padding.
              const tensor = tensors[factor]!;
              const at = span.tensors.indexOf(tensor);
              const start = tensor.param.offset - origin;
              const end = span.tensors[at + 1] ? span.tensors[at + 1]!.param.offset - origin : span.size;
              expect(at).toBeGreaterThanOrEqual(0);
              expect(chunk.start + first * bytes).toBeGreaterThanOrEqual(start);
              expect(chunk.start + (first + count) * bytes).toBeLessThanOrEqual(end);
              covered.set(tensor, (covered.get(tensor) ?? 0) + count * bytes);
            }
            expect(lane).toBe(chunk.size / bytes);
          }
        }
      expect(next).toBe(table.count);
      for (const tensor of tensors) expect(covered.get(tensor)).toBeGreaterThanOrEqual(tensor.size);
    }),
    { numRuns: 500 },
  );
  // The arbitraries reach what they are for.
  expect(cuts).toBeGreaterThan(100);
  expect(shared).toBeGreaterThan(100);
});

test("the places of a tensor's partial sums are contiguous, those of different items and tensors disjoint", () => {
  fc.assert(
    fc.property(models, ({ limits, ...model }) => {
      const { table, items, tensors } = tableOf(layOut(model), limits);
      let first = 0;
      tensors.forEach((_, i) => {
        const [start, count] = [table.ranges[2 * i]!, table.ranges[2 * i + 1]!];
        expect(start).toBe(first);
        first += count;
        // In the order of the items, so that the sum does not depend on how they were cut into dispatches.
        expect(items.filter(({ factor }) => factor === i).map(({ sums }) => sums)).toEqual(
          Array.from({ length: count }, (_, k) => (start + k) * ITEM_THREADS),
        );
      });
      expect(first).toBe(table.count);
    }),
    { numRuns: 500 },
  );
});

test("a place is known by its span and chunk alone, and unknown for any other layout", () => {
  const [parameters, gradients] = [buffer(), buffer()];
  const limits = {
    minStorageBufferOffsetAlignment: 256,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxBufferSize: 2 ** 28,
  };
  const walkOf = (shift: number): Walk => {
    const [tensors] = checkParameters([
      [
        {
          name: "x",
          param: { buffer: parameters, offset: 0, size: 400 },
          grad: { buffer: gradients, offset: shift, size: 400 },
        },
      ],
    ]);
    return { tensors: tensors!, gradient: (tensor) => tensor.gradient };
  };
  const walk = walkOf(0);
  const table = itemTable([walk], walk.tensors, limits, () => 0);
  const placesOf = (other: Walk) =>
    walkSpans(other).flatMap((span) =>
      walkChunks(span, other, limits).map((chunk) => table.place(span, chunk)),
    );
  expect(placesOf(walkOf(16))).toEqual([{ item: 0, count: 1 }]);
  expect(placesOf(walkOf(4))).toEqual([undefined]);
});

test("without tensors there is room for one item and one range, and none is used", () => {
  const limits = {
    minStorageBufferOffsetAlignment: 256,
    maxStorageBufferBindingSize: 2 ** 27,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxBufferSize: 2 ** 28,
  };
  const table = itemTable([], [], limits, () => 0);
  expect(table.count).toBe(0);
  expect([...table.items]).toEqual([0, 0, 0, 0]);
  expect([...table.ranges]).toEqual([0, 0]);
});
