// Where partial sums lie, as pure arithmetic: what holds for any tensors, offsets and limits.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutRuns, type Run } from "../../src/engine/guards/runs.js";
import { StripTable } from "../../src/engine/guards/strips.js";
import { firstStrip } from "../../src/engine/kernels/plan.js";
import type { GroupMemory } from "../../src/engine/memory/group-memory.js";
import { checkParameters, type Tensor } from "../../src/engine/memory/parameters.js";
import { cutChunks, joinSpans, STRIP, sortTensors } from "../../src/engine/memory/spans.js";

/** A GPUBuffer as the checks see it. */
const buffer = () => ({ size: 2 ** 26, usage: 0x80 | 0x8 }) as GPUBuffer;

/** Limits far below those of any device, so that every cut happens. */
const limitsOf = fc.record({
  minStorageBufferOffsetAlignment: fc.constantFrom(32, 64, 128, 256),
  maxStorageBufferBindingSize: fc.integer({ min: 128, max: 2000 }).map((words) => words * 4),
  maxComputeWorkgroupsPerDimension: fc.integer({ min: 1, max: 20 }),
  maxBufferSize: fc.constant(2 ** 26),
});

const tensorOf = fc.record({
  words: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1000, max: 5000 })),
  /** Words of room before it in the parameters. */
  gap: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.integer({ max: 9, min: 1 }) },
  ),
  /** Whether its gradient lies apart, and how far from alignment. */
  apart: fc.option(fc.integer({ min: 0, max: 7 }), { freq: 3 }),
});
const models = fc.record({
  list: fc.array(tensorOf, { minLength: 1, maxLength: 10 }),
  limits: limitsOf,
  /** Whether padding reaches the next multiple of 256 bytes, as an arena's does. */
  arena: fc.boolean(),
});

function layOut({
  list,
  arena,
}: {
  list: readonly { words: number; gap: number; apart: number | null }[];
  arena: boolean;
}) {
  const [params, grads] = [buffer(), buffer()];
  let at = 0;
  const [tensors = []] = checkParameters([
    list.map(({ words, gap, apart }, index) => {
      if (!arena) at += 4 * gap;
      const size = 4 * words;
      const padding = arena ? (STRIP - (size % STRIP)) % STRIP : 0;
      const range = { offset: at, size, padding };
      at += size + padding;
      const grad =
        apart === null ? { buffer: grads, ...range } : { buffer: buffer(), offset: 4 * apart, size };
      return { name: `t${index}`, param: { buffer: params, ...range }, grad };
    }),
  ]);
  return sortTensors(tensors);
}

/** A group as the table sees it. */
const groupOf = (sorted: readonly Tensor[]) =>
  ({ rule: { row: { shader: { sums: [] } } }, sorted }) as unknown as GroupMemory;

describe.each(["together", "apart"] as const)("places of partial sums, %s", (way) => {
  test("are written once, lie within the table, and by tensor within the tensor's", () => {
    fc.assert(
      fc.property(models, ({ limits, ...model }) => {
        const tensors = layOut(model);
        const table = new StripTable([groupOf(tensors)]);
        const strips = way === "apart" ? table.apart(0) : table.together;
        const written = new Set<number>();
        const spans = joinSpans(tensors, ({ param, gradient }) => [param, gradient], strips.mayGoOn);
        for (const span of spans) {
          const place = strips.place(span);
          const [{ param, gradient }] = span.tensors;
          for (const chunk of cutChunks(span.size, [param.offset, gradient.offset], limits, place.ends)) {
            const first = firstStrip(chunk, place);
            for (let strip = 0; strip < Math.ceil(chunk.size / STRIP); strip += 1) {
              expect(written.has(first + strip)).toBe(false);
              written.add(first + strip);
              if (way === "together") continue;
              // The tensor in which the strip begins is the one that its place belongs to.
              const at = param.offset + chunk.start + strip * STRIP;
              const owner = span.tensors.filter((tensor) => tensor.param.offset <= at).at(-1)!;
              const own = table.place(owner);
              expect(first + strip).toBeGreaterThanOrEqual(own.first);
              expect(first + strip).toBeLessThan(own.first + own.count);
              expect(table.owners()[first + strip]).toBe(table.tensors.indexOf(owner));
            }
          }
        }
        for (const place of written) expect(place).toBeLessThan(table.count);
      }),
      {
        numRuns: 300,
        // An aligned tensor before one with a tail.
        examples: [
          [
            {
              list: [
                { words: 128, gap: 0, apart: null },
                { words: 1000, gap: 0, apart: null },
              ],
              limits: {
                minStorageBufferOffsetAlignment: 32,
                maxStorageBufferBindingSize: 512,
                maxComputeWorkgroupsPerDimension: 1,
                maxBufferSize: 2 ** 26,
              },
              arena: false,
            },
          ],
        ],
      },
    );
  });

  test("are in one run each, one behind the other", () => {
    fc.assert(
      fc.property(models, (model) => {
        const table = new StripTable([groupOf(layOut(model))]);
        let end = 0;
        for (const { first, count } of table.runs(way === "together")) {
          expect(first).toBe(end);
          end += count;
        }
        expect(end).toBe(table.count);
      }),
    );
  });
});

test("runs are cut into pieces that hold each place once, with heads and tails in the first and the last", () => {
  const runOf = fc.record({ inner: fc.integer({ min: 1, max: 5000 }), ends: fc.boolean() });
  fc.assert(
    fc.property(fc.array(runOf, { maxLength: 20 }), fc.integer({ min: 0, max: 7 }), (list, power) => {
      let at = 0;
      const runs = list.map(({ inner, ends }): Run => {
        const count = inner + (ends ? 2 : 0);
        at += count;
        return { first: at - count, count, ends };
      });
      const { pieces, of } = cutRuns(runs, () => 2 ** power);
      let place = 0;
      for (const { first, count } of pieces) {
        expect(first).toBe(place);
        place += count;
      }
      expect(place).toBe(at);
      let piece = 0;
      of.forEach(({ first, count }, index) => {
        expect(first).toBe(piece);
        piece += count;
        // As many as without ends, so that tensors with padding and without add up alike.
        expect(count).toBe(Math.ceil(list[index]!.inner / 2 ** power));
      });
      expect(piece).toBe(pieces.length);
    }),
  );
});
