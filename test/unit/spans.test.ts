// The plan of a dispatch as pure arithmetic: what holds for any sizes, offsets and limits.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkParameters, type Parameter, type Tensor } from "../../src/engine/memory/parameters.js";
import {
  cutChunks,
  joinSpans,
  type PlanLimits,
  sortTensors,
  WORKGROUP,
} from "../../src/engine/memory/spans.js";
import { placeState } from "../../src/engine/memory/state.js";

const ALIGNMENTS = [32, 64, 128, 256];

/** Limits far below those of any device, so that every cut happens. */
const limitsOf = fc.record({
  minStorageBufferOffsetAlignment: fc.constantFrom(...ALIGNMENTS),
  // A binding limit leaves room for one alignment beside the slack before the chunk.
  maxStorageBufferBindingSize: fc.integer({ min: 128, max: 2000 }).map((words) => words * 4),
  maxComputeWorkgroupsPerDimension: fc.integer({ min: 1, max: 4 }),
  maxBufferSize: fc.integer({ min: 2500, max: 6000 }).map((words) => words * 4),
});

/** A GPUBuffer as the checks see it. */
const buffer = (size: number) => ({ size, usage: 0x80 | 0x8 }) as GPUBuffer;

describe("cutChunks", () => {
  const inputs = fc.tuple(
    fc.integer({ min: 0, max: 5000 }).map((words) => words * 4),
    fc.array(
      fc.integer({ min: 0, max: 300 }).map((words) => words * 4),
      { minLength: 1, maxLength: 2 },
    ),
    limitsOf,
  );

  test("tiles the span exactly, in order, with whole elements", () => {
    fc.assert(
      fc.property(inputs, ([size, offsets, limits]) => {
        let at = 0;
        for (const chunk of cutChunks(size, offsets, limits)) {
          expect(chunk.start).toBe(at);
          expect(chunk.size).toBeGreaterThan(0);
          expect(chunk.size % (chunk.width * 4)).toBe(0);
          at += chunk.size;
        }
        expect(at).toBe(size);
      }),
      { numRuns: 500 },
    );
  });

  test("keeps every binding aligned and within the limit, and every grid within the dispatch limit", () => {
    fc.assert(
      fc.property(inputs, ([size, offsets, limits]) => {
        const alignment = limits.minStorageBufferOffsetAlignment;
        for (const { width, start, size: bytes } of cutChunks(size, offsets, limits)) {
          for (const offset of offsets) {
            // As the planner binds: from the aligned offset at or before the chunk to its end.
            const within = (offset + start) % alignment;
            expect((offset + start - within) % alignment).toBe(0);
            expect(within + bytes).toBeLessThanOrEqual(limits.maxStorageBufferBindingSize);
            // The index of the first element is whole, and an array<vec4f> starts on 16 bytes.
            expect(within % (width * 4)).toBe(0);
            expect((offset + start) % (width * 4)).toBe(0);
          }
          expect(Math.ceil(bytes / (4 * width) / WORKGROUP)).toBeLessThanOrEqual(
            limits.maxComputeWorkgroupsPerDimension,
          );
        }
      }),
      { numRuns: 500 },
    );
  });

  test("uses vec4 for all but a head and a tail of at most three elements where offsets are congruent", () => {
    fc.assert(
      fc.property(inputs, ([size, [first = 0], limits]) => {
        const chunks = cutChunks(size, [first, first + 32], limits);
        const scalar = chunks.filter(({ width }) => width === 1);
        expect(scalar.reduce((total, chunk) => total + chunk.size, 0)).toBeLessThanOrEqual(24);
        expect(scalar.every((chunk) => chunk.size <= 12)).toBe(true);
      }),
    );
  });

  test.each([
    { offsets: [0, 0], size: 64, wanted: [[4, 0, 64]] },
    {
      offsets: [4, 20],
      size: 64,
      wanted: [
        [1, 0, 12],
        [4, 12, 48],
        [1, 60, 4],
      ],
    },
    { offsets: [0, 4], size: 64, wanted: [[1, 0, 64]] },
    { offsets: [12], size: 4, wanted: [[1, 0, 4]] },
    { offsets: [4], size: 8, wanted: [[1, 0, 8]] },
    { offsets: [0], size: 0, wanted: [] },
  ])("$size bytes at $offsets", ({ offsets, size, wanted }) => {
    const limits: PlanLimits = {
      minStorageBufferOffsetAlignment: 256,
      maxStorageBufferBindingSize: 2 ** 27,
      maxComputeWorkgroupsPerDimension: 65_535,
      maxBufferSize: 2 ** 28,
    };
    expect(cutChunks(size, offsets, limits).map(({ width, start, size }) => [width, start, size])).toEqual(
      wanted,
    );
  });

  test("a default device needs one dispatch for 128 MiB of vec4, and three for scalars", () => {
    const limits: PlanLimits = {
      minStorageBufferOffsetAlignment: 256,
      maxStorageBufferBindingSize: 2 ** 27,
      maxComputeWorkgroupsPerDimension: 65_535,
      maxBufferSize: 2 ** 28,
    };
    expect(cutChunks(2 ** 27, [0, 0], limits)).toHaveLength(1);
    // 65 535 workgroups of 256 scalars are 1 KiB short of half the binding, so a third dispatch takes the rest.
    expect(cutChunks(2 ** 27, [0, 4], limits)).toHaveLength(3);
  });
});

/** Tensors in a few buffers, with gaps, padding, empty ones and neighbours; gradients laid out alike or apart. */
const layouts = fc
  .array(
    fc.array(
      fc.record({
        words: fc.integer({ min: 0, max: 300 }),
        padding: fc.integer({ min: 0, max: 20 }),
        gap: fc.constantFrom(0, 0, 0, 1, 4, 16),
        gradientGap: fc.constantFrom(0, 0, 0, 2, 4),
        gradientPadding: fc.constantFrom(true, true, false),
      }),
      { minLength: 1, maxLength: 7 },
    ),
    { minLength: 1, maxLength: 4 },
  )
  .chain((buffers) => {
    const parameters: Parameter[] = buffers.flatMap((list, index) => {
      const [param, grad] = [buffer(10_000), buffer(12_000)];
      let at = 0;
      let gradientAt = 0;
      return list.map(({ words, padding, gap, gradientGap, gradientPadding }, place) => {
        at += 4 * gap;
        gradientAt += 4 * (gap + gradientGap);
        const paramRange = { buffer: param, offset: at, size: 4 * words, padding: 4 * padding };
        const behind = gradientPadding ? 4 * padding : 0;
        const gradRange = { buffer: grad, offset: gradientAt, size: 4 * words, padding: behind };
        at += 4 * (words + padding);
        gradientAt += 4 * (words + padding);
        return { name: `${index}.${place}`, param: paramRange, grad: gradRange };
      });
    });
    return fc.shuffledSubarray(parameters, { minLength: 1 });
  })
  .map((parameters) => sortTensors(checkParameters([parameters])[0]!));

const both = ({ param, gradient }: Tensor) => [param, gradient];

describe("joinSpans", () => {
  test("holds every tensor once, in order, none of them empty", () => {
    fc.assert(
      fc.property(layouts, (tensors) => {
        expect(joinSpans(tensors, both).flatMap((span) => span.tensors)).toEqual(tensors);
        expect(tensors.every(({ size }) => size > 0)).toBe(true);
      }),
    );
  });

  test("a span covers its tensors and paddings and nothing else, in parameters and gradients alike", () => {
    fc.assert(
      fc.property(layouts, (tensors) => {
        for (const { tensors: joined, size } of joinSpans(tensors, both)) {
          let at = 0;
          for (const tensor of joined) {
            const [first] = joined;
            for (const [range, start] of [
              [tensor.param, first.param],
              [tensor.gradient, first.gradient],
            ] as const) {
              expect(range.buffer).toBe(start.buffer);
              expect(range.offset - start.offset).toBe(at);
            }
            at += tensor.size + Math.min(tensor.param.padding, tensor.gradient.padding);
          }
          expect(size).toBe(at);
        }
      }),
    );
  });

  test("neighbouring spans could not have been one", () => {
    fc.assert(
      fc.property(layouts, (tensors) => {
        const spans = joinSpans(tensors, both);
        spans.slice(1).forEach(({ tensors: [next] }, index) => {
          const { tensors: before, size } = spans[index]!;
          const follows = both(next).every(
            (range, role) =>
              range.buffer === both(before[0])[role]!.buffer &&
              range.offset === both(before[0])[role]!.offset + size,
          );
          expect(follows).toBe(false);
        });
      }),
    );
  });
});

describe("placeState", () => {
  test("keeps state congruent with the parameter, within slabs, without overlap", () => {
    fc.assert(
      fc.property(layouts, limitsOf, (tensors, limits) => {
        const { placements, slabs } = placeState(tensors, limits);
        expect(placements.size).toBe(tensors.length);
        const alignment = limits.minStorageBufferOffsetAlignment;
        const ends = slabs.map(() => 0);
        for (const size of slabs) {
          expect(size).toBeLessThanOrEqual(limits.maxBufferSize);
          expect(size % 4).toBe(0);
        }
        for (const tensor of tensors) {
          const { slab, offset } = placements.get(tensor)!;
          expect(offset % alignment).toBe(tensor.param.offset % alignment);
          // Tensors are placed in order, so the end so far is the only one to overlap with.
          expect(offset).toBeGreaterThanOrEqual(ends[slab]!);
          ends[slab] = offset + tensor.size + tensor.param.padding;
          expect(ends[slab]).toBeLessThanOrEqual(slabs[slab]!);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("tensors of one span of the step are as far apart in the state as in the parameters", () => {
    fc.assert(
      fc.property(layouts, limitsOf, (tensors, limits) => {
        const { placements } = placeState(tensors, limits);
        for (const { tensors: joined } of joinSpans(tensors, both)) {
          const [first] = joined;
          const start = placements.get(first)!;
          for (const tensor of joined) {
            const { slab, offset } = placements.get(tensor)!;
            expect(slab).toBe(start.slab);
            expect(offset - start.offset).toBe(tensor.param.offset - first.param.offset);
          }
        }
      }),
    );
  });

  test("nothing to place needs no slab", () => {
    const limits = fc.sample(limitsOf, 1)[0]!;
    expect(placeState([], limits)).toEqual({ placements: new Map(), slabs: [] });
  });
});
